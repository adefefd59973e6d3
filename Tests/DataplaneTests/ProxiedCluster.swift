import Agent
import ClusterBuilders
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import Ruleset
import Synchronization
import TestNetwork
import Testing

/// A cluster of namespaces whose first node is served by the product's own planner, compiler and writer.
final class ProxiedCluster {
    typealias Host = TestCluster.Host

    /// Long enough that a busy machine loses no packet: for connections that must be answered or refused.
    static let patience = Duration.seconds(10)
    /// For connections that nothing may come of.
    static let dropTimeout = Duration.milliseconds(500)

    let network: TestCluster
    /// In the node's namespace.
    let connection: Connection
    private var objects: [ClusterObject.Key: ClusterObject] = [:]
    private let sourcePorts = SourcePorts()
    private var planner: Planner
    private var writer: RulesetWriter<Connection>

    private init(_ network: TestCluster) throws {
        self.network = network
        connection = try network.node.namespace.run { try Connection() }
        planner = Planner(settings: ProxySettings(nodeName: network.node.name))
        writer = RulesetWriter(settings: ProxySettings(nodeName: network.node.name), kernel: connection)
    }

    /// Every pod serves port 8080 over TCP and UDP.
    static func with<T>(_ plan: ClusterPlan = ClusterPlan(), _ body: (ProxiedCluster) throws -> T) throws -> T
    {
        try TestCluster.with(plan) { network in
            for pod in network.pods { try network.serve(pod, tcp: [8080], udp: [8080]) }
            return try body(ProxiedCluster(network))
        }
    }

    subscript(name: String) -> Host { network[pod: name] }
    var node: Host { network.node }
    var client: Host { network[pod: "client"] }

    // MARK: Changes

    /// Puts the objects in force.
    @discardableResult
    func apply(_ changes: [ClusterObject], removing gone: [ClusterObject.Key] = []) throws -> WriteReport {
        for object in changes { objects[object.key] = object }
        for key in gone { objects[key] = nil }
        planner.apply(changes)
        planner.apply(Dictionary(uniqueKeysWithValues: gone.map { ($0, ClusterObject?.none) }))
        return try write()
    }

    @discardableResult
    func apply(_ services: [Service] = [], _ slices: [EndpointSlice]) throws -> WriteReport {
        try apply(services.map { .service($0) } + slices.map { .endpointSlice($0) })
    }

    /// What an agent does that starts anew: the kernel and the objects are all it knows.
    /// - Parameter changes: what happened while none ran.
    @discardableResult
    func restart(changing changes: [ClusterObject] = []) throws -> WriteReport {
        for object in changes { objects[object.key] = object }
        planner = Planner(settings: ProxySettings(nodeName: node.name))
        writer = RulesetWriter(settings: ProxySettings(nodeName: node.name), kernel: connection)
        planner.apply(Array(objects.values))
        return try write()
    }

    private func write() throws -> WriteReport {
        let step = planner.step()
        let report = try writer.write(step.plans, environment: planner.environment)
        let repaired = report.repairedAfter.map { "\($0)" }
        try #require(repaired == nil, "a transaction had to be repaired")
        #expect((step.newProblems + report.problems).map(\.description) == [])
        return report
    }

    /// The pods of those names as endpoints, each with its addresses of both families.
    func endpoints(_ names: String..., condition: EndpointCondition = .ready) -> [EndpointSlice.Endpoint] {
        names.flatMap { name in
            let pod = network[pod: name]
            return pod.addresses.map { EndpointSlice.Endpoint.at($0, on: pod.node, condition) }
        }
    }

    // MARK: Connections

    /// The names of the servers that answered, in turn; another outcome in words.
    func answers(
        to destination: AddressPort, from host: Host, _ transport: TransportProtocol = .tcp, times: Int = 1,
        source: IPAddress? = nil
    ) throws -> [String] {
        try (0..<times).map { _ in
            let attempt = try attempt(to: destination, from: host, transport, source: source)
            return attempt.server ?? "\(attempt.outcome)"
        }
    }

    /// One connection that is to be answered or refused.
    func attempt(
        to destination: AddressPort, from host: Host, _ transport: TransportProtocol = .tcp,
        source: IPAddress? = nil
    ) throws -> Attempt {
        try host.namespace.connect(
            transport, to: destination, sourceAddress: source, sourcePort: sourcePorts.next(),
            timeout: Self.patience)
    }

    /// What becomes of a connection that is to be dropped.
    func outcomeWithoutAnswer(
        to destination: AddressPort, from host: Host, _ transport: TransportProtocol = .tcp
    ) throws -> Outcome {
        try host.namespace.connect(transport, to: destination, timeout: Self.dropTimeout).outcome
    }

    // MARK: The kernel

    func table(_ family: AddressFamily) throws -> Table? {
        try connection.table(ObjectNames.tableID(family))
    }

    /// What the affinity maps of a family hold, by map.
    func affinityEntries(_ family: AddressFamily) throws -> [String: [Element]] {
        let table = try #require(try table(family))
        return table.elements.filter { table.sets[$0.key]?.flags.contains(.dynamic) == true }
    }
}

/// Source ports, each given out once: connection tracking sends a datagram whose ports were used within the last half
/// minute where it sent the one before, and the kernel's own choice repeats itself now and then.
final class SourcePorts: Sendable {
    private let last = Mutex<UInt16>(9999)

    func next() -> UInt16 {
        last.withLock { last in
            precondition(last < 60000, "a test has used up the source ports")
            last += 1
            return last
        }
    }
}

/// A way of connecting that a test is repeated for.
struct Traffic: Sendable, CustomTestStringConvertible {
    let transport: TransportProtocol
    let family: AddressFamily

    static let all = [TransportProtocol.tcp, .udp].flatMap { transport in
        AddressFamily.allCases.map { Traffic(transport: transport, family: $0) }
    }

    /// Both transports and both families, for tests that wait.
    static let both = [Traffic(transport: .tcp, family: .ipv4), Traffic(transport: .udp, family: .ipv6)]

    /// Port 80 of a virtual address.
    func virtual(_ number: UInt8, port: UInt16 = 80) -> AddressPort {
        AddressPort(VirtualAddress.number(number, family), port)
    }

    var testDescription: String { "\(transport) over IPv\(family.rawValue)" }
}
