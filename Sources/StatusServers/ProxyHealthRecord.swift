import Synchronization

/// The proxy's health, told by the loop and asked by servers, each on a thread of its own.
public final class ProxyHealthRecord: Sendable {
    private let health: Mutex<ProxyHealth>
    private let now: @Sendable () -> Moment

    /// kube-proxy's, at its default sync period of 30 s.
    public static var defaultPatience: Duration { .seconds(60) }

    /// - Parameters:
    ///   - patience: how long an update may take until it is in force: twice the sync period.
    ///   - now: the clocks.
    public init(
        patience: Duration = ProxyHealthRecord.defaultPatience,
        now: @escaping @Sendable () -> Moment = { .now }
    ) {
        health = Mutex(ProxyHealth(patience: patience))
        self.now = now
    }

    /// There is something to be done, or it is still there: only the first time counts.
    public func queued() { health.withLock { $0.queued(at: now()) } }

    /// Something is in hand that didn't wait.
    public func began() { health.withLock { $0.began(at: now()) } }

    /// All that waited is in hand now.
    public func taken() { health.withLock { $0.taken() } }

    /// All that was in hand is in force.
    public func updated() { health.withLock { $0.updated(at: now()) } }

    /// - Parameter isEligible: false when the node is about to go: load balancers had better not use it any more.
    public func setNodeEligible(_ isEligible: Bool) { health.withLock { $0.isNodeEligible = isEligible } }

    public var report: ProxyHealthReport { health.withLock { $0.report(at: now()) } }

    /// No update is late: `serviceProxyHealthy` of health check servers (statement 23).
    public var isHealthy: Bool { report.isHealthy }
}
