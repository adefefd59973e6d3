/// The transport protocols a Service port can have; the raw value is the IANA protocol number.
public enum TransportProtocol: UInt8, Sendable, Hashable, CaseIterable, Comparable {
    case tcp = 6
    case udp = 17
    case sctp = 132

    /// Kubernetes' spelling: `TCP`, `UDP`, `SCTP`.
    public init?(kubernetesName: String) {
        switch kubernetesName {
        case "TCP": self = .tcp
        case "UDP": self = .udp
        case "SCTP": self = .sctp
        default: return nil
        }
    }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

extension TransportProtocol: CustomStringConvertible {
    /// nft's spelling: `tcp`, `udp`, `sctp`.
    public var description: String {
        switch self {
        case .tcp: "tcp"
        case .udp: "udp"
        case .sctp: "sctp"
        }
    }
}

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
