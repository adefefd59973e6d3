import IPAddressing
import KubernetesAPI
import ServiceModel
import Testing

@Suite("The state of the cluster")
struct ClusterStateTests {
    // MARK: Which objects count

    @Test("statement 1: other proxies' Services, headless ones and external names are not served")
    func served() {
        var other = service("other", "10.96.0.1")
        other.proxyName = ""
        var headless = service("headless")
        headless.isHeadless = true
        var external = service("external", "10.96.0.3")
        external.kind = .externalName
        let state = ClusterState(
            [other, headless, external, service("web", "10.96.0.4")],
            ["other", "headless", "external", "web"].map { slice($0, of: $0, endpoint("10.244.0.1")) })
        #expect(state.servedServices == [name("web")])
        for absent in ["other", "headless", "external"] {
            #expect(state.fate(absent) == "not served")
            #expect(state.plan(for: name(absent)).problems.isEmpty)
        }
        #expect(state.fate("web") == "10.244.0.1:8080")
    }

    @Test("statement 2: a slice serves the Service that it names, in its own family")
    func slices() {
        let state = ClusterState(
            [service("web", "10.96.0.1", "fd00::1")],
            [
                slice("a", of: "web", endpoint("10.244.0.1")),
                slice("b", of: "web", endpoint("10.244.0.2")),
                slice("c", of: "web", family: .ipv6, endpoint("fd00:244::3")),
                slice("d", of: "more", endpoint("10.244.0.4")),
                EndpointSlice(
                    name: ObjectName(namespace: "other", name: "a"),
                    service: ObjectName(namespace: "other", name: "web"), family: .ipv4,
                    endpoints: [endpoint("10.244.0.5")], ports: [.init(port: 8080)]),
            ])
        #expect(state.fate("web") == "10.244.0.1:8080 10.244.0.2:8080")
        #expect(state.fate("web", .ipv6) == "[fd00:244::3]:8080")
    }

    @Test("statement 3: ports join on name and protocol")
    func ports() throws {
        let state = ClusterState(
            [
                service(
                    "web", "10.96.0.1",
                    ports: [
                        .init(name: "http", port: 80), .init(name: "dns", transport: .udp, port: 53),
                        .init(name: "dns-tcp", port: 53), .init(name: "sip", transport: .sctp, port: 5060),
                    ])
            ],
            [
                slice(
                    "a", of: "web",
                    ports: [
                        .init(name: "http", port: 8080), .init(name: "dns", port: 1),
                        .init(name: "dns", transport: .udp, port: 5353),
                        .init(name: "sip", transport: .sctp, port: 5061),
                        .init(name: "sip", transport: .sctp, port: 5062),
                    ], endpoint("10.244.0.1"))
            ])
        let plan = try #require(state.plan(for: name("web")).plan)
        let targets = plan.ports.map { port -> [UInt16] in
            if case .endpoints(let endpoints) = port.outcome(port.frontends[0].policy) {
                endpoints.map(\.target.port).sorted()
            } else {
                []
            }
        }
        #expect(targets == [[8080], [5353], [], [5061, 5062]])
        #expect(plan.ports.map(\.id.port) == ["http", "dns", "dns-tcp", "sip"])
    }

    @Test(
        "statement 4: an endpoint in several slices counts once, one that doesn't terminate wins",
        arguments: [true, false])
    func duplicates(isReversed: Bool) {
        let terminating = endpoint("10.244.0.1", ready: false, terminating: true)
        let living = endpoint("10.244.0.1")
        let state = ClusterState(
            [service("web", "10.96.0.1")],
            [
                slice("a", of: "web", isReversed ? living : terminating, isReversed ? terminating : living),
                slice("b", of: "web", isReversed ? terminating : living, terminating),
            ])
        #expect(state.fate("web") == "10.244.0.1:8080")
    }

    @Test("statement 5: only endpoints that may be on this node may be sent to themselves")
    func hairpins() throws {
        let state = ClusterState(
            [service("web", "10.96.0.1")],
            [
                slice(
                    "a", of: "web", endpoint("10.244.0.1", on: "node"), endpoint("10.244.0.2", on: "other"),
                    endpoint("10.244.0.3", on: nil))
            ])
        let plan = try #require(state.plan(for: name("web")).plan)
        guard case .endpoints(let endpoints) = plan.ports[0].outcome(plan.ports[0].frontends[0].policy) else {
            Issue.record("no endpoints")
            return
        }
        let hairpins = endpoints.filter(\.isHairpin).map(\.target.address).sorted()
        #expect(hairpins == [ip("10.244.0.1"), ip("10.244.0.3")])
    }

    // MARK: Changes

    @Test("a change marks the Services that it touches, and no others")
    func dirty() {
        var state = ClusterState(
            [service("web", "10.96.0.1"), service("more", "10.96.0.2")],
            [slice("a", of: "web", endpoint("10.244.0.1"))])
        #expect(state.takeDirty() == [name("web"), name("more")])
        #expect(state.takeDirty().isEmpty)
        state.upsert(.endpointSlice(slice("a", of: "web", endpoint("10.244.0.1"))))
        state.upsert(.service(service("more", "10.96.0.2")))
        #expect(state.takeDirty().isEmpty, "nothing changed")
        state.upsert(.endpointSlice(slice("a", of: "web", endpoint("10.244.0.2"))))
        #expect(state.takeDirty() == [name("web")])
        state.upsert(.endpointSlice(slice("a", of: "more", endpoint("10.244.0.2"))))
        #expect(state.takeDirty() == [name("web"), name("more")], "the slice changed hands")
        #expect(state.fate("web") == "refused")
        state.remove(.endpointSlice(name("a")))
        #expect(state.takeDirty() == [name("more")])
        state.remove(.endpointSlice(name("a")))
        state.remove(.service(name("nobody")))
        #expect(state.takeDirty().isEmpty)
        #expect(state.endpointCount == 0)
    }

    @Test("slices that no Service has are a problem until it comes")
    func orphans() {
        var state = ClusterState(
            [], [slice("b", of: "web", endpoint("10.244.0.1")), slice("a", of: "web")])
        #expect(state.takeDirty() == [name("web")])
        let (plan, problems) = state.plan(for: name("web"))
        #expect(plan == nil)
        #expect(problems.map(\.subject) == ["a", "b"].map { .object(.endpointSlice(name($0))) })
        state.upsert(.service(service("web", "10.96.0.1")))
        #expect(state.takeDirty() == [name("web")])
        #expect(state.plan(for: name("web")).problems.isEmpty)
        #expect(state.fate("web") == "10.244.0.1:8080")
    }

    @Test("networks are those of all ServiceCIDRs, each once")
    func networks() {
        var state = ClusterState(nodeName: "node")
        let networks = ["10.97.0.0/16", "10.96.0.0/16", "fd00::/112"].compactMap { IPNetwork($0) }
        state.upsert(.serviceCIDR(ServiceCIDR(name: "a", networks: [networks[0], networks[1]])))
        state.upsert(.serviceCIDR(ServiceCIDR(name: "b", networks: [networks[1], networks[2]])))
        #expect(state.serviceNetworks == [networks[1], networks[0], networks[2]])
        state.remove(.serviceCIDR("a"))
        #expect(state.serviceNetworks == [networks[1], networks[2]])
        #expect(state.takeDirty().isEmpty)
    }

    // MARK: Claims

    /// Who is served at 10.96.0.1, and who is told why not.
    private func holders(_ state: ClusterState, _ names: String...) -> (served: [String], told: [String]) {
        let served = names.filter { !(state.plan(for: name($0)).plan?.ports.isEmpty ?? true) }
        let told = names.flatMap { state.plan(for: name($0)).problems.compactMap(\.subject?.description) }
        return (served, told)
    }

    @Test(
        "of two Services with one address and port the older is served, the other told",
        arguments: [true, false])
    func older(isReversed: Bool) {
        let services = [
            service("young", "10.96.0.1", created: 200), service("old", "10.96.0.1", created: 100),
        ]
        let state = ClusterState(isReversed ? services.reversed() : services)
        let (served, told) = holders(state, "young", "old")
        #expect(served == ["old"])
        #expect(told == ["Service default/young"])
    }

    @Test("of two of one age the first by name is served, and one that tells its age goes first")
    func ties() {
        #expect(
            holders(
                ClusterState([service("b", "10.96.0.1", created: 5), service("a", "10.96.0.1", created: 5)]),
                "a", "b"
            ).served == ["a"])
        #expect(
            holders(ClusterState([service("b", "10.96.0.1"), service("a", "10.96.0.1")]), "a", "b").served
                == ["a"])
        #expect(
            holders(
                ClusterState([service("b", "10.96.0.1", created: 5), service("a", "10.96.0.1")]), "a", "b"
            )
            .served == ["b"])
    }

    @Test("the loser takes over when the winner goes, changes its address or its port")
    func takeover() {
        let winner = service("a", "10.96.0.1", created: 1)
        let loser = service("b", "10.96.0.1", created: 2)
        let changes: [(inout ClusterState) -> Void] = [
            { $0.remove(.service(winner.name)) },
            { $0.upsert(.service(service("a", "10.96.0.2", created: 1))) },
            { $0.upsert(.service(service("a", "10.96.0.1", created: 1, ports: [.init(port: 81)]))) },
            { $0.upsert(.service(service("a", "10.96.0.1", created: 3))) },
            {
                var headless = winner
                headless.isHeadless = true
                $0.upsert(.service(headless))
            },
        ]
        for change in changes {
            var state = ClusterState([winner, loser])
            _ = state.takeDirty()
            #expect(holders(state, "b").served.isEmpty)
            change(&state)
            #expect(state.takeDirty() == [name("a"), name("b")])
            #expect(holders(state, "b").served == ["b"])
            #expect(holders(state, "b").told.isEmpty)
        }
    }

    @Test("an older one that comes takes the address, and the one it takes it from is told")
    func newcomer() {
        var state = ClusterState([service("a", "10.96.0.1", created: 2)])
        _ = state.takeDirty()
        state.upsert(.service(service("b", "10.96.0.1", created: 1)))
        #expect(state.takeDirty() == [name("a"), name("b")])
        #expect(holders(state, "a", "b").served == ["b"])
        #expect(holders(state, "a", "b").told == ["Service default/a"])
    }

    @Test("one address with ports apart, or protocols apart, serves both")
    func apart() {
        let state = ClusterState([
            service("a", "10.96.0.1", ports: [.init(port: 80)]),
            service("b", "10.96.0.1", ports: [.init(port: 81)]),
            service("c", "10.96.0.1", ports: [.init(transport: .udp, port: 80)]),
        ])
        #expect(holders(state, "a", "b", "c").served == ["a", "b", "c"])
        #expect(holders(state, "a", "b", "c").told.isEmpty)
    }

    @Test("a Service loses only the address that another holds")
    func partly() throws {
        let state = ClusterState([
            service("a", "10.96.0.1", created: 1), service("b", "10.96.0.1", "fd00::1", created: 2),
        ])
        let (plan, problems) = state.plan(for: name("b"))
        #expect(try #require(plan).ports.map { $0.frontends.compactMap(\.address) } == [[ip("fd00::1")]])
        #expect(problems.count == 1)
        #expect(problems.first?.message.hasPrefix("10.96.0.1:80/tcp belongs to Service default/a") == true)
    }
}
