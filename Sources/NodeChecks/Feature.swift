import Agent
public import NFTables

/// Something of nf_tables that Sluice's rules are made of, and that a kernel may lack.
public enum Feature: Sendable, Equatable, CaseIterable {
    case natChains
    case verdictMaps
    case networkSets
    case roundRobin
    case directMap
    case masquerade
    case reject
    case originalDestination
    case affinity
    case localSource
    case interfaceMarks
    case destroyElements
    case ownedTables

    /// As in nft's grammar, where it has a word for it.
    public var name: String {
        switch self {
        case .natChains: "nat chains"
        case .verdictMaps: "vmap"
        case .networkSets: "sets of networks"
        case .roundRobin: "numgen inc"
        case .directMap: "dnat from a map"
        case .masquerade: "masquerade"
        case .reject: "reject"
        case .originalDestination: "ct original, status"
        case .affinity: "update of a map"
        case .localSource: "fib saddr type"
        case .interfaceMarks: "iifname, mark"
        case .destroyElements: "destroy element"
        case .ownedTables: "owned tables"
        }
    }

    /// What a kernel is built with that has it.
    var options: String {
        switch self {
        case .natChains, .directMap: "CONFIG_NFT_NAT"
        case .verdictMaps, .networkSets, .affinity, .interfaceMarks, .destroyElements, .ownedTables:
            "CONFIG_NF_TABLES"
        case .roundRobin: "CONFIG_NFT_NUMGEN"
        case .masquerade: "CONFIG_NFT_MASQ"
        case .reject: "CONFIG_NFT_REJECT"
        case .originalDestination: "CONFIG_NFT_CT"
        case .localSource: "CONFIG_NFT_FIB_IPV4 and CONFIG_NFT_FIB_IPV6"
        }
    }

    /// What it is for; only of what can be done without.
    var use: String? {
        switch self {
        case .destroyElements:
            "an affinity entry that may have run out already is removed in the same transaction"
        case .ownedTables: "Sluice's tables can be made its own: no other program changes them"
        case .interfaceMarks: "local pods are told by their interface"
        default: nil
        }
    }

    /// The kernel that brought it; nil for what the oldest has.
    var since: KernelRelease? {
        switch self {
        case .destroyElements: KernelRelease(6, 3)
        case .ownedTables: KernelRelease(6, 9)
        default: nil
        }
    }

    /// Every rule set needs it.
    var isNeeded: Bool { use == nil }
}

/// What came of having the kernel take what Sluice's rules are made of.
public struct FeatureTrials: Sendable, Equatable {
    /// Where it was tried.
    public enum Ground: Sendable, Equatable {
        /// In force for a moment, in a network namespace that nothing else was in.
        case scratchNetwork
        /// In transactions that the kernel looked through and took back, without base chains.
        case takenBack(why: String)
        /// Nowhere.
        case none(why: String)
    }

    /// One feature in the table of one family.
    public struct Trial: Sendable, Equatable {
        public var feature: Feature
        public var family: Family
        /// What the kernel said against it; nil when it took it.
        public var refusal: String?

        public init(_ feature: Feature, _ family: Family, refusal: String? = nil) {
            self.feature = feature
            self.family = family
            self.refusal = refusal
        }
    }

    /// What came of the rules for Services of every kind.
    public enum WholeRuleset: Sendable, Equatable {
        case taken(operations: Int)
        case refused(String)
    }

    public var ground: Ground
    public var trials: [Trial]
    /// Nil when it wasn't tried.
    public var ruleset: WholeRuleset?

    public init(_ ground: Ground, _ trials: [Trial] = [], ruleset: WholeRuleset? = nil) {
        self.ground = ground
        self.trials = trials
        self.ruleset = ruleset
    }
}
