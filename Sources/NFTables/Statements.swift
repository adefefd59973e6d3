/// One statement of a rule in nft's grammar. `Syntax` reads it from instructions, `Assembler` makes the
/// instructions that nft itself would make, `NFTText` and `NFTJSON` print it.
public enum Statement: Sendable, Hashable {
    /// What a term is compared with.
    public enum Operand: Sendable, Hashable {
        case value(RegisterValue)
        /// An address whose first `bits` count: `10.0.0.0/8`.
        case prefix(RegisterValue, bits: Int)
        /// From the first to the last, both included.
        case range(RegisterValue, RegisterValue)
        /// Any of these bits: `ct status dnat`.
        case flags(RegisterValue)
        /// An interface name that begins so: `"cni*"`.
        case beginning(RegisterValue)
        /// `@name`
        case set(String)
    }

    /// Where a NAT statement sends the packet.
    public enum Destination: Sendable, Hashable {
        case address(Term)
        case port(Term)
        case addressPort(address: Term, port: Term)
        /// A map whose data holds both.
        case addressAndPort(Term)
    }

    case match(Term, Expression.Comparison, Operand)
    /// `key vmap @name`
    case verdictMap(Term, name: String)
    case verdict(Verdict)
    case nat(Expression.NATKind, Family, to: Destination, flags: Expression.NATFlags)
    case masquerade(flags: Expression.NATFlags)
    case reject(Expression.Rejection)
    /// `update @set { key timeout T : data }`, milliseconds.
    case dynamicSet(Expression.DynamicOperation, set: String, key: Term, data: Term?, timeout: UInt64?)
    case counter
    case setMeta(Expression.MetaKey, Term)
    /// What nft's grammar cannot say; the text is for people.
    case opaque(String)
}

extension Statement {
    /// `meta l4proto tcp`
    public static func l4proto(_ number: InternetProtocol) -> Statement {
        .match(.l4proto, .equal, .value(number.value))
    }

    /// `ct protocol tcp`
    public static func ctProtocol(_ number: InternetProtocol) -> Statement {
        .match(.ctProtocol, .equal, .value(number.value))
    }

    /// `th dport 8080`
    public static func thDport(_ port: UInt16) -> Statement {
        .match(.thDport, .equal, .value(RegisterValue(port: port)))
    }

    /// `term @set`; `term != @set` when `isMember` is false.
    public static func member(_ term: Term, of set: String, isMember: Bool = true) -> Statement {
        .match(term, isMember ? .equal : .notEqual, .set(set))
    }

    /// `a . b @set`
    public static func member(_ terms: [Term], of set: String) -> Statement {
        member(.concatenation(terms), of: set)
    }

    /// `ct status dnat`: the connection's destination is translated (`IPS_DST_NAT`).
    public static var ctStatusDNAT: Statement { .match(.ctStatus, .equal, .flags(RegisterValue(host: 0x20))) }

    /// `ct status snat` (`IPS_SRC_NAT`).
    public static var ctStatusSNAT: Statement { .match(.ctStatus, .equal, .flags(RegisterValue(host: 0x10))) }

    /// `a . b . c vmap @map`
    public static func verdictMap(_ terms: [Term], in map: String) -> Statement {
        .verdictMap(.concatenation(terms), name: map)
    }

    /// `dnat ip to key map @map`, where the map's data is `address . port`.
    public static func dnat(_ family: Family, addressAndPortFrom map: String, key: [Term]) -> Statement {
        .nat(
            .destination, family, to: .addressAndPort(.map(key: Term(concatenating: key), name: map)),
            flags: []
        )
    }

    /// `dnat to key map @map : port`, where the map's data is an address.
    public static func dnat(_ family: Family, addressFrom map: String, key: [Term], port: UInt16) -> Statement
    {
        let address = Term.map(key: Term(concatenating: key), name: map)
        let port = Term.constant(RegisterValue(port: port))
        return .nat(.destination, family, to: .addressPort(address: address, port: port), flags: [])
    }

    /// `dnat to 192.0.2.1:80`; the address in network byte order, the port in host byte order.
    public static func dnat(_ family: Family, address: RegisterValue, port: UInt16) -> Statement {
        let port = Term.constant(RegisterValue(port: port))
        return .nat(
            .destination, family, to: .addressPort(address: .constant(address), port: port), flags: [])
    }

    /// `update @map { key timeout T : data }`, milliseconds.
    public static func update(_ map: String, key: Term, data: Term?, timeout: UInt64?) -> Statement {
        .dynamicSet(.update, set: map, key: key, data: data, timeout: timeout)
    }

    public static var masquerade: Statement { .masquerade(flags: []) }

    /// `reject`: ICMP port unreachable (code 3), in IPv6 ICMPv6 port unreachable (code 4).
    public static func rejectPortUnreachable(_ family: Family) -> Statement {
        .reject(.unreachable(code: family == .ip6 ? 4 : 3))
    }

    public static var rejectTCPReset: Statement { .reject(.tcpReset) }
    public static var drop: Statement { .verdict(.drop) }
    public static var accept: Statement { .verdict(.accept) }
    public static var `return`: Statement { .verdict(.return) }
    public static func jump(_ chain: String) -> Statement { .verdict(.jump(chain)) }
    public static func goto(_ chain: String) -> Statement { .verdict(.goto(chain)) }
}

extension Term {
    /// One term as it is, several side by side.
    public init(concatenating terms: [Term]) {
        self = if let only = terms.first, terms.count == 1 { only } else { .concatenation(terms) }
    }
}

extension RegisterValue {
    /// A port, given in host byte order: two bytes in network byte order.
    public init(port: UInt16) {
        self.init([UInt8(truncatingIfNeeded: port >> 8), UInt8(truncatingIfNeeded: port)])
    }

    /// A 32-bit number in the machine's byte order, as marks, flags and `numgen` lie in a register.
    public init(host value: UInt32) {
        self.init()
        withUnsafeBytes(of: value) { for byte in $0 { append(byte) } }
    }

    /// The number behind 4 bytes in the machine's byte order.
    var hostNumber: UInt32 {
        var value: UInt32 = 0
        withUnsafeMutableBytes(of: &value) { for i in 0..<min(4, count) { $0[i] = self[i] } }
        return value
    }

    /// The number behind the first 8 bytes in network byte order.
    var networkNumber: UInt64 {
        var value: UInt64 = 0
        for i in 0..<min(8, count) { value = value << 8 | UInt64(self[i]) }
        return value
    }

    var isZero: Bool { (0..<count).allSatisfy { self[$0] == 0 } }
    var isAllOnes: Bool { (0..<count).allSatisfy { self[$0] == 0xff } }

    /// The first `length` bytes.
    func prefix(_ length: Int) -> RegisterValue {
        RegisterValue((0..<min(length, count)).lazy.map { self[$0] })
    }

    /// With zero bytes behind it, `length` bytes in all.
    func padded(to length: Int) -> RegisterValue {
        var result = self
        while result.count < length { result.append(0) }
        return result
    }

    /// How many leading bits are set, when no others are.
    var prefixBits: Int? {
        var bits = 0
        var ended = false
        for i in 0..<count {
            let byte = self[i]
            if ended {
                guard byte == 0 else { return nil }
            } else {
                let ones = (~byte).leadingZeroBitCount
                guard byte == UInt8(truncatingIfNeeded: 0xff00 >> ones) else { return nil }
                bits += ones
                ended = ones < 8
            }
        }
        return bits
    }

    /// `length` bytes of which the first `bits` bits are set.
    static func mask(bits: Int, length: Int) -> RegisterValue {
        RegisterValue(
            (0..<length).lazy.map { UInt8(truncatingIfNeeded: 0xff00 >> max(0, min(8, bits - $0 * 8))) })
    }
}
