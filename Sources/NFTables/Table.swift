/// A rule: its instructions in order, and a comment that people see.
public struct Rule: Sendable {
    public var expressions: [Expression]
    /// At most 128 bytes.
    public var comment: String?
    /// The kernel's number for this rule in its table, once it is there. Not part of what makes two rules equal.
    public var handle: UInt64?

    public init(expressions: [Expression], comment: String? = nil, handle: UInt64? = nil) {
        self.expressions = expressions
        self.comment = comment
        self.handle = handle
    }
}

extension Rule: Hashable {
    public static func == (a: Self, b: Self) -> Bool {
        a.expressions == b.expressions && a.comment == b.comment
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(expressions)
        hasher.combine(comment)
    }
}

/// Where a base chain is attached, and what happens to what passes it.
public struct BaseChain: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable {
        case filter
        case nat
        case route
    }

    /// `NF_INET_*`.
    public enum Hook: UInt32, Sendable, Hashable {
        case prerouting = 0
        case input = 1
        case forward = 2
        case output = 3
        case postrouting = 4
    }

    public enum Policy: UInt32, Sendable, Hashable {
        case drop = 0
        case accept = 1
    }

    public var kind: Kind
    public var hook: Hook
    /// Lower runs earlier: `NF_IP_PRI_NAT_DST` is -100, `NF_IP_PRI_NAT_SRC` 100.
    public var priority: Int32
    public var policy: Policy

    public init(_ kind: Kind, hook: Hook, priority: Int32, policy: Policy = .accept) {
        self.kind = kind
        self.hook = hook
        self.priority = priority
        self.policy = policy
    }
}

/// A chain and its rules.
public struct Chain: Sendable, Hashable {
    /// At most 255 bytes.
    public var name: String
    /// Nil for a chain that is reached by jump and goto only.
    public var base: BaseChain?
    /// At most 128 bytes.
    public var comment: String?
    public var rules: [Rule]

    public init(_ name: String, base: BaseChain? = nil, comment: String? = nil, rules: [Rule] = []) {
        self.name = name
        self.base = base
        self.comment = comment
        self.rules = rules
    }
}

/// A named set, or a named map when it has data.
public struct NamedSet: Sendable, Hashable {
    /// What a map holds for each key.
    public enum MapData: Sendable, Hashable {
        case value(Shape)
        case verdict
    }

    /// `NFT_SET_*`, without the bits that follow from other properties (map, timeout of elements).
    public struct Flags: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// It belongs to one rule and goes with it.
        public static let anonymous = Flags(rawValue: 0x1)
        public static let constant = Flags(rawValue: 0x2)
        public static let interval = Flags(rawValue: 0x4)
        public static let timeout = Flags(rawValue: 0x10)
        /// The packet path may change it (`NFT_SET_EVAL`, in nft `dynamic`).
        public static let dynamic = Flags(rawValue: 0x20)
    }

    /// At most 255 bytes; nft reads at most 128.
    public var name: String
    public var key: Shape
    /// Nil for a set.
    public var data: MapData?
    public var flags: Flags
    /// Milliseconds after which elements leave, when they carry no timeout of their own.
    public var timeout: UInt64?
    /// The most elements it may hold.
    public var size: UInt32?
    public var comment: String?

    public init(
        _ name: String, key: Shape, data: MapData? = nil, flags: Flags = [], timeout: UInt64? = nil,
        size: UInt32? = nil, comment: String? = nil
    ) {
        self.name = name
        self.key = key
        self.data = data
        self.flags = flags
        self.timeout = timeout
        self.size = size
        self.comment = comment
    }

    public var isMap: Bool { data != nil }
}

/// An element of a set or map.
public struct Element: Sendable, Hashable {
    public enum Data: Sendable, Hashable {
        case value(RegisterValue)
        case verdict(Verdict)
    }

    public var key: RegisterValue
    public var data: Data?
    /// In an interval set, the key is the first one behind the interval (`NFT_SET_ELEM_INTERVAL_END`).
    public var isIntervalEnd: Bool
    /// Milliseconds that it lives after each refresh; nil: the set's own, or for ever.
    public var timeout: UInt64?
    /// Milliseconds it has left.
    public var expiration: UInt64?
    /// At most 128 bytes.
    public var comment: String?

    public init(
        _ key: RegisterValue, data: Data? = nil, isIntervalEnd: Bool = false, timeout: UInt64? = nil,
        expiration: UInt64? = nil, comment: String? = nil
    ) {
        self.key = key
        self.data = data
        self.isIntervalEnd = isIntervalEnd
        self.timeout = timeout
        self.expiration = expiration
        self.comment = comment
    }
}

/// `NFT_TABLE_F_*` (linux/netfilter/nf_tables.h).
public struct TableFlags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Its chains are not asked.
    public static let dormant = TableFlags(rawValue: 0x1)
    /// It belongs to the netlink socket that made it: no other can change it (Linux 5.12).
    public static let owner = TableFlags(rawValue: 0x2)
    /// It stays when its owner ends, and another can take it over (Linux 6.9).
    public static let persist = TableFlags(rawValue: 0x4)

    /// An owner without this would take the table along when it ends.
    public static let owned: TableFlags = [.owner, .persist]
}

/// A part of a table: some of its sets with their elements, and some of its chains with their rules.
public struct TableScope: Sendable, Hashable {
    public var sets: Set<String>
    public var chains: Set<String>

    public init(sets: Set<String> = [], chains: Set<String> = []) {
        self.sets = sets
        self.chains = chains
    }

    public mutating func formUnion(_ other: TableScope) {
        sets.formUnion(other.sets)
        chains.formUnion(other.chains)
    }
}

/// A whole table as a value: what a dry run prints, what a dump reads, what a simulator runs.
public struct Table: Sendable, Equatable {
    public var id: TableID
    public var comment: String?
    /// As the kernel tells them.
    public var flags: TableFlags
    /// The netlink port of the socket that the table belongs to; nil for nobody's.
    public var owner: UInt32?
    /// What is in it that no value here stands for: stateful objects, flowtables, elements without a key; each by kind and
    /// name.
    public var others: [String] = []
    public var sets: [String: NamedSet]
    /// The elements of each set, by the set's name.
    public var elements: [String: [Element]]
    public var chains: [String: Chain]

    public init(_ id: TableID, comment: String? = nil, flags: TableFlags = []) {
        self.id = id
        self.comment = comment
        self.flags = flags
        sets = [:]
        elements = [:]
        chains = [:]
    }
}

extension Table {
    /// The part of it that is in the scope.
    public func limited(to scope: TableScope) -> Table {
        var part = self
        part.sets = sets.filter { scope.sets.contains($0.key) }
        part.elements = elements.filter { scope.sets.contains($0.key) }
        part.chains = chains.filter { scope.chains.contains($0.key) }
        return part
    }
}
