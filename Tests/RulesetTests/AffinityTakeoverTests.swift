import IPAddressing
import KubernetesAPI
import NFTables
import ServiceModel
import Testing

@testable import Ruleset

@Suite("Which maps take clients that another proxy led")
struct AffinityTakeoverTests {
    private static let id = ServicePortID(
        service: ObjectName(namespace: "default", name: "web"), transport: .tcp, port: "http")

    private static func endpoint(_ number: UInt32, _ port: UInt16) -> AddressPort {
        AddressPort(IPAddress(ipv4: 0x0af4_0000 + number), port)
    }

    /// Endpoints 1 to 3 on port 8080 and 4 on 9090; 1 and 2 are this node's, where external traffic stays.
    private static func compiler() -> RulesetCompiler {
        let all = [endpoint(1, 8080), endpoint(2, 8080), endpoint(3, 8080), endpoint(4, 9090)].map {
            PoolEndpoint($0, isHairpin: false)
        }
        let address = IPAddress(ipv4: 0x0a60_0001)
        let port = PortPlan(
            id: id, family: .ipv4,
            frontends: [
                Frontend(.clusterIP, address, port: 80, policy: .cluster),
                Frontend(.loadBalancer(sources: nil), IPAddress(ipv4: 0xcb00_7101), port: 80, policy: .local),
            ], cluster: .endpoints(all), local: .endpoints(Array(all.prefix(2))), affinityTimeout: 100)
        var compiler = RulesetCompiler(nodeName: "node")
        _ = compiler.update([
            (id.service, ServicePlan(name: id.service, clusterIPs: [address], ports: [port]))
        ])
        return compiler
    }

    private static func client(_ number: UInt32, at endpoint: AddressPort) -> LedClient {
        LedClient(client: IPAddress(ipv4: 0xc000_0200 + number), endpoint: endpoint, remaining: 50_000)
    }

    /// Numbers of the clients that come into each map.
    private static func coming(
        _ clients: [LedClient], standing: [String: [Element]] = [:]
    ) -> [String: [UInt8]] {
        var result: [String: [UInt8]] = [:]
        for takeover in compiler().affinityTakeovers(of: id, .ipv4) {
            for case .addElements(_, let map, let elements) in takeover.operations(
                clients, standing: standing)
            {
                result[map] = elements.map { $0.key[3] }
            }
        }
        return result
    }

    private static let main = "affinity-pool-default/web/tcp/http/8080"
    private static let other = "affinity-pool-default/web/tcp/http/9090"
    private static let local = "affinity-local-default/web/tcp/http/8080"

    @Test("each pool that has the endpoint, by the endpoint's port")
    func maps() {
        #expect(
            Self.coming([
                Self.client(1, at: Self.endpoint(1, 8080)), Self.client(3, at: Self.endpoint(3, 8080)),
                Self.client(4, at: Self.endpoint(4, 9090)), Self.client(5, at: Self.endpoint(4, 8080)),
            ]) == [Self.main: [1, 3], Self.other: [4], Self.local: [1]])
        #expect(Self.compiler().affinityTakeovers(of: Self.id, .ipv6).isEmpty)
    }

    @Test("a client that any map of the pool knows is left where it is")
    func sibling() {
        let known = Element(
            RegisterValue(IPAddress(ipv4: 0xc000_0201)),
            data: .value(RegisterValue(IPAddress(ipv4: 0x0af4_0004))))
        #expect(
            Self.coming([Self.client(1, at: Self.endpoint(1, 8080))], standing: [Self.other: [known]])[
                Self.main]
                == nil)
    }

    @Test("a map that is nearly full takes no more than it has room for")
    func full() {
        let size = Int(Frame.affinityClients) - AffinityChange.reserve - 2
        let standing = (0..<size).map { Element(RegisterValue(IPAddress(ipv4: 0x0b00_0000 + UInt32($0)))) }
        let clients = (1...4).map { Self.client($0, at: Self.endpoint(3, 8080)) }
        #expect(Self.coming(clients, standing: [Self.main: standing]) == [Self.main: [1, 2]])
    }
}
