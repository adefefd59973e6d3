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
