import Agent
import HostNetwork
import IPAddressing
import KubernetesAPI
import Manifests
import NFTables
import PacketSimulator
import Ruleset
import Testing

func ip(_ text: String) -> IPAddress {
    guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
    return address
}

/// A node whose cluster is what manifests say, with nobody who checked them, and what becomes of its packets.
struct HostileNode {
    static let name = "node-1"
    static let addresses = [ip("192.0.2.1"), ip("2001:db8::1")]
    private static let nodeObject = """
        apiVersion: v1
        kind: Node
        metadata: {name: node-1}
        spec: {podCIDRs: [10.244.0.0/24, "fd00:244::/64"]}
        status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: InternalIP, address: "2001:db8::1"}]}
        """

    /// What was found wrong, in reading and in planning.
    let problems: [ObjectProblem]
    let tables: [Table]
    private var simulator: PacketSimulator
    private var port: UInt16 = 2000

    /// - Parameter isReversed: objects are taken in the opposite order; nothing may depend on it.
    init(_ manifests: String..., isReversed: Bool = false, servesExternalIPs: Bool = true) {
        let parsed = ManifestParser.parse(
            ([Self.nodeObject] + manifests).joined(separator: "\n---\n"), source: "manifests")
        let settings = ProxySettings(nodeName: Self.name, servesExternalIPs: servesExternalIPs)
        var planner = Planner(settings: settings)
        planner.hostAddresses = Self.addresses.map {
            HostAddress(
                address: $0, prefixLength: 24, interfaceIndex: 2, interfaceName: "eth0")
        }
        planner.apply(isReversed ? parsed.objects.reversed() : parsed.objects)
        let step = planner.step()
        var compiler = RulesetCompiler(nodeName: Self.name, settings: settings.ruleset)
        let found = compiler.update(step.plans).problems.new
        _ = compiler.update(environment: planner.environment)
        problems = parsed.problems + step.newProblems + found
        tables = AddressFamily.allCases.map { compiler.table($0) }
        simulator = PacketSimulator(node: .init(addresses: Self.addresses))
        do {
            try simulator.apply(compiler.repair([:]).operations)
        } catch {
            Issue.record("the transaction was refused: \(error)")
        }
    }

    var messages: [String] { problems.map(\.description) }

    /// The script that a dry run prints.
    var script: String {
        var text = ""
        NFTText.print(tables, replacing: true, to: &text)
        return text
    }

    /// What becomes of a pod's new connection: the endpoint that it reaches, `refused`, `dropped` or `untouched`.
    mutating func fate(_ address: String, _ number: UInt16 = 80, _ transport: TransportProtocol = .tcp)
        -> String
    {
        port += 1
        let destination = AddressPort(ip(address), number)
        let client = destination.address.family == .ipv4 ? ip("10.244.0.99") : ip("fd00:244::99")
        let result = simulator.send(
            Packet(
                transport, from: AddressPort(client, port), to: destination,
                origin: .forwarded(inputInterface: "veth0")))
        return switch result.fate {
        case .delivered(let to, _, _): "\(to.address)"
        case .refused: "refused"
        case .dropped: "dropped"
        case .untouched: "untouched"
        }
    }
}

/// Manifests as a user writes them.
enum Text {
    /// `shop/<name>` with port 80 and the endpoint `10.244.0.<number>`.
    static func service(
        _ name: String, _ namespace: String = "shop", ip: String, created: Int? = nil, endpoint: String,
        ports: String = "[{port: 80}]", _ more: String = "", tail: String = ""
    ) -> String {
        let time =
            created.map { ", creationTimestamp: \"20\($0 < 10 ? "0" : "")\($0)-01-01T00:00:00Z\"" } ?? ""
        return """
            apiVersion: v1
            kind: Service
            metadata: {name: \(name), namespace: \(namespace)\(time)}
            spec: {clusterIP: "\(ip)", ports: \(ports)\(more.isEmpty ? "" : ", ")\(more)}
            \(tail)
            ---
            \(slice(name, namespace, endpoint: endpoint))
            """
    }

    static func slice(_ service: String, _ namespace: String = "shop", endpoint: String) -> String {
        """
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: \(service)-1, namespace: \(namespace), labels: {kubernetes.io/service-name: \(service)}}
        addressType: \(endpoint.contains(":") ? "IPv6" : "IPv4")
        endpoints: [{addresses: ["\(endpoint)"]}]
        ports: [{port: 8080}]
        """
    }
}
