import Agent
import ClusterBuilders
import IPAddressing
import KubernetesAPI
import NFTables
import TestNetwork
import Testing

extension DataplaneTests {
    @Suite struct AffinityTests {
        private let plan = ClusterPlan(pods: [["client", "a", "b", "c", "d"]])

        /// `sticky` on cluster IPs number 1, with endpoints a, b and c.
        private func serveSticky(_ cluster: ProxiedCluster, timeout: UInt32 = 600) throws {
            try cluster.apply(
                [.clusterIP("sticky", at: VirtualAddress.pair(1), affinity: timeout)],
                EndpointSlice.pair("sticky", cluster.endpoints("a", "b", "c")))
        }

        /// One connection for each client; the servers in the clients' order.
        private func servers(
            _ cluster: ProxiedCluster, _ traffic: Traffic, _ clients: [IPAddress]
        ) throws -> [String] {
            try clients.flatMap {
                try cluster.answers(
                    to: traffic.virtual(1), from: cluster.client, traffic.transport, source: $0)
            }
        }

        @Test(
            "statement 18: a client keeps its endpoint; clients are dealt out in turn", arguments: Traffic.all
        )
        func clientsKeepEndpoints(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try serveSticky(cluster)
                let clients = try cluster.network.addAddresses(6, to: cluster.client, traffic.family)
                let first = try servers(cluster, traffic, clients)
                #expect(Set(first.prefix(3)) == ["a", "b", "c"])
                #expect(first.prefix(3) == first.suffix(3))
                for _ in 0..<3 { #expect(try servers(cluster, traffic, clients) == first) }
                let back = try servers(cluster, traffic, clients.reversed())
                #expect(back == Array(first.reversed()))
                // The host itself is a client like another, and so are the endpoints.
                for host in [cluster.node, cluster["d"]] {
                    let mine = try cluster.answers(
                        to: traffic.virtual(1), from: host, traffic.transport, times: 4)
                    #expect(Set(mine).count == 1)
                    #expect(["a", "b", "c"].contains(mine[0]))
                }
            }
        }

        @Test("statement 18: TCP and UDP, and the two families, remember apart from each other")
        func keyedByServicePort() throws {
            try ProxiedCluster.with(plan) { cluster in
                try serveSticky(cluster)
                for traffic in Traffic.all {
                    _ = try cluster.answers(
                        to: traffic.virtual(1), from: cluster.client, traffic.transport)
                }
                for family in AddressFamily.allCases {
                    let entries = try cluster.affinityEntries(family)
                    #expect(entries.count == 2)
                    #expect(entries.values.allSatisfy { $0.count == 1 })
                }
            }
        }

        @Test(
            "statement 18: a client keeps its endpoint across unrelated changes and new endpoints",
            arguments: Traffic.all)
        func otherChanges(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try serveSticky(cluster)
                let clients = try cluster.network.addAddresses(6, to: cluster.client, traffic.family)
                let first = try servers(cluster, traffic, clients)
                let other = EndpointSlice.pair("other", cluster.endpoints("a", "d"))
                try cluster.apply([.clusterIP("other", at: VirtualAddress.pair(2))], other)
                #expect(try servers(cluster, traffic, clients) == first)
                try cluster.apply([], EndpointSlice.pair("sticky", cluster.endpoints("d", "c", "b", "a")))
                #expect(try servers(cluster, traffic, clients) == first)
                let port = Service.Port(name: "more", port: 81)
                try cluster.apply(
                    [
                        .clusterIP(
                            "sticky", at: VirtualAddress.pair(1), ports: Service.webPorts + [port],
                            affinity: 300)
                    ], [])
                #expect(try servers(cluster, traffic, clients) == first)
                try cluster.apply(
                    [], removing: [.service(.default("other"))] + other.map { .endpointSlice($0.name) })
                #expect(try servers(cluster, traffic, clients) == first)
            }
        }

        @Test(
            "statement 18: clients of an endpoint that leaves are free, the others keep theirs",
            arguments: Traffic.all)
        func endpointLeaves(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try serveSticky(cluster)
                let clients = try cluster.network.addAddresses(9, to: cluster.client, traffic.family)
                let first = try servers(cluster, traffic, clients)
                try cluster.apply([], EndpointSlice.pair("sticky", cluster.endpoints("a", "c")))
                let second = try servers(cluster, traffic, clients)
                for (before, now) in zip(first, second) {
                    if before == "b" { #expect(["a", "c"].contains(now)) } else { #expect(now == before) }
                }
                #expect(try servers(cluster, traffic, clients) == second)
                // Back again, it has no claim to those who went.
                try serveSticky(cluster)
                #expect(try servers(cluster, traffic, clients) == second)
                // An endpoint that isn't ready any more has left, too.
                let unready =
                    cluster.endpoints("a", "b") + cluster.endpoints("c", condition: .notReady)
                try cluster.apply([], EndpointSlice.pair("sticky", unready))
                let third = try servers(cluster, traffic, clients)
                for (before, now) in zip(second, third) {
                    if before == "c" { #expect(["a", "b"].contains(now)) } else { #expect(now == before) }
                }
            }
        }

        @Test("statement 18: down to one endpoint and to none, and up again", arguments: Traffic.all)
        func fewEndpoints(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try serveSticky(cluster)
                let clients = try cluster.network.addAddresses(4, to: cluster.client, traffic.family)
                _ = try servers(cluster, traffic, clients)
                func serve(_ endpoints: [EndpointSlice.Endpoint]) throws {
                    try cluster.apply([], EndpointSlice.pair("sticky", endpoints))
                }
                try serve(cluster.endpoints("d"))
                #expect(try servers(cluster, traffic, clients) == ["d", "d", "d", "d"])
                try serve(cluster.endpoints("a", "d"))
                #expect(try servers(cluster, traffic, clients) == ["d", "d", "d", "d"])
                try serve([])
                #expect(Set(try servers(cluster, traffic, clients)) == ["refused"])
                try serve(cluster.endpoints("a", "b"))
                let again = try servers(cluster, traffic, clients)
                #expect(Set(again) == ["a", "b"])
                #expect(try servers(cluster, traffic, clients) == again)
            }
        }

        @Test("statement 18: the timeout starts again with each new connection", arguments: Traffic.both)
        func timeoutIsRefreshed(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try serveSticky(cluster)
                func connect() throws {
                    _ = try cluster.answers(
                        to: traffic.virtual(1), from: cluster.client, traffic.transport)
                }
                /// Milliseconds that the client's entry has left.
                func left() throws -> UInt64 {
                    let entries = try cluster.affinityEntries(traffic.family).values.flatMap { $0 }
                    #expect(entries.count == 1)
                    return try #require(entries.first?.expiration)
                }
                try connect()
                let atFirst = try left()
                #expect(atFirst <= 600_000)
                // A second is what connecting and reading take on no machine that passes the other tests.
                #expect(try eventually { try left() < atFirst - 1000 })
                let before = try left()
                try connect()
                #expect(try left() > before)
                // An edited timeout holds from the next connection on.
                try cluster.apply(
                    [.clusterIP("sticky", at: VirtualAddress.pair(1), affinity: 60)], [])
                #expect(try left() > 60_000)
                try connect()
                #expect(try left() <= 60_000)
            }
        }

        @Test("statement 18: a client that stayed away for the timeout is free", arguments: Traffic.both)
        func timeoutEnds(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try serveSticky(cluster, timeout: 1)
                func connect() throws -> [String] {
                    try cluster.answers(to: traffic.virtual(1), from: cluster.client, traffic.transport)
                }
                func isForgotten() throws -> Bool {
                    try cluster.affinityEntries(traffic.family).values.allSatisfy { $0.isEmpty }
                }
                var servers = try connect()
                #expect(try !isForgotten())
                for _ in 0..<2 {
                    #expect(try eventually { try isForgotten() })
                    servers += try connect()
                }
                // Free, it takes what is next in turn.
                #expect(Set(servers) == ["a", "b", "c"])
            }
        }

        @Test("statement 18: an endpoint on the host network is remembered as well", arguments: Traffic.all)
        func hostNetwork(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.network.serve(cluster.node, tcp: [8080], udp: [8080])
                let host = cluster.node.addresses.map {
                    EndpointSlice.Endpoint.at($0, on: cluster.node.name)
                }
                try cluster.apply(
                    [.clusterIP("sticky", at: VirtualAddress.pair(1), affinity: 600)],
                    EndpointSlice.pair("sticky", cluster.endpoints("a") + host))
                let clients = try cluster.network.addAddresses(4, to: cluster.client, traffic.family)
                let first = try servers(cluster, traffic, clients)
                #expect(Set(first) == ["a", "node"])
                #expect(try servers(cluster, traffic, clients) == first)
                #expect(try servers(cluster, traffic, clients) == first)
                let entries = try cluster.affinityEntries(traffic.family).values.flatMap { $0 }
                #expect(entries.count == 4)
                // The node reaches itself, too.
                let mine = try cluster.answers(
                    to: traffic.virtual(1), from: cluster.node, traffic.transport, times: 4)
                #expect(Set(mine).count == 1)
                #expect(Set(mine).isSubset(of: ["a", "node"]))
                // Without the pod all that is left is the node.
                try cluster.apply([], EndpointSlice.pair("sticky", host))
                #expect(try servers(cluster, traffic, clients) == ["node", "node", "node", "node"])
                #expect(
                    try cluster.answers(to: traffic.virtual(1), from: cluster.node, traffic.transport)
                        == ["node"])
            }
        }

        @Test(
            "statement 18: endpoints of one pool may listen on different ports", arguments: Traffic.all)
        func differentTargetPorts(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.network.serve(cluster["b"], tcp: [9090], udp: [9090])
                let otherPorts = [
                    EndpointSlice.Port(name: "http", port: 9090),
                    .init(name: "dgram", transport: .udp, port: 9090),
                ]
                let service = Service.clusterIP("sticky", at: VirtualAddress.pair(1), affinity: 600)
                let onA = EndpointSlice.pair("sticky", cluster.endpoints("a", "c"))
                let onB = EndpointSlice.pair(
                    "sticky", cluster.endpoints("b"), ports: otherPorts, number: 2)
                try cluster.apply([service], onA + onB)
                let clients = try cluster.network.addAddresses(6, to: cluster.client, traffic.family)
                let first = try servers(cluster, traffic, clients)
                #expect(Set(first.prefix(3)) == ["a", "b", "c"])
                #expect(try servers(cluster, traffic, clients) == first)
                // The only endpoint of its port leaves.
                try cluster.apply([], removing: onB.map { .endpointSlice($0.name) })
                let second = try servers(cluster, traffic, clients)
                for (before, now) in zip(first, second) where before != "b" { #expect(now == before) }
                #expect(Set(second) == ["a", "c"])
                // All of them move to the other port.
                try cluster.network.serve(cluster["a"], tcp: [9090], udp: [9090])
                try cluster.apply(
                    [], EndpointSlice.pair("sticky", cluster.endpoints("a", "b"), ports: otherPorts))
                let third = try servers(cluster, traffic, clients)
                #expect(Set(third) == ["a", "b"])
                #expect(try servers(cluster, traffic, clients) == third)
            }
        }

        @Test("statement 18: what clients keep outlives the agent", arguments: Traffic.all)
        func restart(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try serveSticky(cluster)
                let clients = try cluster.network.addAddresses(6, to: cluster.client, traffic.family)
                let first = try servers(cluster, traffic, clients)
                #expect(try cluster.restart().messages == 0)
                #expect(try servers(cluster, traffic, clients) == first)
            }
        }

        @Test("statement 18: an endpoint that left while no agent ran gets no client", arguments: Traffic.all)
        func leftWhileDown(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try serveSticky(cluster)
                let clients = try cluster.network.addAddresses(6, to: cluster.client, traffic.family)
                let first = try servers(cluster, traffic, clients)
                try cluster.restart(
                    changing: EndpointSlice.pair("sticky", cluster.endpoints("a", "c")).map {
                        .endpointSlice($0)
                    })
                let second = try servers(cluster, traffic, clients)
                for (before, now) in zip(first, second) where before != "b" { #expect(now == before) }
                #expect(Set(second) == ["a", "c"])
            }
        }
    }
}
