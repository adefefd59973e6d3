import FakeKernel
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import TestNetwork
import Testing

@testable import Agent

/// Changes of Services that have more than cluster IPs.
@Suite("Services of every type, written")
struct EveryKindTests {
    private let bench = Bench(FakeNFTables())

    private func balanced(_ ranges: [String], _ policy: Service.TrafficPolicy = .cluster) -> ClusterObject {
        .service(
            Service(
                name: name("web"), kind: .loadBalancer, clusterIPs: [ip("10.96.0.1")],
                ports: [.init(port: 80)], externalTrafficPolicy: policy,
                loadBalancerIPs: [ip("192.0.2.1")], sourceRanges: ranges.map(network)))
    }

    /// Writes what was applied, in one transaction that no kernel refuses.
    private func expectWritten(_ location: SourceLocation = #_sourceLocation) throws {
        let report = try bench.write()
        #expect(report.repairedAfter == nil, sourceLocation: location)
        #expect(bench.differencesInForce.isEmpty, sourceLocation: location)
    }

    @Test("a guarded load balancer address under Local policy goes at once")
    func guardedLocal() throws {
        bench.apply(balanced(["198.51.100.0/24"], .local), endpoints("web", "10.244.0.1", "10.244.0.2"))
        try expectWritten()
        bench.remove(.service(name("web")))
        try expectWritten()
    }

    @Test(
        "source ranges change whatever lay where, and the kernel takes it",
        .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)),
        arguments: [
            (["12.0.0.0/6", "10.0.0.0/8"], ["10.0.0.0/16", "10.128.0.0/9", "12.0.0.0/6"]),
            (["128.0.0.0/1", "9.0.0.0/8", "0.0.0.0/8"], ["255.0.0.0/8", "10.0.0.0/8", "0.0.0.0/1"]),
            (["10.2.0.0/15", "9.0.0.0/8", "10.0.0.0/16"], ["10.0.0.0/15", "11.0.0.0/8", "12.0.0.0/6"]),
            (["10.0.0.10/32", "9.0.0.0/8", "128.0.0.0/1"], ["10.0.0.0/8", "192.0.2.0/24"]),
            (["10.0.0.0/8"], []),
        ])
    func sourceRanges(one: [String], other: [String]) throws {
        let namespace = try Namespace("ranges")
        let bench = Bench(try namespace.run { try Connection() })
        bench.apply(endpoints("web", "10.244.0.1"))
        for ranges in [one, other, one] {
            bench.apply(balanced(ranges))
            #expect(try bench.write().repairedAfter == nil)
            #expect(try bench.differences().isEmpty)
        }
    }

    @Test("two ports of a Service that name one node port don't hold up anybody")
    func nodePortTwice() throws {
        bench.apply(
            .service(
                Service(
                    name: name("web"), kind: .nodePort, clusterIPs: [ip("10.96.0.1")],
                    ports: [
                        .init(name: "a", port: 80, nodePort: 30080),
                        .init(name: "b", port: 81, nodePort: 30080),
                    ])),
            .endpointSlice(
                EndpointSlice(
                    name: name("web-1"), service: name("web"), family: .ipv4,
                    endpoints: [.init(address: ip("10.244.0.1"))],
                    ports: [.init(name: "a", port: 8080), .init(name: "b", port: 8081)])))
        try expectWritten()
        bench.remove(.service(name("web")))
        try expectWritten()
    }
}
