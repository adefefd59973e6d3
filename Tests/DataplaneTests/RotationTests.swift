import Agent
import ClusterBuilders
import IPAddressing
import KubernetesAPI
import TestNetwork
import Testing

extension DataplaneTests {
    @Suite struct RotationTests {
        private let plan = ClusterPlan(pods: [["client", "a", "b", "c", "d"]])

        @Test(
            "statement 21: three endpoints are taken in turn, by a pod and by the host itself",
            arguments: Traffic.all)
        func strictRotation(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("web", cluster.endpoints("a", "b", "c")))
                for host in [cluster.client, cluster.node] {
                    let servers = try cluster.answers(
                        to: traffic.virtual(1), from: host, traffic.transport, times: 9)
                    let order = Array(servers.prefix(3))
                    #expect(Set(order) == ["a", "b", "c"])
                    #expect(servers == order + order + order)
                }
            }
        }

        @Test(
            "statement 21: a replaced endpoint takes the place of the one before, and the turn goes on",
            arguments: Traffic.all)
        func rotationGoesOn(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("web", cluster.endpoints("a", "b", "c")))
                func take(_ count: Int) throws -> [String] {
                    try cluster.answers(
                        to: traffic.virtual(1), from: cluster.client, traffic.transport, times: count)
                }
                var order = try take(3)
                // Two of the next round: the third one's turn comes after the change.
                #expect(try take(2) == Array(order.prefix(2)))
                // Each place in turn, and the first once more: whatever order the names have by themselves.
                var spare = "d"
                for place in [0, 1, 2, 0] {
                    swap(&order[place], &spare)
                    let endpoints = order.sorted().flatMap { cluster.endpoints($0) }
                    try cluster.apply([], EndpointSlice.pair("web", endpoints))
                    #expect(try take(4) == Array(order.suffix(1)) + order)
                    #expect(try take(2) == Array(order.prefix(2)))
                }
            }
        }

        @Test("statement 21: a pool that grew or shrank goes over all of its endpoints in turn")
        func otherSizes() throws {
            try ProxiedCluster.with(plan) { cluster in
                let traffic = Traffic(transport: .tcp, family: .ipv4)
                try cluster.apply([.clusterIP("web", at: VirtualAddress.pair(1))], [])
                for names in [["a", "b"], ["a", "b", "c", "d"], ["d", "b", "c"], ["c"], ["a", "c"]] {
                    let endpoints = names.flatMap { cluster.endpoints($0) }
                    try cluster.apply([], EndpointSlice.pair("web", endpoints))
                    let servers = try cluster.answers(
                        to: traffic.virtual(1), from: cluster.client, times: 2 * names.count)
                    #expect(Set(servers.prefix(names.count)) == Set(names))
                    #expect(servers.prefix(names.count) == servers.suffix(names.count))
                }
            }
        }

        @Test(
            "statement 21: two Services that are called alternately each go over all of their endpoints",
            arguments: Traffic.all)
        func servicesInTurn(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.apply(
                    [
                        .clusterIP("one", at: VirtualAddress.pair(1)),
                        .clusterIP("two", at: VirtualAddress.pair(2)),
                    ],
                    EndpointSlice.pair("one", cluster.endpoints("a", "b"))
                        + EndpointSlice.pair("two", cluster.endpoints("c", "d")))
                var servers: [UInt8: [String]] = [:]
                for _ in 0..<6 {
                    for number: UInt8 in [1, 2] {
                        servers[number, default: []] += try cluster.answers(
                            to: traffic.virtual(number), from: cluster.client, traffic.transport)
                    }
                }
                for (number, names) in [(UInt8(1), ["a", "b"]), (2, ["c", "d"])] {
                    let taken = try #require(servers[number])
                    let order = Array(taken.prefix(2))
                    #expect(Set(order) == Set(names))
                    #expect(taken == order + order + order)
                }
            }
        }

        @Test("statement 21: a restart of the agent doesn't begin the rotation anew")
        func restart() throws {
            try ProxiedCluster.with(plan) { cluster in
                let destination = AddressPort(VirtualAddress.number(1), 80)
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("web", cluster.endpoints("a", "b", "c")))
                let order = try cluster.answers(to: destination, from: cluster.client, times: 3)
                #expect(try cluster.answers(to: destination, from: cluster.client) == [order[0]])
                #expect(try cluster.restart().messages == 0)
                #expect(
                    try cluster.answers(to: destination, from: cluster.client, times: 2)
                        == [order[1], order[2]])
            }
        }
    }
}
