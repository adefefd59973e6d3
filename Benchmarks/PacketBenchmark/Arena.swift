import ClusterGenerator
import Foundation
import Glibc
import IPAddressing
import Synchronization
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
        try node.setSysctls([
            // Closed connections needn't be remembered; the table is emptied between measurements anyway.
            "netfilter/nf_conntrack_tcp_timeout_close": "1",
            "netfilter/nf_conntrack_udp_timeout": "10",
            "netfilter/nf_conntrack_udp_timeout_stream": "10",
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

    /// Sends traffic to an address for a while.
    ///
    /// - Throws: what kept it from beginning; traffic that fails is counted in the slice.
    func measure(
        _ traffic: Traffic, to target: AddressPort, seconds: Double, warmUp: Double, workers: Int
    ) throws -> Slice {
        server.drain()
        let load = Load(
            traffic: traffic, target: target, server: server, duration: seconds, warmUp: warmUp)
        let client = network[pod: "client"].namespace
        let first = begun
        let results = Mutex<[Result<Slice, any Error>]>([])
        DispatchQueue.concurrentPerform(iterations: workers) { worker in
            let result = Result { try client.run { load.run(first: first + worker, step: workers) } }
            results.withLock { $0.append(result) }
        }
        let slices = try results.withLock { $0 }.map { try $0.get() }
        begun += (slices.map(\.begun).max() ?? 0) * workers
        if opponent != .direct { try node.command("conntrack", "-F") }
        return slices.dropFirst().reduce(into: slices[0]) { total, slice in
            total.count += slice.count
            total.seconds = max(total.seconds, slice.seconds)
            total.latencies.add(slice.latencies)
            total.failures += slice.failures
            total.lastFailure = total.lastFailure ?? slice.lastFailure
        }
    }
}
