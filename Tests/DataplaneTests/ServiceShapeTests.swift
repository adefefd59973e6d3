import ClusterBuilders
import IPAddressing
import KubernetesAPI
import NFTables
import TestNetwork
import Testing

extension DataplaneTests {
    @Suite struct ServiceShapeTests {
        @Test(
            "a Service with one endpoint is served without a rule of its own, and becomes a pool and one again",
            arguments: Traffic.all)
        func singleEndpoint(traffic: Traffic) throws {
            try ProxiedCluster.with { cluster in
                try cluster.apply([.clusterIP("web", at: VirtualAddress.pair(1))], [])
                let bare = try cluster.table(traffic.family)?.chains.count
                for names in [["a"], ["b"], ["b", "c"], ["c"]] {
                    let endpoints = names.flatMap { cluster.endpoints($0) }
                    try cluster.apply([], EndpointSlice.pair("web", endpoints))
                    for host in [cluster.client, cluster.node] {
                        let servers = try cluster.answers(
                            to: traffic.virtual(1), from: host, traffic.transport, times: 4)
                        #expect(Set(servers) == Set(names))
                    }
                    let chains = try cluster.table(traffic.family)?.chains.count
                    #expect((chains == bare) == (names.count == 1))
                }
            }
        }

        @Test("statement 3: ports of a Service and of a slice join by name and protocol")
        func namedPorts() throws {
            try ProxiedCluster.with { cluster in
                let (a, b) = (cluster["a"], cluster["b"])
                try cluster.network.serve(a, tcp: [9001, 9002], udp: [9003])
                try cluster.network.serve(b, tcp: [9011, 9012], udp: [9013])
                // Beside 8080, which all pods serve: an answer tells the pod, not the port, so each port of the
                // Service has a pod and a port of its own, and nothing else would answer.
                let service = Service.clusterIP(
                    "web", at: VirtualAddress.pair(1),
                    ports: [
                        .init(name: "one", port: 80), .init(name: "two", port: 443),
                        .init(name: "one-udp", transport: .udp, port: 80),
                        .init(name: "nowhere", port: 81),
                    ])
                let onA = [
                    EndpointSlice.Port(name: "one", port: 9001),
                    .init(name: "one-udp", transport: .udp, port: 9003),
                    // Of the right name and the wrong protocol.
                    .init(name: "two", transport: .udp, port: 9003),
                ]
                let onB = [EndpointSlice.Port(name: "two", port: 9012)]
                try cluster.apply(
                    [service],
                    EndpointSlice.pair("web", cluster.endpoints("a"), ports: onA)
                        + EndpointSlice.pair("web", cluster.endpoints("b"), ports: onB, number: 2))
                for family in AddressFamily.allCases {
                    func answer(_ port: UInt16, _ transport: TransportProtocol = .tcp) throws -> [String] {
                        try cluster.answers(
                            to: AddressPort(VirtualAddress.number(1, family), port), from: cluster.client,
                            transport, times: 2)
                    }
                    #expect(try answer(80) == ["a", "a"])
                    #expect(try answer(443) == ["b", "b"])
                    #expect(try answer(80, .udp) == ["a", "a"])
                    #expect(try answer(81) == ["refused", "refused"])
                    #expect(try answer(443, .udp) == ["refused", "refused"])
                }
            }
        }

        @Test("the families of a dual-stack Service have endpoints of their own")
        func dualStack() throws {
            try ProxiedCluster.with { cluster in
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    [
                        .of("web", .ipv4, cluster.endpoints("a", "b")),
                        .of("web", .ipv6, cluster.endpoints("b", "c")),
                    ])
                for (family, names) in [(AddressFamily.ipv4, ["a", "b"]), (.ipv6, ["b", "c"])] {
                    let servers = try cluster.answers(
                        to: AddressPort(VirtualAddress.number(1, family), 80), from: cluster.client, times: 4)
                    #expect(Set(servers) == Set(names))
                }
                // A family that loses its endpoints leaves the other alone.
                try cluster.apply([], [.of("web", .ipv4, [])])
                func answer(_ family: AddressFamily) throws -> Set<String> {
                    let address = VirtualAddress.number(1, family)
                    return Set(
                        try cluster.answers(to: AddressPort(address, 80), from: cluster.client, times: 2))
                }
                #expect(try answer(.ipv4) == ["refused"])
                #expect(try answer(.ipv6) == ["b", "c"])
            }
        }

        @Test(
            "statement 6: a Service without selector leads to machines outside, which see the client's address",
            arguments: Traffic.all)
        func withoutSelector(traffic: Traffic) throws {
            try ProxiedCluster.with(ClusterPlan(pods: [["client"], ["far"]])) { cluster in
                let outside = cluster.network.outside
                try cluster.network.serve(outside, tcp: [8080], udp: [8080])
                let machines = outside.addresses + cluster["far"].addresses
                try cluster.apply(
                    [.clusterIP("legacy", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("legacy", machines.map { .at($0) }))
                let attempts = try (0..<4).map { _ in
                    try cluster.attempt(to: traffic.virtual(1), from: cluster.client, traffic.transport)
                }
                #expect(Set(attempts.map(\.server)) == ["outside", "far"])
                #expect(
                    Set(attempts.map(\.seenSource?.address)) == [cluster.client.address(traffic.family)])
            }
        }
    }
}
