/// A CIDR block (RFC 4632): a network address and a prefix length in bits.
public struct IPNetwork: Hashable, Sendable {
    /// The first address; host bits are zero.
    public let address: IPAddress
    /// Bits of the prefix: 0 to 32, or 0 to 128.
    public let prefixLength: Int

    /// The block that `address` lies in; nil when the length doesn't fit the family.
    public init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...address.family.bitWidth).contains(prefixLength) else { return nil }
        self.prefixLength = prefixLength
        self.address = Self.keep(prefixLength, of: address)
    }

    /// Parses `address/length`; host bits are cleared. Nil when it isn't a CIDR.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]),
            let length = Int(parts[1]), !parts[1].hasPrefix("+"), !parts[1].hasPrefix("-"),
            parts[1] == "0" || !parts[1].hasPrefix("0")
        else { return nil }
        self.init(address, prefixLength: length)
    }

    /// Parses what kube-proxy and API servers take (`netutils.ParseCIDRSloppy`): as above, and numbers of IPv4 and
    /// the length may have leading zeros, which mean nothing.
    public init?(lenient text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(lenient: parts[0]),
            parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let length = Int(parts[1])
        else { return nil }
        self.init(address, prefixLength: length)
    }

    public var family: AddressFamily { address.family }

    /// The last address of the block.
    public var lastAddress: IPAddress {
        switch family {
        case .ipv4:
            let host = prefixLength == 32 ? 0 : UInt32.max >> UInt32(prefixLength)
            return IPAddress(ipv4: UInt32(truncatingIfNeeded: address.low) | host)
        case .ipv6:
            let (high, low) = Self.mask(prefixLength)
            return IPAddress(high: address.high | ~high, low: address.low | ~low)
        }
    }

    public func contains(_ other: IPAddress) -> Bool {
        other.family == family && Self.keep(prefixLength, of: other) == address
    }

    private static func mask(_ length: Int) -> (high: UInt64, low: UInt64) {
        let high = length >= 64 ? UInt64.max : ~(UInt64.max >> UInt64(length))
        let low = length <= 64 ? 0 : length == 128 ? UInt64.max : ~(UInt64.max >> UInt64(length - 64))
        return (high, low)
    }

    private static func keep(_ length: Int, of address: IPAddress) -> IPAddress {
        switch address.family {
        case .ipv4:
            let mask = length == 0 ? 0 : UInt32.max << UInt32(32 - length)
            return IPAddress(ipv4: UInt32(truncatingIfNeeded: address.low) & mask)
        case .ipv6:
            let (high, low) = mask(length)
            return IPAddress(high: address.high & high, low: address.low & low)
        }
    }
}

extension IPNetwork: CustomStringConvertible {
    public var description: String { "\(address)/\(prefixLength)" }
}
