import Agent
import ClusterBuilders
import Glibc
import IPAddressing
import KubernetesAPI
import TestNetwork
import Testing

extension DataplaneTests {
    @Suite struct RefusalTests {
        @Test("statement 15: without an endpoint, pods and the host are refused", arguments: Traffic.all)
        func noEndpoints(traffic: Traffic) throws {
            try ProxiedCluster.with { cluster in
                // Refusing needs no slice, and an empty or useless one changes nothing.
                try cluster.apply([.clusterIP("empty", at: VirtualAddress.pair(1))], [])
                for slices in [
                    [], EndpointSlice.pair("empty", []),
                    EndpointSlice.pair("empty", cluster.endpoints("a", condition: .notReady)),
                    EndpointSlice.pair("empty", cluster.endpoints("a", condition: .ended)),
                ] {
                    try cluster.apply([], slices)
                    for host in [cluster.client, cluster.node] {
                        let attempt = try cluster.attempt(
                            to: traffic.virtual(1), from: host, traffic.transport)
                        #expect(attempt.outcome == .refused)
                    }
                }
                // And it is served as soon as there is one.
                try cluster.apply([], EndpointSlice.pair("empty", cluster.endpoints("a")))
                #expect(
                    try cluster.answers(to: traffic.virtual(1), from: cluster.client, traffic.transport)
                        == ["a"])
            }
        }

        @Test("statement 15: a pool with affinity that runs empty is refused", arguments: Traffic.all)
        func runsEmpty(traffic: Traffic) throws {
            try ProxiedCluster.with { cluster in
                let service = Service.clusterIP("sticky", at: VirtualAddress.pair(1), affinity: 600)
                try cluster.apply([service], EndpointSlice.pair("sticky", cluster.endpoints("a", "b")))
                let before = try cluster.answers(
                    to: traffic.virtual(1), from: cluster.client, traffic.transport)
                #expect(["a", "b"].contains(before[0]))
                try cluster.apply([], EndpointSlice.pair("sticky", []))
                for host in [cluster.client, cluster.node] {
                    let attempt = try cluster.attempt(
                        to: traffic.virtual(1), from: host, traffic.transport)
                    #expect(attempt.outcome == .refused)
                }
            }
        }

        @Test(
            "statement 16: a port that a live cluster IP doesn't serve is refused", arguments: Traffic.all)
        func unservedPort(traffic: Traffic) throws {
            try ProxiedCluster.with { cluster in
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("web", cluster.endpoints("a", "b")))
                for host in [cluster.client, cluster.node] {
                    let attempt = try cluster.attempt(
                        to: traffic.virtual(1, port: 8080), from: host, traffic.transport)
                    #expect(attempt.outcome == .refused)
                }
            }
        }

        @Test(
            "statement 16: an address of a ServiceCIDR that no Service has is dropped",
            arguments: Traffic.both)
        func unusedAddress(traffic: Traffic) throws {
            try ProxiedCluster.with { cluster in
                try cluster.apply([
                    .serviceCIDR(ServiceCIDR(name: "kubernetes", networks: VirtualAddress.networks))
                ])
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("web", cluster.endpoints("a")))
                #expect(
                    try cluster.outcomeWithoutAnswer(
                        to: traffic.virtual(2), from: cluster.client, traffic.transport) == .timedOut)
                // A socket that sends datagrams hears of a drop in its own host's output hook.
                let fromHost = try cluster.outcomeWithoutAnswer(
                    to: traffic.virtual(2), from: cluster.node, traffic.transport)
                #expect(
                    fromHost == (traffic.transport == .udp ? .unreachable(errno: EPERM) : .timedOut))
                // The ones that Services have are served, and refused on other ports.
                #expect(
                    try cluster.answers(to: traffic.virtual(1), from: cluster.client, traffic.transport)
                        == ["a"])
                #expect(
                    try cluster.answers(
                        to: traffic.virtual(1, port: 81), from: cluster.client, traffic.transport)
                        == ["refused"])
                // It would have gone out by the default route, where nobody holds the address.
                try cluster.apply([.clusterIP("new", at: VirtualAddress.pair(2))], [])
                #expect(
                    try cluster.answers(to: traffic.virtual(2), from: cluster.client, traffic.transport)
                        == ["refused"])
            }
        }

        @Test(
            "statement 16: without a ServiceCIDR, an address that no Service has is none of Sluice's business"
        )
        func foreignAddress() throws {
            try ProxiedCluster.with { cluster in
                let address = VirtualAddress.number(9)
                try cluster.network.outside.namespace.command(
                    "ip", "addr", "add", "\(address)/32", "dev", "lo")
                try cluster.network.outside.namespace.command(
                    "ip", "route", "add", "10.244.0.0/24", "via", "\(cluster.node.address())")
                let server = try EchoServer("elsewhere", in: cluster.network.outside.namespace, tcp: [80])
                defer { server.stop() }
                let destination = AddressPort(address, 80)
                #expect(try cluster.answers(to: destination, from: cluster.client) == ["elsewhere"])
                try cluster.apply([
                    .serviceCIDR(ServiceCIDR(name: "kubernetes", networks: VirtualAddress.networks))
                ])
                #expect(
                    try cluster.outcomeWithoutAnswer(to: destination, from: cluster.client) == .timedOut)
                try cluster.apply([], removing: [.serviceCIDR("kubernetes")])
                #expect(try cluster.answers(to: destination, from: cluster.client) == ["elsewhere"])
            }
        }

        @Test(
            "statement 15: endpoints elsewhere alone are dropped under internalTrafficPolicy Local",
            arguments: Traffic.both)
        func noLocalEndpoint(traffic: Traffic) throws {
            try ProxiedCluster.with(ClusterPlan(pods: [["client", "a"], ["far"]])) { cluster in
                try cluster.apply(
                    [.clusterIP("local", at: VirtualAddress.pair(1), internalTrafficPolicy: .local)],
                    EndpointSlice.pair("local", cluster.endpoints("far")))
                #expect(
                    try cluster.outcomeWithoutAnswer(
                        to: traffic.virtual(1), from: cluster.client, traffic.transport) == .timedOut)
                // Statement 8: as soon as there is a local one, it alone is used.
                try cluster.apply([], EndpointSlice.pair("local", cluster.endpoints("far", "a")))
                for host in [cluster.client, cluster.node] {
                    #expect(
                        try cluster.answers(
                            to: traffic.virtual(1), from: host, traffic.transport, times: 4)
                            == ["a", "a", "a", "a"])
                }
                // With none at all it is refused.
                try cluster.apply([], EndpointSlice.pair("local", []))
                #expect(
                    try cluster.answers(to: traffic.virtual(1), from: cluster.client, traffic.transport)
                        == ["refused"])
            }
        }
    }

    @Suite struct TerminatingEndpointTests {
        @Test(
            "statement 7: ready endpoints come first; without any, those that serve while they end",
            arguments: Traffic.all)
        func fallback(traffic: Traffic) throws {
            try ProxiedCluster.with { cluster in
                try cluster.apply([.clusterIP("web", at: VirtualAddress.pair(1))], [])
                func reached(_ endpoints: [EndpointSlice.Endpoint]) throws -> Set<String> {
                    try cluster.apply([], EndpointSlice.pair("web", endpoints))
                    return Set(
                        try cluster.answers(
                            to: traffic.virtual(1), from: cluster.client, traffic.transport, times: 6))
                }
                let ready = cluster.endpoints("a")
                let terminating = cluster.endpoints("b", "c", condition: .terminating)
                #expect(try reached(ready + terminating) == ["a"])
                #expect(try reached(terminating) == ["b", "c"])
                let unready = cluster.endpoints("a", condition: .notReady)
                #expect(try reached(unready + terminating) == ["b", "c"])
                let ended = cluster.endpoints("b", condition: .ended)
                #expect(try reached(ended + cluster.endpoints("c", condition: .terminating)) == ["c"])
                #expect(try reached(ended + unready) == ["refused"])
                #expect(try reached(ready + terminating) == ["a"])
            }
        }

        @Test("statement 8: the same among the local ones, whatever the others are", arguments: Traffic.all)
        func localFallback(traffic: Traffic) throws {
            try ProxiedCluster.with(ClusterPlan(pods: [["client", "a", "b"], ["far"]])) { cluster in
                try cluster.apply(
                    [.clusterIP("local", at: VirtualAddress.pair(1), internalTrafficPolicy: .local)], [])
                func reached(_ endpoints: [EndpointSlice.Endpoint]) throws -> Set<String> {
                    try cluster.apply([], EndpointSlice.pair("local", endpoints))
                    return Set(
                        try cluster.answers(
                            to: traffic.virtual(1), from: cluster.client, traffic.transport, times: 4))
                }
                let far = cluster.endpoints("far")
                let terminating = cluster.endpoints("b", condition: .terminating)
                #expect(try reached(far + cluster.endpoints("a") + terminating) == ["a"])
                #expect(try reached(far + terminating) == ["b"])
                #expect(try reached(cluster.endpoints("far", condition: .terminating) + terminating) == ["b"])
            }
        }
    }
}
