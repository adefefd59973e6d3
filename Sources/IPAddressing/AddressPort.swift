/// A transport endpoint: an address and a port (host byte order).
public struct AddressPort: Hashable, Sendable, Comparable {
    public let address: IPAddress
    public let port: UInt16

    public init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    public static func < (a: Self, b: Self) -> Bool { (a.address, a.port) < (b.address, b.port) }
}

extension AddressPort: CustomStringConvertible {
    /// `192.0.2.1:80` or `[2001:db8::1]:80`.
    public var description: String {
        address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

extension AddressPort {
    /// Parses `192.0.2.1:80` or `[2001:db8::1]:80`; nil for anything else, and for port 0. Leading zeros
    /// of IPv4 numbers are passed over, as kube-proxy does.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let (host, digits) = (text[..<colon], text[text.index(after: colon)...])
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits), port > 0
        else { return nil }
        // As Go's net.SplitHostPort: brackets may be around any address, and must be around one with colons.
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        guard isBracketed || !host.contains(":"),
            let address = IPAddress(lenient: isBracketed ? host.dropFirst().dropLast() : host)
        else { return nil }
        self.init(address, port)
    }
}
