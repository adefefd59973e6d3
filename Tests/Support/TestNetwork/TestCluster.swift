public import IPAddressing
import Synchronization

/// A small cluster out of network namespaces: nodes that forward, pods behind them, and a host outside.
///
///     outside ── (a switch) ── node ── client, a, b, c
///                      └────── node-b ── …
///
/// Nothing balances yet: load rules into `node.namespace`, or run a proxy there. The outside host routes
/// everything by way of the first node, so a virtual IP of any range is tried there.
public final class TestCluster: Sendable {
    /// A machine or pod of the cluster.
    public struct Host: Sendable {
        public let name: String
        public let namespace: Namespace
        public let addresses: [IPAddress]
        /// The name of the node that a pod is on; a node's own name; nil for the outside host.
        public let node: String?
        /// The link on the node that leads to this pod.
        public let nodeInterface: String?

        /// The address of a family; the plan must have that family.
        public func address(_ family: AddressFamily = .ipv4) -> IPAddress {
            guard let address = addresses.first(where: { $0.family == family }) else {
                preconditionFailure("\(name) has no IPv\(family.rawValue) address")
            }
            return address
        }

        /// A port of this host, to connect to.
        public func port(_ number: UInt16, _ family: AddressFamily = .ipv4) -> AddressPort {
            AddressPort(address(family), number)
        }
    }

    public let plan: ClusterPlan
    public let nodes: [Host]
    public let pods: [Host]
    private let outsideHost: Host?
    /// Always there, since it is also the nodes' switch.
    private let outsideNamespace: Namespace
    private let servers = Mutex<[EchoServer]>([])

    /// Builds the cluster. When this returns, every pod reaches every other.
    ///
    /// Needs root; throws `CommandError` or `SystemError`.
    public init(_ plan: ClusterPlan = ClusterPlan()) throws {
        let nodeNames = plan.pods.indices.map { index in
            index == 0 ? "node" : "node-\(UnicodeScalar(UInt8(ascii: "a") + UInt8(index)))"
        }
        let labels = ["outside"] + nodeNames + plan.pods.flatMap { $0 }
        let namespaces = try Namespace.make(labels)
        self.plan = plan
        outsideNamespace = namespaces[0]
        outsideHost =
            plan.outsideHost
            ? Host(
                name: "outside", namespace: namespaces[0],
                addresses: plan.families.map(plan.outsideAddress), node: nil, nodeInterface: nil)
            : nil
        nodes = nodeNames.enumerated().map { index, name in
            Host(
                name: name, namespace: namespaces[1 + index],
                addresses: plan.families.map { plan.nodeAddress($0, node: index) }, node: name,
                nodeInterface: nil)
        }
        var rest = namespaces[(1 + nodeNames.count)...]
        pods = plan.pods.enumerated().flatMap { node, names in
            names.enumerated().map { index, name in
                Host(
                    name: name, namespace: rest.removeFirst(),
                    addresses: plan.families.map { plan.podAddress($0, node: node, pod: index) },
                    node: nodeNames[node], nodeInterface: "\(plan.podInterfacePrefix)\(index + 1)")
            }
        }
        try wiring.build()
        for host in pods + nodes { try host.namespace.awaitReception(at: host.addresses) }
        try outsideNamespace.awaitReception(at: plan.families.map(plan.outsideAddress))
    }

    private var wiring: ClusterWiring {
        ClusterWiring(plan: plan, outside: outsideNamespace, nodes: nodes, pods: pods)
    }

    deinit { remove() }

    /// Builds a cluster, hands it to `body`, and removes it whatever happens.
    public static func with<T>(
        _ plan: ClusterPlan = ClusterPlan(), _ body: (TestCluster) throws -> T
    ) throws -> T {
        let cluster = try TestCluster(plan)
        defer { cluster.remove() }
        return try body(cluster)
    }

    /// Builds a cluster, hands it to `body`, and removes it whatever happens.
    public static func with<T>(
        _ plan: ClusterPlan = ClusterPlan(), isolation: isolated (any Actor)? = #isolation,
        _ body: (TestCluster) async throws -> T
    ) async throws -> T {
        let cluster = try TestCluster(plan)
        defer { cluster.remove() }
        return try await body(cluster)
    }

    /// The first node.
    public var node: Host { nodes[0] }

    /// The outside host; the plan must have one.
    public var outside: Host {
        guard let outsideHost else { preconditionFailure("the plan has no outside host") }
        return outsideHost
    }

    /// The pod of that name; the plan must have it.
    public subscript(pod name: String) -> Host {
        guard let pod = pods.first(where: { $0.name == name }) else {
            preconditionFailure("the plan has no pod \(name)")
        }
        return pod
    }

    /// Starts an `EchoServer` named as the host, or otherwise; it stops with the cluster, if not before.
    @discardableResult
    public func serve(
        _ host: Host, as name: String? = nil, tcp: [UInt16] = [], udp: [UInt16] = []
    ) throws -> EchoServer {
        let listeners = host.addresses.flatMap { address in
            tcp.map { EchoServer.Listener(.tcp, AddressPort(address, $0)) }
                + udp.map { EchoServer.Listener(.udp, AddressPort(address, $0)) }
        }
        let server = try EchoServer(name ?? host.name, in: host.namespace, listeners: listeners)
        servers.withLock { $0.append(server) }
        return server
    }

    /// Gives a pod of the first node more addresses, so that it can play several clients. Routed pods only.
    /// - Parameter count: at most 100.
    /// - Returns: 10.244.0.100 …, or fd00:244::1000 …
    public func addAddresses(_ count: Int, to pod: Host, _ family: AddressFamily) throws -> [IPAddress] {
        precondition(pod.node == node.name && (0...100).contains(count))
        let base = pod.address(family)
        let addresses = (0..<count).map { index in
            switch family {
            case .ipv4: IPAddress(ipv4: UInt32(base.low & ~0xff) + 100 + UInt32(index))
            case .ipv6: IPAddress(high: base.high, low: 0x1000 + UInt64(index))
            }
        }
        try wiring.add(addresses, to: pod, on: node)
        try pod.namespace.awaitReception(at: addresses)
        return addresses
    }

    /// Stops the servers and removes the namespaces. May be called again.
    public func remove() {
        let running = servers.withLock { servers in
            defer { servers = [] }
            return servers
        }
        for server in running { server.stop() }
        for host in pods + nodes { host.namespace.remove() }
        outsideNamespace.remove()
    }
}
