public import Conntrack
import IPAddressing
public import Logging

/// Ends UDP flows that are no longer right, behind the commits and apart from them.
///
/// A pass that fails is to be done again (see `RetryLoop`), with what is right by then: an older word would end the flows
/// to endpoints that came since. Addresses that were taken away are looked for until a pass was complete.
public actor FlowCleaner {
    private let reconciler: ConntrackReconciler
    private let logger: Logger
    private let metrics: AgentMetrics
    /// What was right when a pass was last complete.
    private var done: UDPCleanup?

    public init(
        reconciler: ConntrackReconciler, logger: Logger, metrics: AgentMetrics = AgentMetrics()
    ) {
        self.reconciler = reconciler
        self.metrics = metrics
        self.logger = logger
    }

    /// Looks for flows that go astray, and ends them.
    ///
    /// - Returns: whether the pass was complete.
    public func clean(_ cleanup: UDPCleanup) async -> Bool {
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
