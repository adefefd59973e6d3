import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
public import ServiceModel

/// Which set of kube-proxy's table remembers whose clients:
/// `affinity-<hash>-<namespace>/<service>/<protocol>/<port>__<address>/<port>`, in which an IPv6 address has full stops
/// for colons.
///
/// A name of more than 240 characters is cut and ends in three full stops: it says nothing any more.
struct AffinitySetName: Equatable {
    let port: ServicePortID
    let endpoint: AddressPort

    private static let prefix = "affinity-"
    private static let hashLength = 8

    static func isOne(_ name: String) -> Bool { name.hasPrefix(prefix) }

    /// Nil for a name that isn't of this form.
    init?(_ name: String, _ family: AddressFamily) {
        guard Self.isOne(name) else { return nil }
        let rest = name.dropFirst(Self.prefix.count)
        guard rest.dropFirst(Self.hashLength).first == "-" else { return nil }
        let parts = rest.dropFirst(Self.hashLength + 1).split(
            separator: "/", omittingEmptySubsequences: false)
        // The port's name, which may be empty, and the endpoint's address share a part; neither holds a `_`.
        guard parts.count == 5, !parts[0].isEmpty, !parts[1].isEmpty,
            let transport = TransportProtocol.allCases.first(where: { "\($0)" == parts[2] }),
            let bar = parts[3].firstRange(of: "__"), let number = UInt16(parts[4]), number > 0
        else { return nil }
        let text = String(parts[3][bar.upperBound...])
        guard
            let address = IPAddress(
                family == .ipv4 ? text : String(text.map { $0 == "." ? ":" : $0 })),
            address.family == family
        else { return nil }
        port = ServicePortID(
            service: ObjectName(namespace: String(parts[0]), name: String(parts[1])), transport: transport,
            port: String(parts[3][..<bar.lowerBound]))
        endpoint = AddressPort(address, number)
    }
}

/// The ClientIP affinity that kube-proxy's nftables mode holds.
public struct HeldAffinity: Sendable, Equatable {
    /// The clients of each service port, each client once, in the order of their addresses.
    public internal(set) var clients: [ServicePortID: [LedClient]] = [:]
    /// Sets that remember clients, and don't tell whose.
    public internal(set) var unreadable = 0

    public init() {}

    public var count: Int { clients.values.reduce(0) { $0 + $1.count } }

    /// Adds what the sets of one table hold.
    ///
    /// kube-proxy asks one set after the other and writes again to the one that led a client: where several know the
    /// client, the one that has it for longest led it last.
    mutating func add(_ sets: [(name: String, elements: [Element])], _ family: AddressFamily) {
        var best: [ServicePortID: [IPAddress: LedClient]] = [:]
        for set in sets {
            guard let name = AffinitySetName(set.name, family) else {
                unreadable += set.elements.isEmpty ? 0 : 1
                continue
            }
            for element in set.elements {
                guard let client = IPAddress(bytes: element.key.bytes), let remaining = element.expiration,
                    remaining > 0
                else { continue }
                if let other = best[name.port]?[client], other.remaining >= remaining { continue }
                best[name.port, default: [:]][client] = LedClient(
                    client: client, endpoint: name.endpoint, remaining: remaining)
            }
        }
        for (port, clients) in best {
            self.clients[port, default: []] += clients.values.sorted { $0.client < $1.client }
        }
    }
}
