/// The protocol family of a table (`NFPROTO_*` of linux/netfilter.h).
public enum Family: UInt8, Sendable, Hashable, CaseIterable, Comparable {
    case inet = 1
    case ip = 2
    case arp = 3
    case netdev = 5
    case bridge = 7
    case ip6 = 10

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

extension Family: CustomStringConvertible {
    /// nft's keyword: `ip`, `ip6`, `inet` …
    public var description: String {
        switch self {
        case .inet: "inet"
        case .ip: "ip"
        case .arp: "arp"
        case .netdev: "netdev"
        case .bridge: "bridge"
        case .ip6: "ip6"
        }
    }
}

/// The family and name that together identify a table in a network namespace.
public struct TableID: Sendable, Hashable, Comparable {
    public let family: Family
    /// At most 255 bytes (`NFT_TABLE_MAXNAMELEN`).
    public let name: String

    public init(_ family: Family, _ name: String) {
        self.family = family
        self.name = name
    }

    public static func < (a: Self, b: Self) -> Bool {
        (a.family, a.name) < (b.family, b.name)
    }
}

extension TableID: CustomStringConvertible {
    /// As after `nft list table`: `ip sluice`.
    public var description: String { "\(family) \(name)" }
}
