import IPAddressing
import KubernetesAPI
import PacketSimulator
import Testing

/// What one Service had another one gets, in one change or in two, whichever comes first.
@Suite("Kubernetes' objects as they come: handed over")
struct HandoverTests {
    /// Who gives and who gets: of Services of one age the first by name wins, so both orders of names.
    struct Pair: Sendable, CustomTestStringConvertible {
        let giver: String
        let taker: String
        var testDescription: String { "\(giver) to \(taker)" }

        static let both = [Pair(giver: "alpha", taker: "zeta"), Pair(giver: "zeta", taker: "alpha")]

        var slices: [String] { [Text.slice(giver, "10.16.1.1"), Text.slice(taker, "10.16.1.2")] }
    }

    private static let giverPod = ip("10.16.1.1")
    private static let takerPod = ip("10.16.1.2")

    // MARK: A node port

    /// Service `alpha` at 10.96.0.20, `zeta` at 10.96.0.21.
    private static func service(_ name: String, nodePort: Int?, created: Int? = nil, local: Bool = false)
        -> String
    {
        Text.service(
            name,
            """
            type: NodePort, clusterIP: \(name == "alpha" ? "10.96.0.20" : "10.96.0.21"),
            externalTrafficPolicy: \(local ? "Local" : "Cluster"),
            ports: [{port: 80\(nodePort.map { ", nodePort: \($0)" } ?? "")}]
            """, created: created)
    }

    private static func atNodePort(_ node: inout CompiledNode) -> SimulatedFate {
        node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort)
    }

    private static func begin(_ pair: Pair) -> Walk {
        var walk = Walk()
        walk.step(
            pair.slices[0], pair.slices[1], service(pair.giver, nodePort: 30_080),
            service(pair.taker, nodePort: nil)
        ) { node in
            #expect(atNodePort(&node).endpoint == giverPod)
        }
        return walk
    }

    /// The taker has it, both cluster IPs are served as ever, and nothing is left to complain of.
    private static func expectHandedOver(_ node: inout CompiledNode) {
        #expect(atNodePort(&node).endpoint == takerPod)
        #expect(node.fate(to: ip("10.96.0.20")).endpoint != nil)
        #expect(node.fate(to: ip("10.96.0.21")).endpoint != nil)
        #expect(node.problems.isEmpty, "\(node.problems)")
    }

    @Test("a node port moves from one Service to another in one step", arguments: Pair.both)
    func nodePortAtOnce(_ pair: Pair) {
        for local in [false, true] {
            let giver = Self.service(pair.giver, nodePort: nil, local: local)
            let taker = Self.service(pair.taker, nodePort: 30_080)
            for documents in [[giver, taker], [taker, giver]] {
                var walk = Self.begin(pair)
                walk.step(documents[0], documents[1], expect: Self.expectHandedOver)
            }
        }
    }

    @Test("a node port moves, and the Service that loses it arrives first", arguments: Pair.both)
    func nodePortLoserFirst(_ pair: Pair) {
        var walk = Self.begin(pair)
        walk.step(Self.service(pair.giver, nodePort: nil)) { #expect(Self.atNodePort(&$0).isUntouched) }
        walk.step(Self.service(pair.taker, nodePort: 30_080), expect: Self.expectHandedOver)
    }

    @Test("a node port moves, and the Service that gets it arrives first", arguments: Pair.both)
    func nodePortWinnerFirst(_ pair: Pair) {
        var walk = Self.begin(pair)
        walk.step(Self.service(pair.taker, nodePort: 30_080)) { node in
            // For as long as both ask for it the first by name has it, and the other one is told.
            let (has, lacks) =
                pair.giver < pair.taker ? (Self.giverPod, pair.taker) : (Self.takerPod, pair.giver)
            #expect(Self.atNodePort(&node).endpoint == has)
            #expect(node.problems.map(\.subject?.description) == ["Service default/\(lacks)"])
        }
        walk.step(Self.service(pair.giver, nodePort: nil), expect: Self.expectHandedOver)
    }

    @Test(
        "a node port moves to an older Service: it has it before the younger one lets go",
        arguments: Pair.both)
    func nodePortToOlder(_ pair: Pair) {
        var walk = Walk()
        walk.step(
            pair.slices[0], pair.slices[1], Self.service(pair.giver, nodePort: 30_080, created: 2),
            Self.service(pair.taker, nodePort: nil, created: 1))
        walk.step(Self.service(pair.taker, nodePort: 30_080, created: 1)) { node in
            #expect(Self.atNodePort(&node).endpoint == Self.takerPod)
            #expect(node.problems.map(\.subject?.description) == ["Service default/\(pair.giver)"])
        }
        walk.step(
            Self.service(pair.giver, nodePort: nil, created: 2), expect: Self.expectHandedOver)
    }

    @Test("two Services exchange their node ports in one step")
    func nodePortsExchanged() {
        var walk = Walk()
        walk.step(
            Text.slice("alpha", "10.16.1.1"), Text.slice("zeta", "10.16.1.2"),
            Self.service("alpha", nodePort: 30_080), Self.service("zeta", nodePort: 30_081))
        walk.step(Self.service("alpha", nodePort: 30_081), Self.service("zeta", nodePort: 30_080)) { node in
            #expect(Self.atNodePort(&node).endpoint == Self.takerPod)
            #expect(
                node.fate(from: .outside, to: Small.nodeAddress, 30_081).endpoint == Self.giverPod)
            #expect(node.problems.isEmpty)
        }
    }

    // MARK: A cluster IP

    /// At 10.96.0.10, port 80 of the giver and 443 of the taker, so that what is left of either would be seen.
    private static func atClusterIP(_ name: String, _ pair: Pair, affinity: Bool, both: Bool = false)
        -> String
    {
        let ports =
            if both { "{port: 80}" } else { name == pair.giver ? "{port: 80}" : "{port: 443}" }
        return Text.service(
            name,
            "clusterIP: 10.96.0.10, sessionAffinity: \(affinity ? "ClientIP" : "None"), ports: [\(ports)]")
    }

    private static func hold(_ pair: Pair, affinity: Bool, both: Bool = false) -> Walk {
        var walk = Walk()
        walk.step(
            pair.slices[0], pair.slices[1], atClusterIP(pair.giver, pair, affinity: affinity, both: both)
        ) { node in
            #expect(node.fate(to: Small.clusterIP).endpoint == giverPod)
        }
        return walk
    }

    private static func expectTaken(_ node: inout CompiledNode) {
        #expect(node.fate(to: Small.clusterIP, 443).endpoint == takerPod)
        #expect(node.fate(to: Small.clusterIP).isRefused, "what the new one doesn't serve is refused")
        #expect(
            node.problems.allSatisfy { $0.subject?.description.hasPrefix("Service") != true },
            "\(node.problems)")
    }

    @Test("a cluster IP is reused by another Service in one step", arguments: Pair.both)
    func clusterIPAtOnce(_ pair: Pair) {
        for (before, after) in [(false, false), (true, false), (false, true), (true, true)] {
            for removingFirst in [true, false] {
                var walk = Self.hold(pair, affinity: before)
                walk.step(
                    Self.atClusterIP(pair.taker, pair, affinity: after),
                    removing: [.service(Small.name(pair.giver))], removingFirst: removingFirst,
                    expect: Self.expectTaken)
            }
        }
    }

    @Test(
        "a cluster IP is reused at the same port: clients are not led to the Service before",
        arguments: Pair.both)
    func clusterIPSamePort(_ pair: Pair) {
        for removingFirst in [true, false] {
            var walk = Self.hold(pair, affinity: true, both: true)
            walk.step(
                Self.atClusterIP(pair.taker, pair, affinity: true, both: true),
                removing: [.service(Small.name(pair.giver))], removingFirst: removingFirst
            ) { node in
                #expect(
                    node.reached(3, to: Small.clusterIP) == [Self.takerPod, Self.takerPod, Self.takerPod])
            }
        }
    }

    @Test("a cluster IP is reused: the Service that had it goes before the other comes", arguments: Pair.both)
    func clusterIPInTurn(_ pair: Pair) {
        for affinity in [false, true] {
            var walk = Self.hold(pair, affinity: affinity)
            walk.step(removing: [.service(Small.name(pair.giver))]) { node in
                #expect(node.fate(to: Small.clusterIP) == .dropped)
            }
            walk.step(Self.atClusterIP(pair.taker, pair, affinity: affinity), expect: Self.expectTaken)
        }
    }

    @Test(
        "a cluster IP is reused: the other Service comes before the one that had it goes",
        arguments: Pair.both)
    func clusterIPOverlapping(_ pair: Pair) {
        for affinity in [false, true] {
            var walk = Self.hold(pair, affinity: affinity)
            walk.step(Self.atClusterIP(pair.taker, pair, affinity: affinity)) { node in
                // They ask for different ports of it, so for a moment both are served.
                #expect(node.fate(to: Small.clusterIP).endpoint == Self.giverPod)
                #expect(node.fate(to: Small.clusterIP, 443).endpoint == Self.takerPod)
            }
            walk.step(removing: [.service(Small.name(pair.giver))], expect: Self.expectTaken)
        }
    }

    @Test("a cluster IP and port is asked for by two until the first one goes", arguments: Pair.both)
    func clusterIPContested(_ pair: Pair) {
        var walk = Self.hold(pair, affinity: false, both: true)
        walk.step(Self.atClusterIP(pair.taker, pair, affinity: false, both: true)) { node in
            let isGivers = pair.giver < pair.taker
            #expect(
                node.fate(to: Small.clusterIP).endpoint == (isGivers ? Self.giverPod : Self.takerPod))
            let lacks = isGivers ? pair.taker : pair.giver
            #expect(
                node.problems.compactMap(\.subject?.description).filter { $0.hasPrefix("Service") }
                    == ["Service default/\(lacks)"])
        }
        walk.step(removing: [.service(Small.name(pair.giver))]) { node in
            #expect(node.fate(to: Small.clusterIP).endpoint == Self.takerPod)
            #expect(node.problems.compactMap(\.subject?.description).allSatisfy { !$0.hasPrefix("Service") })
        }
    }

    @Test("two Services exchange their cluster IPs in one step")
    func clusterIPsExchanged() {
        func service(_ name: String, _ address: String) -> String {
            Text.service(name, "clusterIP: \(address), ports: [{port: 80}]")
        }
        var walk = Walk()
        walk.step(
            Text.slice("alpha", "10.16.1.1"), Text.slice("zeta", "10.16.1.2"),
            service("alpha", "10.96.0.20"), service("zeta", "10.96.0.21"))
        walk.step(service("alpha", "10.96.0.21"), service("zeta", "10.96.0.20")) { node in
            #expect(node.fate(to: ip("10.96.0.20")).endpoint == Self.takerPod)
            #expect(node.fate(to: ip("10.96.0.21")).endpoint == Self.giverPod)
            #expect(node.problems.isEmpty)
        }
    }

    @Test("a load balancer address moves from one Service to another in one step", arguments: Pair.both)
    func loadBalancerIP(_ pair: Pair) {
        func service(_ name: String, _ address: String?) -> String {
            Text.service(
                name,
                """
                type: LoadBalancer, clusterIP: \(name == "alpha" ? "10.96.0.20" : "10.96.0.21"),
                loadBalancerSourceRanges: [\(name == "alpha" ? "198.51.100.0/24" : "")], ports: [{port: 80}]
                """, status: "loadBalancer: {ingress: [\(address.map { "{ip: \($0)}" } ?? "")]}")
        }
        let changes = [service(pair.giver, nil), service(pair.taker, "203.0.0.10")]
        for documents in [changes, changes.reversed()] {
            var walk = Walk()
            walk.step(
                pair.slices[0], pair.slices[1], service(pair.giver, "203.0.0.10"), service(pair.taker, nil)
            ) { node in
                let fate = node.fate(from: .outside, client: Small.outsider, to: Small.loadBalancerIP)
                #expect(fate.endpoint == Self.giverPod)
            }
            walk.step(documents[0], documents[1]) { node in
                let fate = node.fate(from: .outside, client: Small.outsider, to: Small.loadBalancerIP)
                #expect(fate.endpoint == Self.takerPod)
                let stranger = node.fate(from: .outside, client: ip("198.51.99.1"), to: Small.loadBalancerIP)
                #expect((stranger == .dropped) == (pair.taker == "alpha"), "its own ranges guard it")
                #expect(node.problems.isEmpty)
            }
        }
    }
}
