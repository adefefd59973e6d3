import Agent
import ClusterBuilders
import Glibc
import HostNetwork
import IPAddressing
import KubernetesAPI
import NFTablesKernel
import PacketCases
import Synchronization
import TestNetwork
import Testing

/// The namespaces of the cases, with the servers in them: made once, since that takes longer than any case.
final class KernelNetwork: Sendable {
    /// The one that the running suite shares.
    @TaskLocal static var current: KernelNetwork?

    let cluster: TestCluster
    private let servers: [EchoServer]
    private let nextPort = Mutex<UInt16>(10_000)

    /// What a host elsewhere calls itself that has the virtual addresses, for what no rule touches.
    static let elsewhere = "elsewhere"

    /// Node, the node of `far`, and one more without pods, whose machine has what no rule touches.
    ///
    /// A proxy runs on the first node alone. What becomes of a connection is decided by the rules of the node that it
    /// comes to first, and here each one comes to that.
    init(isBridged: Bool) throws {
        var plan = ClusterPlan(pods: [Place.podsOnNode.map(\.rawValue), [Place.far.rawValue], []])
        plan.podNetwork = isBridged ? .bridged(hairpin: true) : .routed
        plan.podInterfacePrefix = Setting.podInterfacePrefix
        let cluster = try TestCluster(plan)
        self.cluster = cluster
        var servers: [EchoServer] = []
        for place in Place.servers {
            for port in Server.ports {
                let listeners = AddressFamily.allCases.flatMap { family in
                    [TransportProtocol.tcp, .udp].map {
                        EchoServer.Listener($0, AddressPort(place.address(family), port))
                    }
                }
                // Not `Server.description`: the answer's first word is all that tells who gave it.
                let server = try EchoServer(
                    "\(place.rawValue):\(port)", in: Self.host(place, of: cluster).namespace,
                    listeners: listeners)
                servers.append(server)
            }
        }
        for family in AddressFamily.allCases where !isBridged {
            let added = try cluster.addAddresses(
                Place.clientCount, to: cluster[pod: Place.client.rawValue], family)
            precondition(added == (1...Place.clientCount).map { Place.client($0, family) })
        }
        servers.append(try Self.serveElsewhere(cluster))
        servers.append(try Self.serveNode(cluster))
        self.servers = servers
    }

    static func host(_ place: Place, of cluster: TestCluster) -> TestCluster.Host {
        switch place {
        case .node: cluster.node
        case .outside: cluster.outside
        case .client, .a, .b, .c, .far: cluster[pod: place.rawValue]
        }
    }

    func namespace(_ place: Place) -> Namespace { Self.host(place, of: cluster).namespace }

    /// Virtual addresses exist on the last node, so that a connection that no rule touches is answered there, and
    /// is told from one that is dropped.
    private static func serveElsewhere(_ cluster: TestCluster) throws -> EchoServer {
        let (ofFar, last) = (cluster.nodes[1], cluster.nodes[2])
        let addresses = (UInt8(1)...4).flatMap { number in
            AddressFamily.allCases.flatMap {
                [
                    VirtualAddress.number(number, $0), VirtualAddress.loadBalancer(number, $0),
                    VirtualAddress.external(number, $0),
                ]
            }
        }
        func byNode(_ addresses: [IPAddress]) -> [String] {
            addresses.map { "route add \($0) via \(cluster.node.address($0.family))" }
        }
        try cluster.node.namespace.ip(addresses.map { "route add \($0) via \(last.address($0.family))" })
        // Answers go back by way of the node that translated: it would see half of them else.
        let outside = cluster.outside.addresses
        try last.namespace.ip(
            addresses.map(addedToLoopback) + byNode(outside + cluster[pod: Place.far.rawValue].addresses))
        try last.namespace.awaitReception(at: addresses)
        let second = AddressFamily.allCases.map(Place.secondOfNode)
        try ofFar.namespace.ip(byNode(addresses + second + outside))
        try cluster.outside.namespace.ip(byNode(second))
        // The node forwards what came from there to its neighbour, and would tell of the shorter way.
        try cluster.outside.namespace.setSysctls([
            "ipv6/conf/all/accept_redirects": "0", "ipv6/conf/br0/accept_redirects": "0",
        ])
        // ICMP errors are rationed: a client that is refused more than a few times in a second hears of the first
        // few alone. That is the kernel's way with all senders, and says nothing about rules.
        try cluster.node.namespace.setSysctls(["ipv4/icmp_ratelimit": "0", "ipv6/icmp/ratelimit": "0"])
        let listeners = addresses.flatMap { address in
            [UInt16(80), 81].flatMap { port in
                [TransportProtocol.tcp, .udp].map { EchoServer.Listener($0, AddressPort(address, port)) }
            }
        }
        return try EchoServer(elsewhere, in: last.namespace, listeners: listeners)
    }

    /// The node's second address; and its own processes at the node port that Services have, for where no rule
    /// touches what comes to it.
    private static func serveNode(_ cluster: TestCluster) throws -> EchoServer {
        let node = cluster.node
        // Such as masquerading doesn't take: IPv4's is secondary by its network, IPv6's is deprecated.
        try node.namespace.ip(
            AddressFamily.allCases.map { family in
                let address = "addr add \(Place.secondOfNode(family))"
                return family == .ipv4
                    ? "\(address)/24 dev eth0" : "\(address)/64 dev eth0 nodad preferred_lft 0"
            })
        try node.namespace.awaitReception(at: AddressFamily.allCases.map(Place.secondOfNode))
        let addresses = AddressFamily.allCases.flatMap { family in
            [Frontend.nodePort, .nodePortAtSecond, .nodePortAtLoopback].map { $0.destination(family) }
        }
        let listeners = addresses.flatMap { address in
            [TransportProtocol.tcp, .udp].map { EchoServer.Listener($0, address) }
        }
        return try EchoServer(elsewhere, in: node.namespace, listeners: listeners)
    }

    private static func addedToLoopback(_ address: IPAddress) -> String {
        "addr add \(address)/\(address.family.bitWidth) dev lo" + (address.family == .ipv6 ? " nodad" : "")
    }

    /// Source ports that nobody has used in this network: conntrack remembers connections longer than a case runs.
    func takePorts(_ count: Int) -> UInt16 {
        nextPort.withLock { next in
            precondition(Int(next) + count < 65536, "the network has no more source ports")
            defer { next += UInt16(count) }
            return next
        }
    }

    func remove() {
        for server in servers { server.stop() }
        cluster.remove()
    }
}

/// Lets all tests of a suite share one network.
struct SharedNetwork: SuiteTrait, TestScoping {
    var isBridged = false

    func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
    ) async throws {
        let network = try KernelNetwork(isBridged: isBridged)
        defer { network.remove() }
        try await KernelNetwork.$current.withValue(network, operation: body)
    }
}

/// The kernel, with no rules at first.
final class KernelWorld: PacketWorld {
    /// For connections that must be answered or refused.
    private static let patience = Duration.seconds(10)
    /// For those that nothing may come of. Below a second: TCP sends nothing again before.
    private static let dropTimeout = Duration.milliseconds(200)

    private let network: KernelNetwork
    private let connection: NFTablesKernel.Connection
    private var proxy: Proxy<NFTablesKernel.Connection>

    init(_ network: KernelNetwork, _ setting: Setting = Setting()) throws {
        self.network = network
        let (connection, addresses) = try network.cluster.node.namespace.run {
            (try NFTablesKernel.Connection(), try HostAddresses.read())
        }
        self.connection = connection
        _ = try Cleanup.run(connection)
        proxy = try Proxy(connection, setting.proxy, hostAddresses: addresses)
    }

    func change(_ upserts: [ClusterObject], removing gone: [ClusterObject.Key]) throws {
        try proxy.change(upserts, removing: gone)
    }

    func elapse(milliseconds: UInt64, simulatedOnly: Bool) -> Bool {
        guard !simulatedOnly else { return false }
        // What is awaited is the kernel's clock, which no event tells.
        usleep(UInt32(milliseconds) * 1000)
        return true
    }

    func connect(
        _ transport: TransportProtocol, from client: Place, source: AddressPort, to destination: AddressPort,
        mayBeDropped: Bool
    ) throws -> ObservedFate {
        let attempt = try network.namespace(client).connect(
            transport, to: destination, sourceAddress: source.address, sourcePort: source.port,
            timeout: mayBeDropped ? Self.dropTimeout : Self.patience)
        switch attempt.outcome {
        case .answered(KernelNetwork.elsewhere, let seen): return .reached(destination, source: seen)
        case .answered(let name, let seen):
            let words = name.split(separator: ":")
            guard words.count == 2, let place = Place(rawValue: String(words[0])), let port = UInt16(words[1])
            else { return .other("answered by a stranger, \(name)") }
            return .reached(Server(place, port).address(destination.address.family), source: seen)
        case .refused: return .refused
        case .timedOut: return .dropped
        // A process that sends a datagram is told when its own host's output hook drops it.
        case .unreachable(EPERM) where client == .node && transport == .udp: return .dropped
        case .cutOff, .unreachable: return .other("\(attempt.outcome)")
        }
    }
}
