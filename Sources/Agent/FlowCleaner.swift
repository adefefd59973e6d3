public import Conntrack
import IPAddressing
public import Logging

/// Ends UDP flows that are no longer right, behind the commits and apart from them.
///
/// A pass that fails is to be done again (see `RetryLoop`), with what is right by then: an older word would end the flows
/// to endpoints that came since. Addresses that were taken away are looked for until a pass was complete, those too that
/// came and went between two passes: `UDPCleanup.supersede` merges what is waiting.
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
        let report = await reconciler.reconcile(done.map { UDPCleanup.supersede($0, by: cleanup) } ?? cleanup)
        metrics.cleaned(report)
        if report.deleted > 0 {
            logger.info("ended UDP flows that went astray", metadata: ["flows": "\(report.deleted)"])
        }
        for error in report.errors { logger.warning("UDP flows could not be cleaned up: \(error)") }
        guard report.isComplete, report.failed == 0 else { return false }
        // Addresses without endpoints have no flows any more, and get none.
        done = UDPCleanup(
            live: cleanup.live.mapValues {
                UDPCleanup.Live(
                    services: $0.services.filter { !$0.value.isEmpty },
                    nodePorts: $0.nodePorts.filter { !$0.value.isEmpty }, nodeAddresses: $0.nodeAddresses)
            })
        return true
    }
}

extension UDPCleanup {
    /// Addresses of a family that are looked for though nothing serves them any more, at most: a cluster that takes away
    /// more while no pass goes through loses sight of some of their flows, not of its memory.
    static var takenAwayLimit: Int { 1 << 16 }

    /// The new word, with no endpoints for every address that the old one had and the new one hasn't.
    public static func supersede(_ old: UDPCleanup, by new: UDPCleanup) -> UDPCleanup {
        var result = new
        for (family, old) in old.live {
            var live = result.live[family] ?? Live()
            var room = takenAwayLimit
            for address in old.services.keys where live.services[address] == nil && room > 0 {
                live.services[address] = []
                room -= 1
            }
            for port in old.nodePorts.keys where live.nodePorts[port] == nil { live.nodePorts[port] = [] }
            result.live[family] = live
        }
        return result
    }
}
