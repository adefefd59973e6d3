import IPAddressing
import KubernetesAPI
import Oracle
import PacketSimulator
import Synchronization
import TestNetwork

/// The ground as namespaces, with its addresses.
///
/// A proxy runs on the first node alone: every connection comes to that, whose rules decide. The second node has the
/// clients on pods elsewhere, the third the endpoints elsewhere, so that neither is sent to itself; all their answers
/// go back by way of the first one.
final class KernelGround: Sendable {
    let isBridged: Bool
    let cluster: TestCluster
    /// Above the ports of servers, which may be clients as well.
    private let nextPort = Mutex<UInt16>(40_000)

    private static let client = "client"
    private static let stranger = "stranger"
    private static func here(_ index: Int) -> String { "here-\(index)" }
    private static func there(_ index: Int) -> String { "there-\(index)" }
    /// What a server calls itself that only what no rule touches can reach.
    static let untouched = "untouched"

    init(isBridged: Bool) throws {
        self.isBridged = isBridged
        // As the first endpoints on a node have the numbers 10 and 11, so have the first pods.
        var plan = ClusterPlan(
            pods: [
                [Self.here(0), Self.here(1), Self.client], [Self.stranger], [Self.there(0), Self.there(1)],
            ])
        plan.podNetwork = isBridged ? .bridged(hairpin: true) : .routed
        plan.podInterfacePrefix = "cni"
        plan.podPrefix = (ip("10.16.0.0"), ip("fd00:10:16::"))
        plan.nodePrefix = (ip("192.0.2.0"), ip("2001:db8::"))
        cluster = try TestCluster(plan)
        do { try wire() } catch {
            cluster.remove()
            throw error
        }
    }

    func remove() { cluster.remove() }

    // MARK: Wiring

    /// Clients that are used: the first three thousand of each kind.
    private static func clients(_ networks: [IPNetwork]) -> [IPNetwork] {
        networks.flatMap { network in
            // 1000 to 4095, as blocks of powers of two.
            [(1000, 3), (1008, 4), (1024, 10), (2048, 11)].compactMap { first, bits in
                IPNetwork(
                    Ground.address(first, in: networks, network.family),
                    prefixLength: network.family.bitWidth - bits)
            }
        }
    }

    /// An endpoint elsewhere, on the third node.
    private static func endpointElsewhere(_ index: Int, _ family: AddressFamily) -> IPAddress {
        Ground.address(10 + index, in: Ground.podsElsewhere, family)
    }

    private func wire() throws {
        let (node, second, third) = (cluster.node, cluster.nodes[1], cluster.nodes[2])
        let (client, stranger) = (cluster[pod: Self.client], cluster[pod: Self.stranger])
        let (clientsHere, clientsElsewhere) = (
            Self.clients(Ground.podsHere), Self.clients(Ground.podsElsewhere)
        )
        func via(_ host: TestCluster.Host, _ networks: [IPNetwork], on link: String? = nil) -> [String] {
            networks.map { network in
                "route add \(network) via \(host.address(network.family))"
                    + (link.map { " dev \($0) onlink" } ?? "")
            }
        }
        func single(_ addresses: [IPAddress]) -> [IPNetwork] {
            addresses.compactMap { IPNetwork($0, prefixLength: $0.family.bitWidth) }
        }
        func link(_ pod: TestCluster.Host) -> String { isBridged ? "cni0" : pod.nodeInterface ?? "" }
        let foreign = Ground.loadBalancers + Ground.externals

        try node.namespace.ip(
            Ground.secondAddresses.map { address in
                // Such as masquerading doesn't take: IPv4's is secondary by its network, IPv6's is deprecated.
                let add = "addr add \(address)"
                return address.family == .ipv4
                    ? "\(add)/24 dev eth0" : "\(add)/64 dev eth0 nodad preferred_lft 0"
            } + via(client, clientsHere, on: link(client)) + via(second, clientsElsewhere)
                + via(third, foreign))
        try node.namespace.awaitReception(at: Ground.secondAddresses)
        try second.namespace.ip(
            via(stranger, clientsElsewhere, on: link(stranger))
                + via(node, foreign + Ground.services + single(Ground.secondAddresses)))
        try third.namespace.ip(
            via(node, clientsHere + clientsElsewhere + Self.clients(Ground.outside))
                + via(node, single(Ground.secondAddresses)) + Self.local(foreign))
        for index in 0...1 {
            let pod = cluster[pod: Self.there(index)]
            let addresses = AddressFamily.allCases.map { Self.endpointElsewhere(index, $0) }
            try pod.namespace.ip(addresses.map { "addr add \($0)/\($0.family.bitWidth) dev lo" })
            try pod.namespace.awaitReception(at: addresses)
            try third.namespace.ip(via(pod, single(addresses), on: link(pod)))
            try node.namespace.ip(via(third, single(addresses)))
        }
        if isBridged {
            // The clients' addresses are nobody's on the bridge, where a pod would look for them.
            for pod in (0...1).map({ cluster[pod: Self.here($0)] }) {
                try pod.namespace.ip(
                    clientsHere.map { network in
                        "route add \(network) via \(Ground.address(1, in: Ground.podsHere, network.family))"
                    })
            }
        }
        try client.namespace.ip(Self.local(clientsHere))
        try stranger.namespace.ip(Self.local(clientsElsewhere))
        try cluster.outside.namespace.ip(
            Self.local(Self.clients(Ground.outside)) + via(node, single(Ground.secondAddresses)))
        for host in [client, stranger, cluster.outside, third] {
            try host.namespace.setSysctls([
                "ipv4/ip_nonlocal_bind": "1", "ipv6/ip_nonlocal_bind": "1",
            ])
        }
        try cluster.outside.namespace.setSysctls([
            "ipv6/conf/all/accept_redirects": "0", "ipv6/conf/br0/accept_redirects": "0",
        ])
        // ICMP errors are rationed, whatever rules say.
        try node.namespace.setSysctls(["ipv4/icmp_ratelimit": "0", "ipv6/icmp/ratelimit": "0"])
    }

    /// All addresses of the networks are the host's own.
    private static func local(_ networks: [IPNetwork]) -> [String] {
        networks.map { "route add local \($0) dev lo" }
    }

    // MARK: Clients and servers

    /// Where a client is.
    func namespace(_ source: SourceKind, _ client: IPAddress) -> Namespace {
        switch source {
        case .host: return cluster.node.namespace
        case .outside: return cluster.outside.namespace
        case .podElsewhere: return cluster[pod: Self.stranger].namespace
        case .podHere:
            // An endpoint itself, or one of the clients.
            let pod = cluster.pods.first { $0.addresses.contains(client) }
            return (pod ?? cluster[pod: Self.client]).namespace
        }
    }

    func takePort() -> UInt16 {
        nextPort.withLock { next in
            precondition(next < .max, "the network has no more source ports")
            defer { next += 1 }
            return next
        }
    }

    /// Starts what the connections of cells may reach: all endpoints of their Services, and what is there untouched.
    func serve(_ cells: [Cell], _ oracle: Oracle) throws -> [EchoServer] {
        let variants = Dictionary(
            cells.compactMap(\.variant).map { ($0.index, $0) }, uniquingKeysWith: { $1 })
        var servers: [EchoServer] = []
        for index in 0...1 {
            func listeners(_ address: (AddressFamily) -> IPAddress) -> [EchoServer.Listener] {
                AddressFamily.allCases.flatMap { family in
                    variants.values.flatMap { variant in
                        variant.slices.filter { $0.family == family }.flatMap(\.ports).map { port in
                            let endpoint = AddressPort(address(family), port.port)
                            return EchoServer.Listener(port.transport, endpoint, name: "\(endpoint)")
                        }
                    }
                }
            }
            let (here, there) = (Self.here(index), Self.there(index))
            servers.append(
                try EchoServer(
                    here, in: cluster[pod: here].namespace,
                    listeners: listeners { Ground.address(10 + index, in: Ground.podsHere, $0) }))
            servers.append(
                try EchoServer(
                    there, in: cluster[pod: there].namespace,
                    listeners: listeners { Self.endpointElsewhere(index, $0) }))
        }
        let untouched = Set(
            cells.filter { cell in
                let client = cell.client ?? cell.source.address(0, cell.destination.address.family)
                return oracle.answer(cell.question(from: client)).fate == .untouched
            }.map { EchoServer.Listener($0.transport, $0.destination) })
        let foreign = Ground.loadBalancers + Ground.externals
        for (host, isForeign) in [(cluster.node, false), (cluster.nodes[2], true)] {
            let listeners = untouched.filter { listener in
                foreign.contains { $0.contains(listener.endpoint.address) } == isForeign
            }
            servers.append(
                try EchoServer(Self.untouched, in: host.namespace, listeners: Array(listeners)))
        }
        return servers
    }
}
