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
