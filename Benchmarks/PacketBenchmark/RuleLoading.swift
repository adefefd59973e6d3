import Agent
import ClusterGenerator
import Glibc
import HostNetwork
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import TestNetwork

/// Rules that could not be put in place, and why.
struct RuleLoadingError: Error, CustomStringConvertible {
    let description: String
}

/// Puts an opponent's rules for a cluster into its node.
struct RuleLoading {
    let cluster: MeasuredCluster
    /// Seconds that a program may take to load them.
    let limit: Int
    let kubeProxy: String?

    /// - Returns: the seconds that it took, without the making of a script; with Sluice's planning, and for kube-proxy with
    ///   the start of its API server. Nil where there is nothing to load.
    func load(into arena: Arena) throws -> Double? {
        let node = arena.node
        var began = ContinuousClock.now
        switch arena.opponent {
        case .direct:
            return nil
        case .oneRule, .oneRuleAgain:
            // Its map of the addresses to come is empty: `translate` puts the one rule there.
            try node.loadRules(
                "table ip nat { chain prerouting { type nat hook prerouting priority -100; }; }")
            return nil
        case .sluice:
            try loadSluice(into: arena)
        case .serviceChains:
            let script = ServiceChainRules(cluster: cluster, nodeAddress: arena.nodeAddress).text
            began = .now
            try run(["nft", "-f", "-"], script, node)
        case .iptables(let variant):
            let program = "iptables-\(variant.rawValue)-restore"
            let script = IPTablesRules(cluster: cluster).text
            began = .now
            try run([program], script, node)
        case .kubeProxy(let mode):
            guard let kubeProxy else { throw RuleLoadingError(description: "no kube-proxy was given") }
            let proxy = KubeProxy(program: kubeProxy, mode: mode, cluster: cluster, limit: limit)
            try proxy.program(arena)
        case .script(_, let path):
            try run(["nft", "-f", path], "", node)
        }
        return (ContinuousClock.now - began) / .seconds(1)
    }

    /// Makes the one rule of the node one for this port.
    static func translate(_ port: ServicePort, in node: Namespace) throws {
        try node.loadRules(
            """
            flush chain ip nat prerouting
            add rule ip nat prerouting ip daddr \(port.address.address) \(port.transport) dport \(port.address.port) \
            dnat to \(port.endpoints[0])
            """)
    }

    private func run(_ command: [String], _ input: String, _ node: Namespace) throws {
        let process = try node.start(["timeout", "-k", "5", "\(limit)"] + command, input: input)
        let status = process.wait()
        // As timeout(1) says that it ended the command, or had to kill it.
        if [124, 137].contains(status) {
            throw RuleLoadingError(description: "\(command[0]) took longer than \(limit) s")
        }
        guard status == 0 else {
            let error = try process.standardError.split(separator: "\n").first ?? ""
            throw RuleLoadingError(description: "\(command[0]) ended with \(status): \(error)")
        }
    }

    // MARK: Sluice

    private static var settings: ProxySettings {
        ProxySettings(
            nodeName: GeneratedCluster.nodeName(0),
            localMode: IPNetwork(MeasuredCluster.clusterCIDR).map { .clusterCIDR([$0]) })
    }

    private func loadSluice(into arena: Arena) throws {
        let connection = try arena.node.run { try Connection() }
        var planner = Planner(settings: Self.settings)
        planner.hostAddresses = [
            HostAddress(
                address: arena.nodeAddress, prefixLength: 24, interfaceIndex: 2, interfaceName: "eth0")
        ]
        planner.apply(
            cluster.objects + [
                .node(Node(name: GeneratedCluster.nodeName(0), addresses: [arena.nodeAddress]))
            ])
        let writer = RulesetWriter(settings: Self.settings, kernel: connection)
        _ = try writer.write(planner.step().plans, environment: planner.environment)
        // The table is the connection's.
        arena.kept.append(connection)
    }
}
