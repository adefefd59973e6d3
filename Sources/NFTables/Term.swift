/// A value in a rule, as nft's grammar writes it: what a register holds, told symbolically.
public indirect enum Term: Sendable, Hashable {
    case payload(Expression.PayloadBase, offset: UInt32, length: UInt32)
    case meta(Expression.MetaKey)
    case conntrack(Expression.ConntrackKey, Expression.Direction?)
    case fib(Expression.FIBResult, Expression.FIBFlags)
    case numgen(Expression.NumgenKind, modulus: UInt32, offset: UInt32)
    /// `(term & mask) ^ xor`
    case bitwise(Term, mask: RegisterValue, xor: RegisterValue)
    case constant(RegisterValue)
    /// `a . b . c`
    case concatenation([Term])
    /// `key map @name`
    case map(key: Term, name: String)
}

extension Term {
    public static let ipSaddr = payload(.network, offset: 12, length: 4)
    public static let ipDaddr = payload(.network, offset: 16, length: 4)
    public static let ip6Saddr = payload(.network, offset: 8, length: 16)
    public static let ip6Daddr = payload(.network, offset: 24, length: 16)
    public static let thSport = payload(.transport, offset: 0, length: 2)
    public static let thDport = payload(.transport, offset: 2, length: 2)
    public static let l4proto = meta(.l4proto)
    public static let ctProtocol = conntrack(.protocolNumber, nil)
    public static let ctStatus = conntrack(.status, nil)
    public static let ctOriginalProtoDst = conntrack(.destinationPort, .original)

    /// The source address in the header of the family.
    public static func saddr(_ family: Family) -> Term { family == .ip6 ? .ip6Saddr : .ipSaddr }
    /// The destination address in the header of the family.
    public static func daddr(_ family: Family) -> Term { family == .ip6 ? .ip6Daddr : .ipDaddr }
    /// `ct original ip daddr`: where the connection's first packet was sent before any translation.
    public static func ctOriginalDaddr(_ family: Family) -> Term {
        .conntrack(family == .ip6 ? .destinationAddress6 : .destinationAddress4, .original)
    }
    /// `ct original ip saddr`
    public static func ctOriginalSaddr(_ family: Family) -> Term {
        .conntrack(family == .ip6 ? .sourceAddress6 : .sourceAddress4, .original)
    }
    /// `numgen inc mod N offset M`: strict rotation.
    public static func numgenIncremental(modulus: UInt32, offset: UInt32 = 0) -> Term {
        .numgen(.incremental, modulus: modulus, offset: offset)
    }
}

extension Term {
    /// Bytes it takes in a register; nil where only the map that it comes from knows.
    var length: Int? {
        switch self {
        case .payload(_, _, let length): Int(length)
        case .meta(let key): key.length
        case .conntrack(let key, _): key.length
        case .fib(let result, _): result == .outputInterfaceName ? 16 : 4
        case .numgen: 4
        case .bitwise(let term, _, _): term.length
        case .constant(let value): value.count
        case .concatenation, .map: nil
        }
    }

    /// How constants that it is compared with are written.
    func kind(in family: Family) -> ValueKind {
        switch self {
        case .payload(let base, let offset, let length):
            switch PayloadField(base, offset: offset, length: length, in: family) {
            case .saddr4, .daddr4: .ipv4Address
            case .saddr6, .daddr6: .ipv6Address
            case .sport, .dport: .port
            case .protocol4, .nextHeader6: .internetProtocol
            case nil: .networkNumber
            }
        case .meta(let key): key.kind
        case .conntrack(let key, _): key.kind(in: family)
        case .fib(let result, _):
            switch result {
            case .outputInterface: .interfaceIndex
            case .outputInterfaceName: .interfaceName
            case .addressType: .addressType
            }
        case .numgen: .hostNumber
        case .bitwise(let term, _, _): term.kind(in: family)
        case .constant, .concatenation, .map: .networkNumber
        }
    }
}

/// How the bytes of one value are written.
enum ValueKind: Sendable {
    case ipv4Address, ipv6Address, etherAddress, internetProtocol, port
    case interfaceIndex, interfaceName, addressType
    case mark, hostNumber, networkNumber
    case ctState, ctStatus, ctDirection, etherType, nfproto

    init(_ type: Datatype) {
        switch type {
        case .integer: self = .hostNumber
        case .ipv4Address: self = .ipv4Address
        case .ipv6Address: self = .ipv6Address
        case .etherAddress: self = .etherAddress
        case .internetProtocol: self = .internetProtocol
        case .internetService: self = .port
        case .mark: self = .mark
        case .interfaceIndex: self = .interfaceIndex
        case .interfaceName: self = .interfaceName
        }
    }

    /// True where a comparison with leading bits is written as a prefix.
    var isAddress: Bool { self == .ipv4Address || self == .ipv6Address }
}

/// The header fields that nft names.
enum PayloadField: String, Sendable {
    case saddr4 = "ip saddr"
    case daddr4 = "ip daddr"
    case protocol4 = "ip protocol"
    case saddr6 = "ip6 saddr"
    case daddr6 = "ip6 daddr"
    case nextHeader6 = "ip6 nexthdr"
    case sport = "th sport"
    case dport = "th dport"

    init?(_ base: Expression.PayloadBase, offset: UInt32, length: UInt32, in family: Family) {
        switch (base, offset, length) {
        case (.network, 12, 4) where family != .ip6: self = .saddr4
        case (.network, 16, 4) where family != .ip6: self = .daddr4
        case (.network, 9, 1) where family != .ip6: self = .protocol4
        case (.network, 8, 16) where family != .ip: self = .saddr6
        case (.network, 24, 16) where family != .ip: self = .daddr6
        case (.network, 6, 1) where family != .ip: self = .nextHeader6
        case (.transport, 0, 2): self = .sport
        case (.transport, 2, 2): self = .dport
        default: return nil
        }
    }

    /// The whole address of which these are the leading bytes: nft loads no more than a prefix needs.
    static func address(
        _ base: Expression.PayloadBase, offset: UInt32, prefix length: UInt32, in family: Family
    ) -> Term? {
        guard base == .network else { return nil }
        switch offset {
        case 12 where family != .ip6 && length < 4: return .ipSaddr
        case 16 where family != .ip6 && length < 4: return .ipDaddr
        case 8 where family != .ip && length < 16: return .ip6Saddr
        case 24 where family != .ip && length < 16: return .ip6Daddr
        default: return nil
        }
    }
}

extension Expression.MetaKey {
    var length: Int {
        switch self {
        case .nfproto, .l4proto: 1
        case .protocolNumber: 2
        case .length, .mark, .inputInterface, .outputInterface: 4
        case .inputInterfaceName, .outputInterfaceName: 16
        }
    }

    var kind: ValueKind {
        switch self {
        case .length: .hostNumber
        case .protocolNumber: .etherType
        case .mark: .mark
        case .inputInterface, .outputInterface: .interfaceIndex
        case .inputInterfaceName, .outputInterfaceName: .interfaceName
        case .nfproto: .nfproto
        case .l4proto: .internetProtocol
        }
    }

    /// The key in nft's text, and whether `meta` must stand before it.
    var name: String {
        switch self {
        case .length: "length"
        case .protocolNumber: "protocol"
        case .mark: "mark"
        case .inputInterface: "iif"
        case .outputInterface: "oif"
        case .inputInterfaceName: "iifname"
        case .outputInterfaceName: "oifname"
        case .nfproto: "nfproto"
        case .l4proto: "l4proto"
        }
    }

    var isUnqualified: Bool {
        switch self {
        case .inputInterface, .outputInterface, .inputInterfaceName, .outputInterfaceName: true
        default: false
        }
    }
}

extension Expression.ConntrackKey {
    /// Nil for the addresses whose length depends on the connection.
    var length: Int? {
        switch self {
        case .state, .status, .mark: 4
        case .direction, .l3protocol, .protocolNumber: 1
        case .sourcePort, .destinationPort: 2
        case .sourceAddress4, .destinationAddress4: 4
        case .sourceAddress6, .destinationAddress6: 16
        case .sourceAddress, .destinationAddress: nil
        }
    }

    func kind(in family: Family) -> ValueKind {
        switch self {
        case .state: .ctState
        case .direction: .ctDirection
        case .status: .ctStatus
        case .mark: .mark
        case .l3protocol: .nfproto
        case .protocolNumber: .internetProtocol
        case .sourcePort, .destinationPort: .port
        case .sourceAddress4, .destinationAddress4: .ipv4Address
        case .sourceAddress6, .destinationAddress6: .ipv6Address
        case .sourceAddress, .destinationAddress: family == .ip6 ? .ipv6Address : .ipv4Address
        }
    }

    /// The key in nft's text.
    var name: String {
        switch self {
        case .state: "state"
        case .direction: "direction"
        case .status: "status"
        case .mark: "mark"
        case .l3protocol: "l3proto"
        case .sourceAddress: "saddr"
        case .destinationAddress: "daddr"
        case .protocolNumber: "protocol"
        case .sourcePort: "proto-src"
        case .destinationPort: "proto-dst"
        case .sourceAddress4: "ip saddr"
        case .destinationAddress4: "ip daddr"
        case .sourceAddress6: "ip6 saddr"
        case .destinationAddress6: "ip6 daddr"
        }
    }
}
