import Agent
import ClusterBuilders
import IPAddressing
import KubernetesAPI
import NFTables
import TestNetwork
import Testing

extension DataplaneTests {
    /// Clients stay where they are while traffic policies change, as long as that is where the policy leads to.
    @Suite struct AffinityPolicyTests {
        private let plan = ClusterPlan(pods: [["client", "a", "b", "c"], ["far"]])

        private static func service(
            _ name: String = "sticky", at number: UInt8 = 1, internalPolicy: Service.TrafficPolicy = .cluster,
            externalPolicy: Service.TrafficPolicy = .cluster, timeout: UInt32 = 600
        ) -> Service {
            .loadBalancer(
                name, at: number, nodePort: 30_000 + UInt16(number), affinity: timeout,
                internalTrafficPolicy: internalPolicy, externalTrafficPolicy: externalPolicy)
        }

        /// One connection for each client; the servers in the clients' order.
        private func servers(
            _ cluster: ProxiedCluster, _ transport: TransportProtocol, _ destination: AddressPort,
            _ clients: [IPAddress]
        ) throws -> [String] {
            try clients.flatMap {
                try cluster.answers(to: destination, from: cluster.client, transport, source: $0)
            }
        }

        private func external(_ family: AddressFamily) -> AddressPort {
            AddressPort(VirtualAddress.loadBalancer(1, family), 80)
        }

        @Test(
            "statement 18: each of three clients of three endpoints of this node keeps its own, there and back",
            arguments: Traffic.all)
        func threeOfThree(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.apply(
                    [Self.service()], EndpointSlice.pair("sticky", cluster.endpoints("a", "b", "c")))
                let clients = try cluster.network.addAddresses(3, to: cluster.client, traffic.family)
                let addresses = [external(traffic.family), traffic.virtual(1)]
                let first = try servers(cluster, traffic.transport, addresses[0], clients)
                #expect(Set(first) == ["a", "b", "c"])
                for (internalPolicy, externalPolicy) in [
                    (Service.TrafficPolicy.cluster, Service.TrafficPolicy.local), (.cluster, .cluster),
                    (.local, .cluster), (.local, .local), (.cluster, .cluster), (.local, .local),
                    (.cluster, .local),
                ] {
                    try cluster.apply(
                        [Self.service(internalPolicy: internalPolicy, externalPolicy: externalPolicy)], [])
                    for address in addresses {
                        let now = try servers(cluster, traffic.transport, address, clients)
                        #expect(now == first, "internal \(internalPolicy), external \(externalPolicy)")
                    }
                }
            }
        }

        @Test(
            "statement 18: a client of another node's endpoint is free under Local policy, and stays where it then is",
            arguments: Traffic.all)
        func farEndpoint(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                let here = ["a", "b", "c"]
                try cluster.apply(
                    [Self.service()],
                    EndpointSlice.pair("sticky", cluster.endpoints("a", "b", "c", "far")))
                let clients = try cluster.network.addAddresses(8, to: cluster.client, traffic.family)
                let address = external(traffic.family)
                let first = try servers(cluster, traffic.transport, address, clients)
                #expect(Set(first) == Set(here + ["far"]))
                try cluster.apply([Self.service(externalPolicy: .local)], [])
                let second = try servers(cluster, traffic.transport, address, clients)
                for (before, now) in zip(first, second) {
                    if before == "far" { #expect(here.contains(now)) } else { #expect(now == before) }
                }
                try cluster.apply([Self.service()], [])
                #expect(try servers(cluster, traffic.transport, address, clients) == second)
            }
        }

        @Test(
            "statement 18: a policy that changed while no agent ran moves no client", arguments: Traffic.both)
        func whileDown(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.apply(
                    [Self.service()], EndpointSlice.pair("sticky", cluster.endpoints("a", "b", "c")))
                let clients = try cluster.network.addAddresses(6, to: cluster.client, traffic.family)
                let address = external(traffic.family)
                let first = try servers(cluster, traffic.transport, address, clients)
                for policy in [Service.TrafficPolicy.local, .cluster] {
                    let changed = Self.service(internalPolicy: policy, externalPolicy: policy)
                    try cluster.restart(changing: [.service(changed)])
                    #expect(try servers(cluster, traffic.transport, address, clients) == first)
                }
            }
        }

        @Test("entries that come over keep the time they have left", arguments: Traffic.both)
        func timeLeft(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.apply(
                    [Self.service()], EndpointSlice.pair("sticky", cluster.endpoints("a", "b", "c")))
                _ = try cluster.answers(
                    to: external(traffic.family), from: cluster.client, traffic.transport)
                func left() throws -> [String: UInt64] {
                    try cluster.affinityEntries(traffic.family).compactMapValues { $0.first?.expiration }
                }
                #expect(try eventually { try left().values.allSatisfy { $0 < 599_000 } })
                try cluster.apply([Self.service(externalPolicy: .local)], [])
                let after = try left()
                #expect(after.count == 2)
                #expect(after.values.allSatisfy { $0 < 599_000 }, "\(after)")
            }
        }

        @Test(
            "statement 18: clients come over though the timeout was raised since they came",
            arguments: Traffic.both)
        func raisedTimeout(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.apply(
                    [Self.service(timeout: 60)],
                    EndpointSlice.pair("sticky", cluster.endpoints("a", "b", "c")))
                let clients = try cluster.network.addAddresses(3, to: cluster.client, traffic.family)
                func reached() throws -> [String] {
                    try servers(cluster, traffic.transport, external(traffic.family), clients)
                }
                let first = try reached()
                try cluster.apply([Self.service(timeout: 600)], [])
                // Refreshed, they have more time left than they were made with.
                #expect(try reached() == first)
                try cluster.apply([Self.service(externalPolicy: .local, timeout: 600)], [])
                #expect(try reached() == first)
                try cluster.apply([Self.service(externalPolicy: .local, timeout: 900)], [])
                #expect(try reached() == first)
                try cluster.restart(changing: [.service(Self.service(timeout: 900))])
                #expect(try reached() == first)
            }
        }

        @Test("a policy change costs the same messages beside other Services")
        func messages() throws {
            try ProxiedCluster.with(plan) { cluster in
                let endpoints = cluster.endpoints("a", "b", "c")
                try cluster.apply([Self.service()], EndpointSlice.pair("sticky", endpoints))
                let clients = try cluster.network.addAddresses(6, to: cluster.client, .ipv4)
                let first = try servers(cluster, .tcp, external(.ipv4), clients)
                func costs() throws -> [Int] {
                    try [Service.TrafficPolicy.local, .cluster].map {
                        try cluster.apply([Self.service(externalPolicy: $0)], []).messages
                    }
                }
                let alone = try costs()
                let others = (UInt8(2)...20).map { ("other-\($0)", $0) }
                try cluster.apply(
                    others.map { Self.service($0.0, at: $0.1, externalPolicy: .local) },
                    others.flatMap { EndpointSlice.pair($0.0, endpoints) })
                #expect(try costs() == alone)
                #expect(try servers(cluster, .tcp, external(.ipv4), clients) == first)
            }
        }
    }
}
