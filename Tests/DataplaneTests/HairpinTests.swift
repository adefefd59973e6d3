import Agent
import ClusterBuilders
import Conntrack
import IPAddressing
import KubernetesAPI
import TestNetwork
import Testing

extension DataplaneTests {
    @Suite struct HairpinTests {
        private func plan(_ podNetwork: ClusterPlan.PodNetwork) -> ClusterPlan {
            var plan = ClusterPlan()
            plan.podNetwork = podNetwork
            return plan
        }

        @Test(
            "statement 17: a pod that reaches itself through its Service is masqueraded",
            arguments: [ClusterPlan.PodNetwork.routed, .bridged(hairpin: true)], Traffic.all)
        func podReachesItself(podNetwork: ClusterPlan.PodNetwork, traffic: Traffic) throws {
            try ProxiedCluster.with(plan(podNetwork)) { cluster in
                let pod = cluster["a"]
                try cluster.apply([.clusterIP("web", at: VirtualAddress.pair(1))], [])
                // As the only endpoint, in a pool, and where the slice doesn't say on which node it is.
                for endpoints in [
                    cluster.endpoints("a"), cluster.endpoints("a", "b"), pod.addresses.map { .at($0) },
                ] {
                    try cluster.apply([], EndpointSlice.pair("web", endpoints))
                    var reached: Set<String> = []
                    for _ in 0..<4 {
                        let attempt = try cluster.attempt(
                            to: traffic.virtual(1), from: pod, traffic.transport)
                        let server = try #require(attempt.server, "\(attempt.outcome)")
                        reached.insert(server)
                        // Sent to another pod, it keeps its address.
                        let isOwn = attempt.seenSource?.address == pod.address(traffic.family)
                        #expect(isOwn == (server != "a"))
                    }
                    #expect(reached.contains("a"))
                }
            }
        }

        /// With br_netfilter the bridge itself runs the NAT hooks: it rewrites the packet and, since the pod it goes
        /// to is on the same bridge, sends it on from port to port. Without hairpin mode a bridge sends nothing out of
        /// the port it came in by, whatever the rules say. Kubernetes therefore asks for hairpin mode (kubelet's
        /// `hairpinMode`, the bridge plugin's option of that name) or a promiscuous bridge.
        @Test("on a bridge without hairpin mode, all but the pod itself is reached", arguments: Traffic.both)
        func bridgeWithoutHairpinMode(traffic: Traffic) throws {
            try ProxiedCluster.with(plan(.bridged(hairpin: false))) { cluster in
                let pod = cluster["a"]
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("web", cluster.endpoints("a")))
                #expect(
                    try cluster.outcomeWithoutAnswer(to: traffic.virtual(1), from: pod, traffic.transport)
                        == .timedOut)
                for host in [cluster.client, cluster["b"], cluster.node] {
                    #expect(
                        try cluster.answers(to: traffic.virtual(1), from: host, traffic.transport) == ["a"])
                }
            }
        }

        @Test(
            "statement 17: on a bridge without hairpin mode and without br_netfilter, a pod reaches itself",
            arguments: Traffic.all)
        func bridgeWithoutNetfilter(traffic: Traffic) throws {
            try ProxiedCluster.with(plan(.bridged(hairpin: false))) { cluster in
                try cluster.node.namespace.setSysctls([
                    "bridge/bridge-nf-call-iptables": "0", "bridge/bridge-nf-call-ip6tables": "0",
                ])
                let pod = cluster["a"]
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("web", cluster.endpoints("a")))
                // The packet is routed, from the bridge to the bridge: it comes to the port from above.
                let attempt = try cluster.attempt(to: traffic.virtual(1), from: pod, traffic.transport)
                #expect(attempt.server == "a")
                #expect(attempt.seenSource?.address != pod.address(traffic.family))
            }
        }

        @Test(
            "a connection to another pod or machine keeps its client's address",
            arguments: [
                ClusterPlan.PodNetwork.routed, .bridged(hairpin: true), .bridged(hairpin: false),
            ], Traffic.all)
        func sourceIsKept(podNetwork: ClusterPlan.PodNetwork, traffic: Traffic) throws {
            try ProxiedCluster.with(plan(podNetwork)) { cluster in
                try cluster.network.serve(cluster.network.outside, tcp: [8080], udp: [8080])
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair(
                        "web",
                        cluster.endpoints("a", "b") + cluster.network.outside.addresses.map { .at($0) }))
                for host in [cluster.client, cluster["c"]] {
                    var reached: Set<String?> = []
                    for _ in 0..<3 {
                        let attempt = try cluster.attempt(
                            to: traffic.virtual(1), from: host, traffic.transport)
                        reached.insert(attempt.server)
                        #expect(attempt.seenSource?.address == host.address(traffic.family))
                    }
                    #expect(reached == ["a", "b", "outside"])
                }
            }
        }

        @Test(
            "statements 17 and 18: a pod that keeps itself as its endpoint is masqueraded each time",
            arguments: Traffic.all)
        func hairpinWithAffinity(traffic: Traffic) throws {
            try ProxiedCluster.with { cluster in
                try cluster.apply(
                    [.clusterIP("sticky", at: VirtualAddress.pair(1), affinity: 600)],
                    EndpointSlice.pair("sticky", cluster.endpoints("a", "b")))
                let pods = [cluster["a"], cluster["b"], cluster["a"], cluster["b"]]
                // Each pod in a row meets one endpoint and keeps it; one of the two may be itself.
                var kept: [String: Set<String>] = [:]
                for pod in pods + pods {
                    let attempt = try cluster.attempt(
                        to: traffic.virtual(1), from: pod, traffic.transport)
                    let server = try #require(attempt.server, "\(attempt.outcome)")
                    kept[pod.name, default: []].insert(server)
                    let isOwn = attempt.seenSource?.address == pod.address(traffic.family)
                    #expect(isOwn == (server != pod.name))
                }
                #expect(kept.values.allSatisfy { $0.count == 1 })
                // Whatever the order was: with itself alone left, a pod keeps that.
                try cluster.apply([], EndpointSlice.pair("sticky", cluster.endpoints("a")))
                #expect(
                    try cluster.answers(
                        to: traffic.virtual(1), from: cluster["a"], traffic.transport, times: 2)
                        == ["a", "a"])
            }
        }

        @Test(
            "statement 17: a pod reaches itself by its Service's external addresses too",
            arguments: [
                ClusterPlan.PodNetwork.routed, .bridged(hairpin: true), .bridged(hairpin: false),
            ], Traffic.all)
        func externalAddresses(podNetwork: ClusterPlan.PodNetwork, traffic: Traffic) throws {
            try ProxiedCluster.with(plan(podNetwork)) { cluster in
                if podNetwork == .bridged(hairpin: false) {
                    try cluster.node.namespace.setSysctls([
                        "bridge/bridge-nf-call-iptables": "0", "bridge/bridge-nf-call-ip6tables": "0",
                    ])
                }
                let pod = cluster["a"]
                try cluster.apply([cluster.nodeObject()])
                for policy in [Service.TrafficPolicy.cluster, .local] {
                    try cluster.apply(
                        [.loadBalancer("web", at: 1, nodePort: 30080, externalTrafficPolicy: policy)],
                        EndpointSlice.pair("web", cluster.endpoints("a")))
                    for destination in [
                        AddressPort(VirtualAddress.loadBalancer(1, traffic.family), 80),
                        AddressPort(VirtualAddress.external(1, traffic.family), 80),
                        cluster.node.port(30080, traffic.family),
                    ] {
                        let attempt = try cluster.attempt(to: destination, from: pod, traffic.transport)
                        #expect(attempt.server == "a", "\(destination): \(attempt.outcome)")
                        #expect(attempt.seenSource?.address != pod.address(traffic.family))
                    }
                }
            }
        }

        /// The hairpins of a node are those of its own endpoints, as with kube-proxy. Where local pods can be told,
        /// traffic of another node's pod is masqueraded for coming from elsewhere.
        @Test(
            "statement 17: a pod of another node that comes to itself by way of this one needs a local mode",
            arguments: Traffic.all)
        func elsewhere(traffic: Traffic) throws {
            for mode in [ProxySettings.LocalMode?.none, .nodeCIDR] {
                try ProxiedCluster.with(ClusterPlan(pods: [["client"], ["far"]]), mode: mode) { cluster in
                    let pod = cluster["far"]
                    let destination = traffic.virtual(1)
                    // Its own node has no proxy and sends it here.
                    try cluster.network.nodes[1].namespace.command(
                        "ip", "route", "add", "\(destination.address)", "via",
                        "\(cluster.node.address(traffic.family))")
                    try cluster.apply([cluster.nodeObject()])
                    try cluster.apply(
                        [.clusterIP("web", at: VirtualAddress.pair(1))],
                        EndpointSlice.pair("web", cluster.endpoints("far")))
                    if mode != nil {
                        let attempt = try cluster.attempt(to: destination, from: pod, traffic.transport)
                        #expect(attempt.server == "far", "\(attempt.outcome)")
                        #expect(attempt.seenSource?.address == cluster.node.address(traffic.family))
                        return
                    }
                    let tracking = try cluster.node.namespace.run { try ConntrackConnection() }
                    let outcome = try cluster.outcomeWithoutAnswer(
                        to: destination, from: pod, traffic.transport)
                    #expect(outcome == .timedOut)
                    // It was sent to itself under its own address.
                    var replies: [ConntrackEntry.Tuple] = []
                    try tracking.dump(traffic.family, protocol: traffic.transport) { entry in
                        if entry.original.destination == destination { replies.append(entry.reply) }
                    }
                    #expect(replies.map(\.source) == [pod.port(8080, traffic.family)])
                    #expect(replies.map(\.destination.address) == [pod.address(traffic.family)])
                }
            }
        }

        @Test(
            "statement 17: where its own node has a proxy, a pod reaches itself without any local mode",
            arguments: Traffic.all)
        func ownProxy(traffic: Traffic) throws {
            try ProxiedCluster.with(ClusterPlan(pods: [["client"], ["far"]]), onEveryNode: true) { cluster in
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("web", cluster.endpoints("far")))
                let attempt = try cluster.attempt(
                    to: traffic.virtual(1), from: cluster["far"], traffic.transport)
                #expect(attempt.server == "far", "\(attempt.outcome)")
                #expect(attempt.seenSource?.address == cluster.network.nodes[1].address(traffic.family))
            }
        }

        @Test("a host reaches an endpoint on its own network", arguments: Traffic.all)
        func hostReachesItself(traffic: Traffic) throws {
            try ProxiedCluster.with { cluster in
                try cluster.network.serve(cluster.node, tcp: [8080], udp: [8080])
                let host = cluster.node.addresses.map {
                    EndpointSlice.Endpoint.at($0, on: cluster.node.name)
                }
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))], EndpointSlice.pair("web", host))
                for from in [cluster.node, cluster.client] {
                    #expect(
                        try cluster.answers(to: traffic.virtual(1), from: from, traffic.transport, times: 2)
                            == ["node", "node"])
                }
                // The client's address is seen, as in any other connection that is not a hairpin.
                let attempt = try cluster.attempt(
                    to: traffic.virtual(1), from: cluster.client, traffic.transport)
                #expect(attempt.seenSource?.address == cluster.client.address(traffic.family))
            }
        }
    }
}
