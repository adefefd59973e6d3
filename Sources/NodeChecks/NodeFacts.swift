public import Agent
public import IPAddressing
import NFTables
public import NFTablesKernel

/// What was found on a node: all that the checks judge.
public struct NodeFacts: Sendable, Equatable {
    /// What this process may do (capabilities(7)).
    public struct Rights: Sendable, Equatable {
        public var netAdmin: Bool
        public var sysAdmin: Bool

        public init(netAdmin: Bool, sysAdmin: Bool) {
            self.netAdmin = netAdmin
            self.sysAdmin = sysAdmin
        }
    }

    /// What is in nf_tables.
    public enum Rules: Sendable, Equatable {
        case listed([ListedTable], [ListedChain])
        /// Why it can't be told.
        case unknown(String)
    }

    public var release: KernelRelease
    public var rights: Rights
    public var rules: Rules
    public var trials: FeatureTrials
    public var conntrack: ConntrackFacts
    public var network: NetworkFacts
    /// Families in which the old iptables has a nat table; nil where that can't be read.
    public var legacyNAT: [AddressFamily]?
    public var kubeProxy: KubeProxyPresence

    public init(
        release: KernelRelease, rights: Rights, rules: Rules, trials: FeatureTrials,
        conntrack: ConntrackFacts, network: NetworkFacts, legacyNAT: [AddressFamily]?,
        kubeProxy: KubeProxyPresence
    ) {
        self.release = release
        self.rights = rights
        self.rules = rules
        self.trials = trials
        self.conntrack = conntrack
        self.network = network
        self.legacyNAT = legacyNAT
        self.kubeProxy = kubeProxy
    }
}

/// Connection tracking, in this network namespace.
public struct ConntrackFacts: Sendable, Equatable {
    /// What ctnetlink says to a question.
    public enum Answer: Sendable, Equatable {
        case given
        case refused(String)
        /// It takes a right that is missing.
        case notAsked
    }

    public var answer: Answer
    /// `nf_conntrack_count` and `nf_conntrack_max`; nil before anything has used it.
    public var count: Int?
    public var limit: Int?
    /// Parameters that Sluice sets where its configuration says so, and that can't be written.
    public var lockedParameters: [String]

    public init(answer: Answer, count: Int?, limit: Int?, lockedParameters: [String]) {
        self.answer = answer
        self.count = count
        self.limit = limit
        self.lockedParameters = lockedParameters
    }
}

/// What the host does with packets on their way, as its parameters say (kernel:
/// Documentation/networking/ip-sysctl.rst).
public struct NetworkFacts: Sendable, Equatable {
    /// `net.ipv4.ip_forward` and `net.ipv6.conf.all.forwarding`; a family that the kernel doesn't know is left out.
    public var forwarding: [AddressFamily: Bool]
    /// Families in which the host has an address that others reach.
    public var addressed: Set<AddressFamily>
    /// `net.bridge.bridge-nf-call-iptables` and `-ip6tables`; empty while br_netfilter isn't loaded.
    public var bridgeFilter: [AddressFamily: Bool]
    /// Interfaces that take a packet only where an answer would leave (`rp_filter` 1).
    public var strictInterfaces: [String]

    public init(
        forwarding: [AddressFamily: Bool], addressed: Set<AddressFamily>,
        bridgeFilter: [AddressFamily: Bool], strictInterfaces: [String]
    ) {
        self.forwarding = forwarding
        self.addressed = addressed
        self.bridgeFilter = bridgeFilter
        self.strictInterfaces = strictInterfaces
    }
}
