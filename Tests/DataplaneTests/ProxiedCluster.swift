import Agent
import ClusterBuilders
import HostNetwork
import IPAddressing
import KubernetesAPI
import Manifests
import NFTables
import NFTablesKernel
import Ruleset
import Synchronization
import TestNetwork
import Testing

/// A cluster of namespaces whose first node, or each of them, is served by the product's own planner, compiler and
/// writer.
final class ProxiedCluster {
    typealias Host = TestCluster.Host

    /// Long enough that a busy machine loses no packet: for connections that must be answered or refused.
    static let patience = Duration.seconds(10)
    /// For connections that nothing may come of.
    static let dropTimeout = Duration.milliseconds(500)

    /// What a node's agent consists of.
    private struct Proxy {
        let settings: ProxySettings
        let hostAddresses: [HostAddress]
        let connection: Connection
        var planner: Planner
        var writer: RulesetWriter<Connection>

        init(_ node: Host, _ mode: ProxySettings.LocalMode?) throws {
            settings = ProxySettings(nodeName: node.name, localMode: mode)
            (connection, hostAddresses) = try node.namespace.run {
                (try Connection(), try HostAddresses.read())
            }
            planner = Planner(settings: settings)
            planner.hostAddresses = hostAddresses
            writer = RulesetWriter(settings: settings, kernel: connection)
        }

        mutating func startAnew(_ objects: [ClusterObject]) {
            planner = Planner(settings: settings)
            planner.hostAddresses = hostAddresses
            writer = RulesetWriter(settings: settings, kernel: connection)
            planner.apply(objects)
        }

        mutating func write() throws -> WriteReport {
            let step = planner.step()
            let report = try writer.write(step.plans, environment: planner.environment)
            let repaired = report.repairedAfter.map { "\($0)" }
            try #require(repaired == nil, "a transaction had to be repaired")
            #expect((step.newProblems + report.problems).map(\.description) == [])
            return report
        }
    }

    let network: TestCluster
    private var objects: [ClusterObject.Key: ClusterObject] = [:]
    private let sourcePorts = SourcePorts()
    /// Of the first node, then of the others that have one.
    private var proxies: [Proxy]

    /// In the first node's namespace.
    var connection: Connection { proxies[0].connection }

    private init(_ network: TestCluster, _ mode: ProxySettings.LocalMode?, onEveryNode: Bool) throws {
        self.network = network
        let proxied = onEveryNode ? network.nodes : [network.node]
        proxies = try proxied.map { try Proxy($0, mode) }
    }

    /// Every pod serves port 8080 over TCP and UDP.
    static func with<T>(
        _ plan: ClusterPlan = ClusterPlan(), mode: ProxySettings.LocalMode? = nil, onEveryNode: Bool = false,
        _ body: (ProxiedCluster) throws -> T
    ) throws -> T {
        try TestCluster.with(plan) { network in
            for pod in network.pods { try network.serve(pod, tcp: [8080], udp: [8080]) }
            return try body(ProxiedCluster(network, mode, onEveryNode: onEveryNode))
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
        for index in proxies.indices {
            proxies[index].planner.apply(changes)
            proxies[index].planner.apply(
                Dictionary(uniqueKeysWithValues: gone.map { ($0, ClusterObject?.none) }))
        }
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
        for index in proxies.indices { proxies[index].startAnew(Array(objects.values)) }
        return try write()
    }

    /// Puts the objects of a manifest in force, all of which must be in order.
    func apply(manifest text: String) throws {
        let parsed = ManifestParser.parse(text, source: "manifest.yaml")
        #expect(parsed.problems.map(\.description) == [])
        try apply(parsed.objects)
    }

    /// What the first node's proxy did.
    private func write() throws -> WriteReport {
        var reports: [WriteReport] = []
        for index in proxies.indices { reports.append(try proxies[index].write()) }
        return reports[0]
    }

    /// The Node object of the first node, or of another.
    func nodeObject(_ number: Int = 0) -> ClusterObject {
        let networks = AddressFamily.allCases.compactMap {
            IPNetwork(network.plan.podBlock($0, node: number))
        }
        let node = network.nodes[number]
        return .node(Node(name: node.name, podCIDRs: networks, addresses: node.addresses))
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
        to destination: AddressPort, from host: Host, _ transport: TransportProtocol = .tcp,
        source: IPAddress? = nil
    ) throws -> Outcome {
        try host.namespace.connect(
            transport, to: destination, sourceAddress: source, sourcePort: sourcePorts.next(),
            timeout: Self.dropTimeout
        ).outcome
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

/// Source ports, each given out anew only when it is forgotten: connection tracking sends a datagram whose ports were used
/// within the last half minute where it sent the one before, and the kernel's own choice repeats itself now and then.
final class SourcePorts: Sendable {
    private struct State {
        var last: UInt16 = 9999
        /// When the ports began from the first.
        var began = ContinuousClock.now
    }

    private let state = Mutex(State())

    func next() -> UInt16 {
        state.withLock { state in
            if state.last == 60000 {
                precondition(
                    state.began.duration(to: .now) > .seconds(120), "a test has used up the source ports")
                state = State(last: 9999, began: .now)
            }
            state.last += 1
            return state.last
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
