/// Runs of credential plugins: one of each at a time, however many wait for it, and none that nobody waits for.
actor PluginRunner {
    private typealias Outcome = Result<ExecCredential, CredentialError>

    private struct Run {
        var plugin: ExecPlugin
        var task: Task<Void, Never>
        var waiting: [Int: CheckedContinuation<Outcome, Never>]
    }

    private let timeout: Duration
    private var runs: [Int: Run] = [:]
    /// Called off; their processes are being ended.
    private var ending: [Int: Task<Void, Never>] = [:]
    private var count = 0
    private var isShutDown = false

    /// - Parameter timeout: of a run.
    init(timeout: Duration) { self.timeout = timeout }

    /// What the plugin says. When the task is cancelled this throws at once, and the last one that waits takes the run
    /// with it.
    func run(_ plugin: ExecPlugin) async throws(CredentialError) -> ExecCredential {
        guard !isShutDown, !Task.isCancelled else { throw Self.calledOff(plugin) }
        count += 1
        let number = count
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { wait(number, for: plugin, $0) }
        } onCancel: {
            Task { await self.leave(number) }
        }
        return try outcome.get()
    }

    /// How many wait.
    var waiting: Int { runs.values.reduce(0) { $0 + $1.waiting.count } }

    /// Ends all runs and waits for the end of their processes.
    func shutDown() async {
        isShutDown = true
        for number in runs.keys { callOff(number) }
        for task in ending.values { await task.value }
    }

    private func wait(
        _ number: Int, for plugin: ExecPlugin, _ continuation: CheckedContinuation<Outcome, Never>
    ) {
        if let run = runs.first(where: { $0.value.plugin == plugin })?.key {
            runs[run]?.waiting[number] = continuation
            return
        }
        let task = Task {
            let outcome: Outcome
            do throws(CredentialError) { outcome = .success(try await plugin.run(timeout: timeout)) } catch {
                outcome = .failure(error)
            }
            end(number, outcome)
        }
        runs[number] = Run(plugin: plugin, task: task, waiting: [number: continuation])
    }

    private func end(_ run: Int, _ outcome: Outcome) {
        ending[run] = nil
        guard let run = runs.removeValue(forKey: run) else { return }
        for continuation in run.waiting.values { continuation.resume(returning: outcome) }
    }

    private func leave(_ number: Int) {
        guard let run = runs.first(where: { $0.value.waiting[number] != nil }) else { return }
        if run.value.waiting.count == 1 { return callOff(run.key) }
        runs[run.key]?.waiting.removeValue(forKey: number)?
            .resume(returning: .failure(Self.calledOff(run.value.plugin)))
    }

    private func callOff(_ number: Int) {
        guard let run = runs.removeValue(forKey: number) else { return }
        ending[number] = run.task
        run.task.cancel()
        for continuation in run.waiting.values {
            continuation.resume(returning: .failure(Self.calledOff(run.plugin)))
        }
    }

    private static func calledOff(_ plugin: ExecPlugin) -> CredentialError {
        plugin.origin.error("\(plugin.command): called off")
    }
}
