public import Conntrack
import IPAddressing
public import Logging

/// Ends UDP flows that are no longer right, behind the commits and apart from them.
///
/// A pass that fails is done again; addresses that were taken away are looked for until a pass was complete.
public actor FlowCleaner {
    private let reconciler: ConntrackReconciler
    private let logger: Logger
    private let metrics: AgentMetrics
    /// What was right when a pass was last complete.
    private var done: UDPCleanup?

    static let firstRetry = Duration.seconds(1)
    static let longestRetry = Duration.seconds(60)

    public init(
        reconciler: ConntrackReconciler, logger: Logger, metrics: AgentMetrics = AgentMetrics()
    ) {
        self.reconciler = reconciler
        self.metrics = metrics
        self.logger = logger
    }

    /// Cleans after each value, the newest first of all, until the sequence ends or the task is cancelled.
    public func run(_ wanted: AsyncStream<UDPCleanup>) async {
        for await cleanup in wanted {
            var wait = Self.firstRetry
            for _ in 0..<Self.attempts {
                if await clean(cleanup) || Task.isCancelled { break }
                try? await Task.sleep(for: wait)
                wait = min(wait * 2, Self.longestRetry)
            }
        }
    }

    /// How often a pass is tried before the next change is waited for.
    static let attempts = 8

    /// - Returns: whether the pass was complete.
    func clean(_ cleanup: UDPCleanup) async -> Bool {
        let report = await reconciler.reconcile(Self.withTakenAway(cleanup, since: done))
        metrics.cleaned(report)
        if report.deleted > 0 {
            logger.info("ended UDP flows that went astray", metadata: ["flows": "\(report.deleted)"])
        }
        for error in report.errors { logger.warning("UDP flows could not be cleaned up: \(error)") }
        guard report.isComplete, report.failed == 0 else { return false }
        done = cleanup
        return true
    }

    /// With no endpoints for every address that was there and isn't any more.
    static func withTakenAway(_ cleanup: UDPCleanup, since before: UDPCleanup?) -> UDPCleanup {
        var result = cleanup
        for (family, old) in before?.live ?? [:] {
            var live = result.live[family] ?? UDPCleanup.Live()
            for address in old.services.keys where live.services[address] == nil {
                live.services[address] = []
            }
            for port in old.nodePorts.keys where live.nodePorts[port] == nil { live.nodePorts[port] = [] }
            result.live[family] = live
        }
        return result
    }
}
