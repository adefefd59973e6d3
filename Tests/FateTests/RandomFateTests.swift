import Agent
import ClusterBuilders
import Glibc
import HostNetwork
import IPAddressing
import KubernetesAPI
import PacketCases
import PacketSimulator
import SeededRandom
import Testing

/// A cluster that changes at random, and connections at random in it.
struct RandomStory {
    private var random: SeededGenerator
    /// Random stories are about these; more would meet less often.
    private static let names = ["one", "two", "three"]
    private static let virtualNumbers: ClosedRange<UInt8> = 1...4
    private static let virtualPorts: [UInt16] = [80, 81]
    private static let clients: [Place] = [.client, .client, .client, .a, .b, .node, .outside]

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    private mutating func pick<T>(_ values: some Collection<T>) -> T {
        guard let value = values.randomElement(using: &random) else { preconditionFailure("nothing to pick") }
        return value
    }

    /// What it is played on.
    mutating func setting() -> Setting {
        var setting = pick([Setting(), .clusterCIDR, .nodeCIDR, .interfaceNamePrefix])
        setting.proxy.masqueradeAll = chance(20)
        if chance(30) { setting.proxy.nodePortAddresses = .networks([]) }
        return setting
    }

    /// One transaction's changes, of one to three objects.
    mutating func change() -> (upserts: [ClusterObject], removing: [ClusterObject.Key]) {
        var upserts: [ClusterObject.Key: ClusterObject] = [:]
        var removed: Set<ClusterObject.Key> = []
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let objects = randomObjects()
            if chance(15) {
                for object in objects { removed.insert(object.key) }
            } else {
                for object in objects { upserts[object.key] = object }
            }
        }
        return (
            upserts.filter { !removed.contains($0.key) }.values.sorted { "\($0.key)" < "\($1.key)" },
            removed.sorted { "\($0)" < "\($1)" }
        )
    }

    /// A Service, its slices, or the ServiceCIDR.
    private mutating func randomObjects() -> [ClusterObject] {
        let name = pick(Self.names)
        switch Int.random(in: 0..<10, using: &random) {
        case 0 where chance(50): return [.node(Place.nodeObject())]
        case 0:
            return [.serviceCIDR(ServiceCIDR(name: "kubernetes", networks: VirtualAddress.networks))]
        case 1...4: return [.service(randomService(name))]
        default: return randomSlices(name).map { .endpointSlice($0) }
        }
    }

    private mutating func randomService(_ name: String) -> Service {
        var ports = Service.webPorts.map {
            Service.Port(name: $0.name, transport: $0.transport, port: pick(Self.virtualPorts))
        }
        if chance(20) { ports.remove(at: Int.random(in: 0..<ports.count, using: &random)) }
        let number = pick(Self.virtualNumbers)
        let addresses = VirtualAddress.pair(number)
        let affinity: UInt32? = chance(40) ? 600 : nil
        let policy = chance(20) ? Service.TrafficPolicy.local : .cluster
        guard chance(50) else {
            return .clusterIP(
                name, at: chance(15) ? [pick(addresses)] : addresses, ports: ports, affinity: affinity,
                internalTrafficPolicy: policy)
        }
        var service = Service.loadBalancer(
            name, at: number, nodePort: Frontend.port, affinity: affinity, internalTrafficPolicy: policy,
            externalTrafficPolicy: chance(50) ? .local : .cluster,
            ranges: chance(15) ? pick([Place.podNetworks, Place.allPodNetworks]) : nil)
        service.ports = ports.map {
            .init(name: $0.name, transport: $0.transport, port: $0.port, nodePort: Frontend.port)
        }
        return service
    }

    private mutating func randomSlices(_ service: String) -> [EndpointSlice] {
        let endpoints = Place.servers.filter { _ in chance(55) }.flatMap { place in
            let condition = chance(70) ? .ready : pick(EndpointCondition.allCases)
            let node = place == .far ? Place.otherNodeName : Place.nodeName
            return AddressFamily.allCases.map {
                EndpointSlice.Endpoint.at(place.address($0), on: node, condition)
            }
        }
        let ports = EndpointSlice.webPorts.map {
            EndpointSlice.Port(
                name: $0.name, transport: $0.transport, port: chance(80) ? 8080 : 9090)
        }
        return EndpointSlice.pair(service, endpoints, ports: ports, number: chance(75) ? 1 : 2)
    }

    /// Some connections of one client to one address, since turns and affinity only show in several.
    mutating func connections() -> [ConnectionStep] {
        let traffic = pick(Traffic.all)
        let number = pick(Self.virtualNumbers)
        let address = pick([
            VirtualAddress.number(number, traffic.family), VirtualAddress.number(number, traffic.family),
            VirtualAddress.loadBalancer(number, traffic.family),
            VirtualAddress.external(number, traffic.family),
        ])
        let destination =
            switch Int.random(in: 0..<20, using: &random) {
            case 0: Server(pick(Place.servers), pick(Server.ports)).address(traffic.family)
            case 1...3: pick([Frontend.nodePort, .nodePortAtSecond]).destination(traffic.family)
            default: AddressPort(address, pick(Self.virtualPorts))
            }
        let step = ConnectionStep(
            client: pick(Self.clients), clientNumber: Int.random(in: 0...Place.clientCount, using: &random),
            traffic: traffic, destination: destination, expectation: .refused)
        return Array(repeating: step, count: Int.random(in: 1...5, using: &random))
    }
}

extension KernelFateTests {
    /// How many drops of each round are awaited in the kernel: each takes its time.
    private static let awaitedDrops = 1

    /// `SLUICE_TEST_SEED` tells one story alone.
    static let seeds: [UInt64] = {
        if let text = getenv("SLUICE_TEST_SEED"), let seed = UInt64(String(cString: text)) { return [seed] }
        return (0..<20).map { _ in UInt64.random(in: 0..<1 << 32) }
    }()

    @Test("whatever the cluster and the connection, simulator and kernel agree", arguments: seeds)
    func agreement(seed: UInt64) throws {
        print("random fates: SLUICE_TEST_SEED=\(seed)")
        let network = try #require(KernelNetwork.current)
        var story = RandomStory(seed: seed)
        let setting = story.setting()
        let simulated = try SimulatedWorld(setting)
        let real = try KernelWorld(network, setting)
        var dropsLeft = Self.awaitedDrops
        for step in 1...5 {
            let (upserts, removed) = story.change()
            try simulated.change(upserts, removing: removed)
            try real.change(upserts, removing: removed)
            for connection in (0..<5).flatMap({ _ in story.connections() }) {
                let source = AddressPort(connection.clientAddress, network.takePorts(1))
                let transport = connection.traffic.transport
                let expected = try simulated.observe(
                    transport, from: connection.client, source: source, to: connection.destination,
                    mayBeDropped: true)
                let isDropped = expected.fate == .dropped
                // A dropped packet leaves no trace behind, so that it doesn't matter whether it was sent.
                if isDropped, dropsLeft == 0 { continue }
                if isDropped { dropsLeft -= 1 }
                let found = try real.observe(
                    transport, from: connection.client, source: source, to: connection.destination,
                    mayBeDropped: isDropped)
                guard found.isLike(expected) else {
                    let rules = simulated.lastResult?.trace.map { "\n    \($0)" }.joined() ?? ""
                    Issue.record(
                        """
                        seed \(seed), \(setting.proxy), change \(step): \(transport) from \(connection.client)
                          in the kernel: \(found)
                          in the simulator: \(expected)\(rules)
                        """)
                    return
                }
            }
        }
    }
}
