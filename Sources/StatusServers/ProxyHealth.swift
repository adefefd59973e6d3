public import IPAddressing

/// Whether the proxy keeps up with what it is told (statement 24).
///
/// A pure state machine: it is told what happened and when. An update waits, is taken in hand, and is in force. While one
/// is in hand, the next one may be waiting already, and being done with the first says nothing of the second.
public struct ProxyHealth: Sendable, Equatable {
    private struct Progress: Sendable, Equatable {
        /// The oldest update that nobody has looked at.
        var waitingSince: Duration?
        /// The oldest update that is taken and not yet in force; it may have failed and be tried again.
        var inHandSince: Duration?
        /// Nanoseconds since 1970.
        var lastUpdated: Int64?

        var pendingSince: Duration? { [waitingSince, inHandSince].compactMap { $0 }.min() }
    }

    private var progress: [AddressFamily: Progress] = [:]
    private let patience: Duration

    /// Whether load balancers may send traffic by this node: it isn't about to go.
    public var isNodeEligible = true

    /// - Parameter patience: how long an update may take until it is in force: kube-proxy's is twice the sync period.
    public init(patience: Duration) { self.patience = patience }

    /// There is something to be done.
    public mutating func queued(_ families: [AddressFamily] = AddressFamily.allCases, at moment: Moment) {
        for family in families {
            var one = progress[family] ?? Progress()
            one.waitingSince = one.waitingSince ?? moment.uptime
            progress[family] = one
        }
    }

    /// Something is in hand that didn't wait.
    public mutating func began(_ families: [AddressFamily] = AddressFamily.allCases, at moment: Moment) {
        for family in families {
            var one = progress[family] ?? Progress()
            one.inHandSince = one.inHandSince ?? moment.uptime
            progress[family] = one
        }
    }

    /// All that waited is in hand now.
    public mutating func taken(_ families: [AddressFamily] = AddressFamily.allCases) {
        for family in families {
            guard var one = progress[family] else { continue }
            one.inHandSince = one.inHandSince ?? one.waitingSince
            one.waitingSince = nil
            progress[family] = one
        }
    }

    /// All that was in hand is in force.
    public mutating func updated(_ families: [AddressFamily] = AddressFamily.allCases, at moment: Moment) {
        for family in families {
            var one = progress[family] ?? Progress()
            one.inHandSince = nil
            one.lastUpdated = moment.wall
            progress[family] = one
        }
    }

    public func report(at moment: Moment) -> ProxyHealthReport {
        var report = ProxyHealthReport(currentTime: moment.wall, isNodeEligible: isNodeEligible)
        for (family, one) in progress {
            let isLate = one.pendingSince.map { moment.uptime - $0 >= patience } ?? false
            // Of a family that was never in force there is nothing to tell, unless it should be by now. (kube-proxy
            // calls itself healthy for as long as its first sync fails.)
            guard isLate || one.lastUpdated != nil else { continue }
            report.families[family] = .init(lastUpdated: one.lastUpdated, isHealthy: !isLate)
        }
        return report
    }
}

/// How the proxy stands at one moment. Times are in nanoseconds since 1970.
public struct ProxyHealthReport: Sendable, Equatable {
    public struct Family: Sendable, Equatable {
        /// Nil: never.
        public var lastUpdated: Int64?
        public var isHealthy: Bool
    }

    public var currentTime: Int64
    public var isNodeEligible: Bool
    public var families: [AddressFamily: Family] = [:]

    /// No update is late.
    public var isHealthy: Bool { families.values.allSatisfy(\.isHealthy) }
    /// Rules were in force at least once, in all families that were asked for.
    public var isInForce: Bool { !families.isEmpty && families.values.allSatisfy { $0.lastUpdated != nil } }
    /// The last of all families; nil: never.
    public var lastUpdated: Int64? { families.values.compactMap(\.lastUpdated).max() }

    init(currentTime: Int64, isNodeEligible: Bool) {
        self.currentTime = currentTime
        self.isNodeEligible = isNodeEligible
    }
}
