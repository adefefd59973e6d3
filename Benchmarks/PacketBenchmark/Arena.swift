import CTestNetwork
import ClusterGenerator
import IPAddressing
import TestNetwork

/// A node of its own for each opponent, with the pods of clients on one side and those of endpoints on the other:
///
///     client ── node (the rules) ── servers
///
/// The client pod has 100,000 addresses, the server pod has all that the generator gives to endpoints, so connections
/// to any Service are answered. Removed with the last reference.
final class Arena {
    let opponent: Opponent
    private let network: TestCluster
    private let server: ServerEnds
    /// What the rules live by, such as the netlink socket that owns the table.
    var kept: [AnyObject] = []
    /// Connections begun so far.
    private var begun = 0

    var node: Namespace { network.node.namespace }
    var nodeAddress: IPAddress { network.node.address() }

    init(_ opponent: Opponent) throws {
        self.opponent = opponent
        var plan = ClusterPlan(pods: [["client", "servers"]])
        plan.families = [.ipv4]
        plan.outsideHost = false
        network = try TestCluster(plan)
        server = try network[pod: "servers"].namespace.run {
            try ServerEnds(port: GeneratedCluster.targetPort)
        }
        try wire("client", Clients.network)
        try wire("servers", MeasuredCluster.endpointNetwork)
    }

    /// Has closed connections forgotten soon. There are such settings once there are rules that track connections.
    func shortenTracking() throws {
        guard opponent != .direct else { return }
        try node.setSysctls([
            "netfilter/nf_conntrack_tcp_timeout_close": "1",
            "netfilter/nf_conntrack_udp_timeout": "3",
            "netfilter/nf_conntrack_udp_timeout_stream": "3",
        ])
    }

    deinit { network.remove() }

    /// Gives a pod a whole network of addresses and leads the node there.
    private func wire(_ name: String, _ addresses: String) throws {
        let pod = network[pod: name]
        try pod.namespace.ip(["route add local \(addresses) dev lo"])
        // Nothing is kept of earlier connections to an address: there are more than would fit.
        try pod.namespace.setSysctls([
            "ipv4/tcp_no_metrics_save": "1", "ipv4/ip_local_port_range": "60000 65535",
        ])
        try node.ip(["route add \(addresses) via \(pod.address()) dev \(pod.nodeInterface ?? "") onlink"])
    }

    /// Moves the calling thread, one made for it, to the clients.
    func enter() throws {
        let path = "/run/netns/\(network[pod: "client"].namespace.name)"
        let result = ctest_enter_network_namespace(path)
        guard result == 0 else { throw LoadError("enter \(path)", number: result) }
    }

    /// Sends traffic to an address for a while; what fails is counted in the slice.
    ///
    /// To be called on a thread that has entered.
    func measure(_ traffic: Traffic, to target: AddressPort, seconds: Double, warmUp: Double) -> Slice {
        server.drain()
        let load = Load(
            traffic: traffic, target: target, server: server, duration: seconds, warmUp: warmUp)
        let slice = load.run(first: begun)
        begun += slice.begun
        tracked += slice.begun
        return slice
    }

    /// Connections that may still be tracked.
    private(set) var tracked = 0

    /// Ends all that is tracked, so that the table never fills and no opponent works in a fuller one.
    func forgetConnections() throws {
        tracked = 0
        if opponent != .direct { try node.command("conntrack", "-F") }
    }
}
