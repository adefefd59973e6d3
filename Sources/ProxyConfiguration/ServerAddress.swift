public import IPAddressing

/// Where a server listens.
public struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
    public var address: IPAddress
    public var port: UInt16

    public init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// Parses `192.0.2.1:80` or `[2001:db8::1]:80`; nil for anything else, and for port 0.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let (host, port) = (text[..<colon], text[text.index(after: colon)...])
        guard port.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt16(port), number > 0 else {
            return nil
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        guard let address = IPAddress(lenient: isBracketed ? host.dropFirst().dropLast() : host),
            isBracketed || !host.contains(":")
        else { return nil }
        self.init(address, port: number)
    }

    public var description: String { address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }

    /// `text` with a port, where it is an address without one; anything else as it is.
    static func withPort(_ text: String, default port: UInt16) -> String {
        if let address = IPAddress(lenient: text) { return ServerAddress(address, port: port).description }
        return text
    }
}
