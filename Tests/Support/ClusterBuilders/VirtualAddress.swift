public import IPAddressing

/// Addresses that tests give to Services: out of 10.96.0.0/16 and fd00:96::/64, which no `TestCluster` uses.
public enum VirtualAddress {
    /// The networks that the addresses are in.
    public static let networks: [IPNetwork] = [
        IPNetwork(number(0, .ipv4), prefixLength: 16), IPNetwork(number(0, .ipv6), prefixLength: 64),
    ].compactMap { $0 }

    /// 10.96.0.<n> or fd00:96::<n in hexadecimal>.
    public static func number(_ n: UInt8, _ family: AddressFamily = .ipv4) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: 0x0a60_0000 + UInt32(n))
        case .ipv6: IPAddress(high: 0xfd00_0096_0000_0000, low: UInt64(n))
        }
    }

    /// One of each family.
    public static func pair(_ n: UInt8) -> [IPAddress] { AddressFamily.allCases.map { number(n, $0) } }

    /// For load balancers: 203.0.113.<n> or 2001:db8:113::<n in hexadecimal>.
    public static func loadBalancer(_ n: UInt8, _ family: AddressFamily = .ipv4) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: 0xcb00_7100 + UInt32(n))
        case .ipv6: IPAddress(high: 0x2001_0db8_0113_0000, low: UInt64(n))
        }
    }

    /// For external IPs: 198.51.100.<n> or 2001:db8:100::<n in hexadecimal>.
    public static func external(_ n: UInt8, _ family: AddressFamily = .ipv4) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: 0xc633_6400 + UInt32(n))
        case .ipv6: IPAddress(high: 0x2001_0db8_0100_0000, low: UInt64(n))
        }
    }
}
