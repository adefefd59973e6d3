import IPAddressing
import KubernetesAPI
import PacketSimulator
import Testing

/// Services that ask for what another one has. A refused transaction fails these by `CompiledNode` itself.
@Suite("Claims that overlap")
struct OverlapTests {
    private static let first = Small.podHere
    private static let second = Small.podElsewhere

    /// An older and a younger Service; a bystander that is to be served whatever they do.
    private static func node(
        _ older: (inout Service) -> Void = { _ in }, _ younger: (inout Service) -> Void
    ) -> CompiledNode {
        var services = [
            Small.service("zeta") { $0.created = 1000 },
            Small.service("alpha") {
                $0.created = 2000
                ($0.clusterIPs, $0.externalIPs) = ([ip("10.96.0.20")], [])
                ($0.loadBalancerIPs, $0.ports) = ([], [.init(port: 80)])
            },
            Small.service("bystander") {
                ($0.clusterIPs, $0.externalIPs) = ([ip("10.96.0.30")], [])
                ($0.loadBalancerIPs, $0.ports) = ([], [.init(port: 80)])
            },
        ]
        older(&services[0])
        younger(&services[1])
        return CompiledNode(
            Small.objects(
                services,
                [
                    Small.slice([Small.here(first)], of: "zeta"),
                    Small.slice([Small.elsewhere(second)], of: "alpha"),
                    Small.slice([Small.here(first)], of: "bystander"),
                ]))
    }

    private static func loses(_ node: CompiledNode, _ name: String = "default/alpha") -> Bool {
        !node.problems.isEmpty && node.problems.allSatisfy { $0.object?.contains(name) == true }
    }

    /// The bystander and what the younger one has for itself are served, and the kernel is as the compiler thinks.
    private static func expectOthersServed(_ node: inout CompiledNode) {
        #expect(node.fate(to: ip("10.96.0.30")).endpoint == first)
        #expect(node.fate(to: ip("10.96.0.20")).endpoint == second)
        #expect(node.fate(to: Small.clusterIP).endpoint == first)
        #expect(node.isInStep)
    }

    @Test("two Services with one load balancer IP and port: the older one has it, the other is reported")
    func loadBalancer() {
        var node = Self.node { $0.loadBalancerIPs = [Small.loadBalancerIP] }
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP).endpoint == Self.first)
        #expect(Self.loses(node), "\(node.problems)")
        Self.expectOthersServed(&node)
        // What the winner gives up the other one gets.
        node.change([], removing: [.service(Small.name("zeta"))])
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP).endpoint == Self.second)
        #expect(node.problems.allSatisfy { $0.object?.contains("alpha") != true }, "\(node.problems)")
        #expect(node.isInStep)
    }

    @Test("Services of one age: the first by name has it")
    func byName() {
        var node = Self.node(
            { $0.created = nil },
            { ($0.created, $0.loadBalancerIPs) = (nil, [Small.loadBalancerIP]) })
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP).endpoint == Self.second)
        #expect(Self.loses(node, "default/zeta"), "\(node.problems)")
        Self.expectOthersServed(&node)
    }

    @Test("one load balancer IP with different ports is shared")
    func shared() {
        var node = Self.node {
            ($0.loadBalancerIPs, $0.ports) = ([Small.loadBalancerIP], [.init(name: "", port: 443)])
        }
        #expect(node.problems.isEmpty)
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP).endpoint == Self.first)
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP, 443).endpoint == Self.second)
        #expect(node.isInStep)
    }

    @Test("one node port for two Services: the older one has it")
    func nodePort() {
        var node = Self.node { $0.ports = [.init(port: 80, nodePort: Small.nodePort)] }
        #expect(node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).endpoint == Self.first)
        #expect(Self.loses(node), "\(node.problems)")
        Self.expectOthersServed(&node)
    }

    @Test("an external IP that is another's cluster IP, at the same port: the older one has it")
    func externalIsClusterIP() {
        var node = Self.node { $0.externalIPs = [Small.clusterIP] }
        #expect(Self.loses(node), "\(node.problems)")
        Self.expectOthersServed(&node)
    }

    @Test("an external IP that is another's cluster IP, at another port: both are served")
    func externalIsClusterIPElsewhere() {
        var node = Self.node {
            ($0.externalIPs, $0.ports) = ([Small.clusterIP], [.init(port: 443)])
        }
        #expect(node.fate(to: Small.clusterIP).endpoint == Self.first)
        #expect(node.fate(from: .outside, to: Small.clusterIP, 443).endpoint == Self.second)
        #expect(node.fate(to: Small.clusterIP, 81).isRefused)
        #expect(node.isInStep)
    }

    @Test("an external IP that is the node's own address: node ports beside it stay")
    func externalIsNodeAddress() {
        var node = Self.node { $0.externalIPs = [Small.nodeAddress] }
        #expect(node.fate(from: .outside, to: Small.nodeAddress).endpoint == Self.second)
        #expect(node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).endpoint == Self.first)
        #expect(node.fate(from: .outside, to: Small.nodeAddress, 22).isUntouched)
        Self.expectOthersServed(&node)
    }

    @Test("a Service that has one address as cluster IP, external and load balancer IP is served")
    func itself() {
        var node = Self.node(
            { ($0.externalIPs, $0.loadBalancerIPs) = ([Small.clusterIP], [Small.clusterIP]) }, { _ in })
        #expect(node.fate(to: Small.clusterIP).endpoint == Self.first)
        Self.expectOthersServed(&node)
    }
}
