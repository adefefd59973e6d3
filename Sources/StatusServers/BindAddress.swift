import HTTPServing
public import IPAddressing

/// Where a server listens: `healthzBindAddress` and `metricsBindAddress`.
public struct BindAddress: Sendable, Hashable {
    /// Nil: all addresses of both families.
    public let address: IPAddress?
    public let port: UInt16

    /// - Parameter address: 0.0.0.0 and :: are all addresses of both families, as for kube-proxy, and so is nil.
    public init(_ address: IPAddress?, port: UInt16) {
        self.address = address.flatMap { HTTPPort.allAddresses.contains($0) ? nil : $0 }
        self.port = port
    }

    public struct ParseError: Error, Sendable, Equatable, CustomStringConvertible {
        public let description: String
    }

    /// - Parameter text: `192.0.2.1:10256`, `[2001:db8::1]:10256`; no address, 0.0.0.0 and [::] are all addresses of
    ///   both families, as for kube-proxy.
    public init(_ text: String) throws(ParseError) {
        func refuse(_ why: String) -> ParseError {
            ParseError(
                description:
                    "'\(text)' is no address with a port, such as 0.0.0.0:10256 or [::1]:10249: \(why)")
        }
        guard let colon = text.lastIndex(of: ":") else { throw refuse("there is no port") }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits), port > 0
        else { throw refuse("'\(digits)' is not a port (1 to 65535)") }
        var host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        if host.isEmpty, !isBracketed {
            self.init(nil, port: port)
            return
        }
        guard let address = IPAddress(lenient: String(host)) else {
            throw refuse("'\(host)' is not an IP address")
        }
        guard isBracketed == (address.family == .ipv6) else {
            throw refuse("brackets belong around an IPv6 address, and around nothing else")
        }
        self.init(address, port: port)
    }

    /// As the flags and the configuration have it.
    ///
    /// - Returns: nil for the empty text, which switches the server off.
    public static func parse(_ text: String) throws(ParseError) -> BindAddress? {
        text.isEmpty ? nil : try BindAddress(text)
    }

    /// What is to be bound.
    var addresses: [IPAddress] { address.map { [$0] } ?? HTTPPort.allAddresses }
}

extension BindAddress: CustomStringConvertible {
    /// `0.0.0.0:10256` for all addresses.
    public var description: String { "\(AddressPort(address ?? IPAddress(ipv4: 0), port))" }
}
