import IPAddressing
import KubernetesAPI
import ServiceModel
import Testing

@testable import Agent

@Suite("Statement 27: how long changes take from their trigger into force")
struct ProgrammingLatencyTests {
    typealias Trigger = ProgrammingLatency.Trigger

    private var latency = ProgrammingLatency(start: 1_000)
    private let slice = ClusterObject.Key.endpointSlice(name("web-1"))

    private func changes(_ objects: ClusterObject...) -> [ClusterObject.Key: ClusterObject?] {
        Dictionary(uniqueKeysWithValues: objects.map { ($0.key, $0) })
    }

    /// A change of the slice `web-1` of Service `web`.
    private mutating func change(at time: Int64) {
        latency.add([slice: time], of: changes(endpoints("web", "10.244.0.1")))
    }

    @Test("a change is told once, when it is in force")
    mutating func once() {
        change(at: 2_000)
        latency.plan([name("web")])
        #expect(latency.inForce() == [Trigger(service: name("web"), family: .ipv4, time: 2_000)])
        #expect(latency.inForce() == [])
    }

    @Test("changes before the start are the past", arguments: [0, 999, 1_000] as [Int64])
    mutating func past(time: Int64) {
        var latency = latency
        latency.add([slice: time], of: changes(endpoints("web", "10.244.0.1")))
        latency.plan([name("web")])
        #expect(latency.inForce() == [])
    }

    @Test("of several changes to one slice the oldest counts, over commits that fail as well")
    mutating func oldest() {
        change(at: 3_000)
        change(at: 2_500)
        change(at: 4_000)
        latency.plan([name("web")])
        change(at: 5_000)
        latency.plan([name("web")])
        #expect(latency.inForce().map(\.time) == [2_500])
    }

    @Test("a slice whose Service needn't be planned has changed in nothing that matters")
    mutating func unplanned() {
        change(at: 2_000)
        latency.plan([name("other")])
        latency.plan([name("web")])
        #expect(latency.inForce() == [])
    }

    @Test("a slice that is removed has no time: its annotation is of the change before")
    mutating func removed() {
        change(at: 2_000)
        latency.plan([name("web")])
        latency.add([slice: 2_500], of: [slice: ClusterObject?.none])
        latency.plan([name("web")])
        #expect(latency.inForce() == [])
    }

    @Test("slices of both families are told apart")
    mutating func families() {
        latency.add([slice: 2_000], of: changes(endpoints("web", "fd00::1")))
        latency.plan([name("web")])
        #expect(latency.inForce().map(\.family) == [.ipv6])
    }

    @Test("a time without its object, or of another kind, is passed over")
    mutating func strays() {
        let web = service("web", "10.96.0.1")
        latency.add([slice: 2_000, web.key: 2_000], of: changes(web))
        latency.plan([name("web")])
        #expect(latency.inForce() == [])
    }
}

@Suite("Ports with Local policy and no local endpoint")
struct LocalPolicyGapsTests {
    private func plan(
        _ service: ObjectName, _ frontends: [Frontend], local: PortPlan.Outcome, family: AddressFamily = .ipv4
    ) -> ServicePlan {
        ServicePlan(
            name: service,
            ports: [
                PortPlan(
                    id: ServicePortID(service: service, transport: .tcp, port: ""), family: family,
                    frontends: frontends, cluster: .refuse, local: local)
            ])
    }

    private let web = name("web")
    private let localIP = Frontend(.clusterIP, ip("10.96.0.1"), port: 80, policy: .local)
    private let clusterIP = Frontend(.clusterIP, ip("10.96.0.1"), port: 80)
    private let nodePort = Frontend(.nodePort, nil, port: 30080, policy: .local)

    @Test("internal and external policy are counted apart, by family")
    func apart() {
        var gaps = LocalPolicyGaps()
        gaps.update([
            (web, plan(web, [localIP, nodePort], local: .drop)),
            (name("b"), plan(name("b"), [clusterIP, nodePort], local: .drop)),
            (name("c"), plan(name("c"), [localIP], local: .drop, family: .ipv6)),
        ])
        #expect(gaps[.ipv4] == .init(internalPorts: 1, externalPorts: 2))
        #expect(gaps[.ipv6] == .init(internalPorts: 1, externalPorts: 0))
    }

    @Test("ports that are refused, or that have endpoints, are no gaps")
    func none() {
        var gaps = LocalPolicyGaps()
        let endpoint = PoolEndpoint(AddressPort(ip("10.244.0.1"), 80), isHairpin: false)
        for outcome in [PortPlan.Outcome.refuse, .endpoints([endpoint])] {
            gaps.update([(web, plan(web, [localIP, nodePort], local: outcome))])
            #expect(gaps[.ipv4] == .init())
        }
    }

    @Test("a Service's gaps are over when it has endpoints, or is gone")
    func over() {
        var gaps = LocalPolicyGaps()
        for plan in [nil, plan(web, [localIP], local: .refuse)] {
            gaps.update([(web, self.plan(web, [localIP], local: .drop))])
            #expect(gaps[.ipv4].internalPorts == 1)
            gaps.update([(web, plan)])
            #expect(gaps[.ipv4].internalPorts == 0)
        }
    }
}
