public import HTTPServing
public import IPAddressing
public import Logging

/// The servers that tell operators, probes and load balancers how this proxy is doing: health and metrics.
///
/// `run` starts both, and ends both when its task is cancelled, so it is a service to swift-service-lifecycle within
/// `cancelWhenGracefulShutdown`.
public struct StatusService: Sendable {
    public struct Settings: Sendable, Equatable {
        /// `healthzBindAddress`; nil: no health server.
        public var healthz: BindAddress?
        /// `metricsBindAddress`; nil: no metrics server.
        public var metrics: BindAddress?
        /// A port that can't be bound ends the service, rather than being tried again.
        public var bindAddressHardFail: Bool
        /// Of each server.
        public var limits: HTTPLimits
        /// How long after the first failure a port is tried again; twice as long after each further one, up to 30 s.
        public var firstRetry: Duration

        /// kube-proxy's defaults.
        public init(
            healthz: BindAddress? = BindAddress(nil, port: 10256),
            metrics: BindAddress? = BindAddress(IPAddress(ipv4: 0x7f00_0001), port: 10249),
            bindAddressHardFail: Bool = false, limits: HTTPLimits = HTTPLimits(),
            firstRetry: Duration = .seconds(1)
        ) {
            self.healthz = healthz
            self.metrics = metrics
            self.bindAddressHardFail = bindAddressHardFail
            self.limits = limits
            self.firstRetry = firstRetry
        }
    }

    /// A server that could not listen, under `bindAddressHardFail`.
    public struct BindError: Error, Sendable, Equatable, CustomStringConvertible {
        /// `healthz` or `metrics`.
        public let server: String
        /// What failed, with addresses and reasons.
        public let reason: String

        /// `healthz server: can't listen on 0.0.0.0:10256: Address already in use`
        public var description: String { "\(server) server: \(reason)" }
    }

    private let settings: Settings
    private let health: ProxyHealthRecord
    private let content: StatusContent
    private let logger: Logger

    public init(
        _ settings: Settings, health: ProxyHealthRecord, content: StatusContent, logger: Logger
    ) {
        self.settings = settings
        self.health = health
        self.content = content
        self.logger = logger
    }

    /// Serves until the task is cancelled.
    public func run() async throws(BindError) {
        let thread = HTTPThread()
        let error = await withTaskGroup(of: BindError?.self) { group in
            group.addTask { await serve("healthz", settings.healthz, on: thread, answer: healthAnswer) }
            group.addTask { await serve("metrics", settings.metrics, on: thread, answer: metricsAnswer) }
            var first: BindError?
            for await error in group where first == nil && error != nil {
                first = error
                group.cancelAll()
            }
            return first
        }
        await thread.shutDown()
        if let error { throw error }
    }

    func healthAnswer(_ request: HTTPRequest) -> HTTPAnswer {
        guard let probe = HealthAnswers.probe(request.path) else { return MetricsAnswers.notFound }
        let answer = HealthAnswers.answer(probe, health.report)
        content.probed(probe, answer.status)
        return answer
    }

    func metricsAnswer(_ request: HTTPRequest) -> HTTPAnswer { MetricsAnswers.answer(request.path, content) }

    /// Listens, trying again and again, until the task is cancelled. Without an address it only waits for that: a
    /// service that returns has come to its end.
    ///
    /// - Returns: what ends the whole service.
    private func serve(
        _ name: String, _ bind: BindAddress?, on thread: HTTPThread,
        answer: @escaping @Sendable (HTTPRequest) -> HTTPAnswer
    ) async -> BindError? {
        guard let bind else {
            await Self.cancellation()
            return nil
        }
        var port = HTTPPort(port: bind.port, limits: settings.limits, on: thread, answer: answer)
        let error = await listen(&port, name, bind)
        if error == nil { await Self.cancellation() }
        await port.close()
        return error
    }

    private func listen(_ port: inout HTTPPort, _ name: String, _ bind: BindAddress) async -> BindError? {
        var told: String?
        var pause = settings.firstRetry
        while !Task.isCancelled {
            let failures = await port.openListeners(on: bind.addresses)
            guard !failures.isEmpty else {
                logger.info("\(name) server listening", metadata: ["address": "\(bind)"])
                return nil
            }
            let reason = failures.map { "can't listen on \($0.address): \($0.reason)" }.joined(
                separator: "; ")
            if settings.bindAddressHardFail { return BindError(server: name, reason: reason) }
            if told != reason { logger.error("\(name) server: \(reason); trying again") }
            told = reason
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestRetry)
        }
        return nil
    }

    private static var longestRetry: Duration { .seconds(30) }

    /// Returns when the task is cancelled.
    private static func cancellation() async {
        let (never, continuation) = AsyncStream.makeStream(of: Never.self)
        for await _ in never {}
        // Until here: a stream ends when nobody is left who could go on with it.
        continuation.finish()
    }
}
