import Agent
import IPAddressing
import KubernetesAPI
import NFTables
import Ruleset
import ServiceModel
import Testing

/// Objects as large as an API server takes them (1.5 MiB), and larger.
@Suite("Huge objects", .serialized, .timeLimit(.minutes(2)))
struct HugeObjectTests {
    private static let name = ObjectName(namespace: "shop", name: "huge")

    /// What is planned and compiled of a Service and its slices, and how much it is.
    private struct Outcome {
        var problems: [String]
        var elements: Int
        var chains: Int
        var taken: Duration
    }

    /// - Parameter times: how often it is compiled: each change of one of its slices makes it anew.
    private static func outcome(
        _ services: [Service], _ slices: [EndpointSlice] = [], times: Int = 1
    ) -> Outcome {
        let clock = ContinuousClock()
        let start = clock.now
        let settings = ProxySettings(nodeName: "n")
        var planner = Planner(settings: settings)
        planner.apply(services.map { .service($0) } + slices.map { .endpointSlice($0) })
        let step = planner.step()
        var compiler = RulesetCompiler(nodeName: "n")
        let (delta, problems) = compiler.update(step.plans)
        for _ in 1..<times { _ = compiler.update(step.plans) }
        let tables = AddressFamily.allCases.map { compiler.table($0) }
        #expect(!delta.operations.isEmpty || services.isEmpty)
        return Outcome(
            problems: (step.newProblems + problems.new).map(\.description),
            elements: tables.reduce(0) { $0 + $1.elements.values.reduce(0) { $0 + $1.count } },
            chains: tables.reduce(0) { $0 + $1.chains.count }, taken: start.duration(to: clock.now))
    }

    private static func service(_ ports: Int, _ change: (inout Service) -> Void = { _ in }) -> Service {
        var service = Service(
            name: name, kind: .loadBalancer, clusterIPs: [IPAddress(ipv4: 0x0a60_0001)],
            ports: (0..<ports).map { Service.Port(name: "p\($0)", port: UInt16($0 + 1)) })
        change(&service)
        return service
    }

    private static func slice(_ number: Int, endpoints: Int, ports: Int) -> EndpointSlice {
        EndpointSlice(
            name: ObjectName(namespace: "shop", name: "huge-\(number)"), service: name, family: .ipv4,
            endpoints: (0..<endpoints).map {
                EndpointSlice.Endpoint(
                    address: IPAddress(ipv4: 0x0a80_0000 + UInt32(number) << 16 + UInt32($0)),
                    placement: .unknown)
            },
            ports: (0..<ports).map { EndpointSlice.Port(name: "p\($0)", port: UInt16($0 + 1)) })
    }

    private static func addresses(_ count: Int, from base: UInt32) -> [IPAddress] {
        (0..<count).map { IPAddress(ipv4: base + UInt32($0)) }
    }

    @Test("thousands of ports in Service and slice are joined, planned and compiled in little time")
    func ports() {
        let outcome = Self.outcome(
            [Self.service(4000)], [Self.slice(1, endpoints: 2, ports: 4000)], times: 2)
        #expect(outcome.problems.isEmpty, "\(outcome.problems.prefix(3))")
        #expect(outcome.chains > 4000)
        // Debug builds and a busy machine included; one by one they took minutes.
        #expect(outcome.taken < .seconds(20), "\(outcome.taken)")
    }

    @Test(
        "tens of thousands of external IPs times ports are cut where they fill the kernel, and told in a line"
    )
    func externalIPs() {
        let outcome = Self.outcome([
            Self.service(100) { $0.externalIPs = Self.addresses(20_000, from: 0xc633_0000) }
        ])
        #expect(outcome.problems.count == 1, "\(outcome.problems.prefix(3))")
        #expect(
            outcome.problems.first?.contains(
                "spec.externalIPs: more than 65536 together with the ports; the first 654 are served")
                == true,
            "\(outcome.problems.prefix(1))")
        #expect((65_000...140_000).contains(outcome.elements), "\(outcome.elements)")
    }

    @Test("load balancer addresses and source ranges are cut likewise, and closed rather than open")
    func sourceRanges() {
        let outcome = Self.outcome([
            Self.service(2000) { service in
                service.loadBalancerIPs = Self.addresses(60, from: 0xc633_0000)
                service.sourceRanges = (0..<60).compactMap {
                    IPNetwork(IPAddress(ipv4: 0x0a00_0000 + UInt32($0) << 9), prefixLength: 24)
                }
            }
        ])
        #expect(outcome.problems.count == 2, "\(outcome.problems.prefix(3))")
        #expect(outcome.problems.contains { $0.contains("spec.loadBalancerSourceRanges") })
        #expect(outcome.elements < 400_000, "\(outcome.elements)")
        // Where only ranges of the other family are left, this one stays closed.
        var state = ClusterState(nodeName: "n")
        let six = (1...10).compactMap { IPNetwork(IPAddress(high: $0 << 48, low: 0), prefixLength: 48) }
        let four = [IPNetwork(IPAddress(ipv4: 0x0a00_0000), prefixLength: 8)].compactMap { $0 }
        state.upsert(
            .service(
                Self.service(20_000) { service in
                    service.loadBalancerIPs = Self.addresses(1, from: 0xc633_0000)
                    service.sourceRanges = six + four
                }))
        let plan = state.plan(for: Self.name).plan
        let guards = plan?.ports.first?.frontends.compactMap { frontend -> [IPNetwork]? in
            if case .loadBalancer(let sources) = frontend.kind { sources } else { nil }
        }
        #expect(guards == [[]])
    }

    @Test(
        "endpoints times ports beyond a quarter of a million are refused, port by port, and others are served"
    )
    func endpoints() {
        let slices = (0..<10).map { Self.slice($0, endpoints: 1000, ports: 40) }
        let outcome = Self.outcome([Self.service(40)], slices)
        // 26 ports of 10,000 endpoints each; 14 more are too many.
        #expect(outcome.problems.count == 14, "\(outcome.problems.prefix(2))")
        #expect(outcome.problems.allSatisfy { $0.contains("more than 262144 endpoints together") })
        #expect((260_000...280_000).contains(outcome.elements), "\(outcome.elements)")
    }

    @Test("a Service that wants everything of another is told in a few lines, not in thousands")
    func conflicts() {
        let everything = Self.addresses(100, from: 0xc633_0000)
        var other = Self.service(20) { ($0.externalIPs, $0.created) = (everything, 1) }
        other.name = ObjectName(namespace: "bank", name: "owner")
        let greedy = Self.service(20) {
            ($0.externalIPs, $0.created, $0.clusterIPs) = (everything, 2, [IPAddress(ipv4: 0x0a60_0002)])
        }
        let outcome = Self.outcome([other, greedy])
        #expect(outcome.problems.count == 17, "\(outcome.problems.count)")
    }

    @Test("an object with a thousand faults is told in a hundred lines")
    func faults() {
        let bad = (0..<1000).map { _ in "{addresses: [127.0.0.1]}" }.joined(separator: ", ")
        let node = HostileNode(
            """
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: a, labels: {kubernetes.io/service-name: a}}
            addressType: IPv4
            endpoints: [\(bad)]
            ports: [{port: 1}]
            """)
        #expect(node.messages.count { $0.contains("loopback") } == 100)
        #expect(node.messages.contains { $0.contains("more is wrong with this EndpointSlice, and not told") })
    }
}
