import IPAddressing
import KubernetesAPI
import ServiceModel
import Testing

@Suite("Addresses beside the cluster IP")
struct AddressTests {
    /// `default/web`, a load balancer at 192.0.2.1 and 2001:db8::1.
    private func balanced(_ ranges: String..., unreadable: Bool = false) -> Service {
        var result = service("web", "10.96.0.1", "fd00::1")
        result.kind = .loadBalancer
        result.loadBalancerIPs = [ip("192.0.2.1"), ip("2001:db8::1")]
        result.sourceRanges = ranges.compactMap { IPNetwork($0) }
        result.hasUnreadableSourceRanges = unreadable
        return result
    }

    /// Who may use the load balancer address of a family; nil: everybody.
    private func sources(_ state: ClusterState, _ family: AddressFamily = .ipv4) throws -> [String]? {
        let plan = try #require(state.plan(for: name("web")).plan)
        let port = try #require(plan.ports.first { $0.family == family })
        for frontend in port.frontends {
            if case .loadBalancer(let sources) = frontend.kind { return sources?.map(\.description) }
        }
        Issue.record("no load balancer address")
        return nil
    }

    @Test("statement 20: where the node is let in, so are the load balancer addresses it may have itself")
    func nodeInRange() throws {
        var state = ClusterState([balanced("10.0.0.0/24", "2001:db8:1::/48")])
        #expect(try sources(state) == ["10.0.0.0/24"])
        _ = state.takeDirty()
        state.change(nodeAddresses: ["10.0.0.10", "10.0.1.10", "2001:db8:2::10"].map(ip))
        #expect(state.takeDirty() == [name("web")])
        #expect(try sources(state) == ["10.0.0.0/24", "192.0.2.1/32"])
        #expect(try sources(state, .ipv6) == ["2001:db8:1::/48"])
        // Only the first one of a family is the node's own.
        state.change(nodeAddresses: ["10.0.1.10", "10.0.0.10"].map(ip))
        #expect(state.takeDirty() == [name("web")])
        #expect(try sources(state) == ["10.0.0.0/24"])
        state.change(nodeAddresses: ["10.0.1.10"].map(ip))
        #expect(state.takeDirty().isEmpty)
    }

    @Test("a source range that can't be read opens no family")
    func unreadableRange() throws {
        #expect(try sources(ClusterState([balanced("10.0.0.0/24")]), .ipv6) == nil)
        #expect(try sources(ClusterState([balanced("10.0.0.0/24", unreadable: true)]), .ipv6) == [])
        #expect(try sources(ClusterState([balanced(unreadable: true)])) == [])
        #expect(try sources(ClusterState([balanced("0.0.0.0/0", unreadable: true)])) == nil)
    }

    @Test("a load balancer address stays guarded where it is an external IP as well")
    func externalToo() throws {
        var web = balanced("10.0.0.0/24")
        web.externalIPs = web.loadBalancerIPs
        #expect(try sources(ClusterState([web])) == ["10.0.0.0/24"])
    }

    @Test("a Service isn't there in a family that it has no cluster IP of, and holds nothing in it")
    func otherFamily() throws {
        var web = balanced("10.0.0.0/24")
        web.clusterIPs = [ip("10.96.0.1")]
        web.created = 1
        var other = service("other", "10.96.0.2", "fd00::2", created: 2)
        other.externalIPs = [ip("2001:db8::1")]
        let state = ClusterState([web, other])
        let ports = try #require(state.plan(for: name("web")).plan).ports
        #expect(ports.map(\.family) == [.ipv4])
        #expect(state.plan(for: name("other")).problems.isEmpty)
    }

    @Test("addresses of a family that a Service isn't in are told once by field, and not as somebody else's")
    func strays() throws {
        var web = balanced()
        (web.clusterIPs, web.created) = ([ip("10.96.0.1")], 2)
        web.ports = [.init(name: "a", port: 80), .init(name: "b", port: 81)]
        web.externalIPs = [ip("203.0.113.1")] + (1...6).map { ip("2001:db8:1::\($0)") }
        var other = service("other", "10.96.0.2", "fd00::2", created: 1, ports: web.ports)
        other.externalIPs = [ip("2001:db8::1"), ip("2001:db8:1::1")]
        var state = ClusterState([web, other])
        #expect(
            state.plan(for: name("web")).problems.map(\.description) == [
                "Service default/web: spec.externalIPs: 2001:db8:1::1, 2001:db8:1::2, 2001:db8:1::3, 2001:db8:1::4 and 2 more: the Service has no cluster IP in IPv6; not served",
                "Service default/web: status.loadBalancer.ingress: 2001:db8::1: the Service has no cluster IP in IPv6; not served",
            ])
        #expect(state.plan(for: name("other")).problems == [])
        // An ingress is nothing to a Service of another type.
        web.kind = .nodePort
        web.externalIPs = []
        state.upsert(.service(web))
        #expect(state.plan(for: name("web")).problems == [])
    }

    @Test("a node port is asked for by the types that have one")
    func nodePortClaims() throws {
        func exposed(_ text: String, _ address: String, _ kind: Service.Kind, _ created: Int64) -> Service {
            var result = service(text, address, created: created, ports: [.init(port: 80, nodePort: 30080)])
            result.kind = kind
            return result
        }
        let state = ClusterState([
            exposed("a", "10.96.0.1", .clusterIP, 1), exposed("b", "10.96.0.2", .nodePort, 2),
        ])
        let (plan, problems) = state.plan(for: name("b"))
        #expect(problems.isEmpty)
        #expect(try #require(plan).ports[0].frontends.map(\.kind) == [.clusterIP, .nodePort])
    }

    /// A Service of type NodePort with port 80 and node port 30080.
    private func exposed(_ text: String, _ addresses: [String], created: Int64) -> Service {
        Service(
            name: name(text), kind: .nodePort, created: created, clusterIPs: addresses.map(ip),
            ports: [.init(port: 80, nodePort: 30080)])
    }

    /// The families in which a Service has its node port.
    private func nodePortFamilies(_ state: ClusterState, _ text: String) -> [AddressFamily] {
        (state.plan(for: name(text)).plan?.ports ?? []).filter {
            $0.frontends.contains { $0.kind == .nodePort }
        }.map(\.family)
    }

    @Test(
        "a Service has its node port in the families that it is in, and no other Service's keeps it from there"
    )
    func nodePortByFamily() {
        var state = ClusterState([
            exposed("four", ["10.96.0.1"], created: 1), exposed("six", ["fd00::2"], created: 2),
        ])
        for text in ["four", "six"] { #expect(state.plan(for: name(text)).problems == []) }
        #expect(nodePortFamilies(state, "four") == [.ipv4])
        #expect(nodePortFamilies(state, "six") == [.ipv6])
        _ = state.takeDirty()
        // A third one has what is left, which is one family once an older one has gone.
        state.upsert(.service(exposed("both", ["10.96.0.3", "fd00::3"], created: 3)))
        #expect(state.takeDirty() == [name("four"), name("six"), name("both")])
        #expect(nodePortFamilies(state, "both") == [])
        #expect(
            state.plan(for: name("both")).problems.map(\.message) == [
                "node port 30080/tcp over IPv4 belongs to Service default/four; not served for this one",
                "node port 30080/tcp over IPv6 belongs to Service default/six; not served for this one",
            ])
        state.remove(.service(name("six")))
        #expect(state.takeDirty() == [name("six"), name("both")])
        #expect(nodePortFamilies(state, "both") == [.ipv6])
        #expect(
            state.plan(for: name("both")).problems.map(\.message) == [
                "node port 30080/tcp over IPv4 belongs to Service default/four; not served for this one"
            ])
    }

    @Test("a Service that loses its node port to another in both families is told once")
    func nodePortLostAltogether() {
        let addresses = [["10.96.0.1", "fd00::1"], ["10.96.0.2", "fd00::2"]]
        let state = ClusterState([
            exposed("old", addresses[0], created: 1), exposed("young", addresses[1], created: 2),
        ])
        #expect(nodePortFamilies(state, "old") == [.ipv4, .ipv6])
        #expect(nodePortFamilies(state, "young") == [])
        #expect(
            state.plan(for: name("young")).problems.map(\.description) == [
                "Service default/young: spec.ports[0].nodePort: node port 30080/tcp belongs to Service default/old; not served for this one"
            ])
    }

    @Test("a node's address keeps a node port from nobody in the other family")
    func nodePortAtAddress() {
        var other = service("other", "10.96.0.2", created: 1, ports: [.init(port: 30080)])
        other.externalIPs = [ip("192.0.2.9")]
        var state = ClusterState([other, exposed("six", ["fd00::1"], created: 2)])
        state.change(nodePortAddresses: [ip("192.0.2.9"), ip("2001:db8::9")])
        #expect(state.plan(for: name("six")).problems == [])
        #expect(state.plan(for: name("other")).problems == [])
        state.upsert(.service(exposed("both", ["10.96.0.1", "fd00::2"], created: 3)))
        #expect(
            Set(state.plan(for: name("both")).problems.map(\.message)) == [
                "node port 30080/tcp over IPv6 belongs to Service default/six; not served for this one",
                "node port 30080 at 192.0.2.9/tcp belongs to Service default/other; not served for this one",
            ])
    }

    @Test("of two ports that name one node port the first has it, and the other is told")
    func nodePortTwice() throws {
        var web = service(
            "web", "10.96.0.1",
            ports: [
                .init(name: "a", port: 80, nodePort: 30080), .init(name: "b", port: 81, nodePort: 30080),
            ])
        web.kind = .nodePort
        let (plan, problems) = ClusterState([web]).plan(for: name("web"))
        #expect(
            try #require(plan).ports.map { $0.frontends.map(\.kind) } == [
                [.clusterIP, .nodePort], [.clusterIP],
            ])
        #expect(
            problems.map(\.description) == [
                "Service default/web: spec.ports[1].nodePort: node port 30080/tcp belongs to spec.ports[0]; not served for this one"
            ])
    }
}
