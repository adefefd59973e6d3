/// The data types of nft, with the numbers nft stores in `NFTA_SET_KEY_TYPE` (`enum datatypes` of nft).
///
/// The kernel ignores the number; nft needs it to print the elements of a set.
public enum Datatype: UInt32, Sendable, Hashable {
    case integer = 4
    case ipv4Address = 7
    case ipv6Address = 8
    case etherAddress = 9
    case internetProtocol = 12
    case internetService = 13
    case mark = 19
    case interfaceIndex = 20
    case interfaceName = 41

    /// Bytes of one value.
    public var length: Int {
        switch self {
        case .internetProtocol: 1
        case .internetService: 2
        case .integer, .ipv4Address, .mark, .interfaceIndex: 4
        case .etherAddress: 6
        case .ipv6Address, .interfaceName: 16
        }
    }

    /// nft's name, as in `type ipv4_addr . inet_service`.
    public var name: String {
        switch self {
        case .integer: "integer"
        case .ipv4Address: "ipv4_addr"
        case .ipv6Address: "ipv6_addr"
        case .etherAddress: "ether_addr"
        case .internetProtocol: "inet_proto"
        case .internetService: "inet_service"
        case .mark: "mark"
        case .interfaceIndex: "iface_index"
        case .interfaceName: "ifname"
        }
    }

    /// True where the value lies in registers in the machine's byte order.
    public var isHostByteOrder: Bool {
        switch self {
        case .integer, .mark, .interfaceIndex, .interfaceName: true
        default: false
        }
    }
}

/// What a set's key or a map's data is made of: one type, or several in a concatenation.
public struct Shape: Sendable, Hashable {
    /// One type a field.
    public let types: [Datatype]
    /// The expressions of a `typeof` declaration, one a field; nil for a `type` declaration.
    public let typeof: [SelectorExpression]?

    /// `type a . b . c`
    public init(_ types: Datatype...) {
        self.types = types
        self.typeof = nil
    }

    /// `type a . b . c`
    public init(types: [Datatype]) {
        self.types = types
        self.typeof = nil
    }

    /// `typeof a . b . c`: the types follow from the expressions.
    public init(typeof expressions: SelectorExpression...) {
        self.init(typeof: expressions)
    }

    /// `typeof a . b . c`: the types follow from the expressions.
    public init(typeof expressions: [SelectorExpression]) {
        types = expressions.map(\.type)
        typeof = expressions
    }

    public var isConcatenation: Bool { types.count > 1 }

    /// Bytes that a value takes in registers: each field of a concatenation fills whole 4-byte registers.
    public var length: Int {
        isConcatenation ? types.reduce(0) { $0 + ($1.length + 3) / 4 * 4 } : types.first?.length ?? 0
    }

    /// `NFTA_SET_KEY_TYPE`: six bits a field, the last field lowest.
    public var typeNumber: UInt32 { types.reduce(0) { $0 << 6 | $1.rawValue } }

    /// The shape behind a type number; nil when it holds a type this library doesn't know.
    public init?(typeNumber: UInt32) {
        var rest = typeNumber
        var types: [Datatype] = []
        while rest != 0 {
            guard let type = Datatype(rawValue: rest & 0x3f) else { return nil }
            types.insert(type, at: 0)
            rest >>= 6
        }
        guard !types.isEmpty else { return nil }
        self.init(types: types)
    }
}

/// The expressions that this library can name in a `typeof` declaration.
public enum SelectorExpression: Sendable, Hashable {
    case ipSaddr, ipDaddr, ip6Saddr, ip6Daddr
    /// `th sport`, `th dport`: the ports of whichever transport protocol.
    case thSport, thDport
    /// `numgen inc mod N`
    case numgenIncremental(modulus: UInt32)

    public var type: Datatype {
        switch self {
        case .ipSaddr, .ipDaddr: .ipv4Address
        case .ip6Saddr, .ip6Daddr: .ipv6Address
        case .thSport, .thDport: .internetService
        case .numgenIncremental: .integer
        }
    }
}
