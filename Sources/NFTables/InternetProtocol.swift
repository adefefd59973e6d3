/// A number of the IANA protocol registry, as in `meta l4proto` and `type inet_proto`.
public struct InternetProtocol: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let icmp = InternetProtocol(rawValue: 1)
    public static let tcp = InternetProtocol(rawValue: 6)
    public static let udp = InternetProtocol(rawValue: 17)
    public static let icmpv6 = InternetProtocol(rawValue: 58)
    public static let sctp = InternetProtocol(rawValue: 132)

    /// nft's name; nil for a protocol that is printed as a number.
    public var name: StaticString? {
        switch rawValue {
        case 1: "icmp"
        case 2: "igmp"
        case 6: "tcp"
        case 17: "udp"
        case 33: "dccp"
        case 47: "gre"
        case 50: "esp"
        case 51: "ah"
        case 58: "ipv6-icmp"
        case 132: "sctp"
        case 136: "udplite"
        default: nil
        }
    }

    var value: RegisterValue { RegisterValue(CollectionOfOne(rawValue)) }
}

extension InternetProtocol: CustomStringConvertible {
    public var description: String { name.map { "\($0)" } ?? String(rawValue) }
}
