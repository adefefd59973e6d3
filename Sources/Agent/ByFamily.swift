import IPAddressing
import PrometheusMetrics

/// One instrument for each address family, looked up once.
struct ByFamily<Member: Instrument>: Sendable {
    private let ipv4: Member
    private let ipv6: Member

    /// - Parameter make: gives the instrument for a value of the label `ip_family`.
    init(_ make: (_ family: String) -> Member) {
        ipv4 = make(Self.label(.ipv4))
        ipv6 = make(Self.label(.ipv6))
    }

    init(_ vector: InstrumentVector<Member>) { self.init { vector[$0] } }

    subscript(_ family: AddressFamily) -> Member { family == .ipv4 ? ipv4 : ipv6 }

    var all: [Member] { [ipv4, ipv6] }

    /// As kube-proxy says it (`v1.IPFamily`).
    static func label(_ family: AddressFamily) -> String { family.name }
}
