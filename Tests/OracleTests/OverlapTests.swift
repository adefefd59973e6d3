import HostNetwork
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
        !node.problems.isEmpty && node.problems.allSatisfy { $0.subject?.description.contains(name) == true }
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
        #expect(
            node.problems.allSatisfy { $0.subject?.description.contains("alpha") != true }, "\(node.problems)"
        )
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

    @Test("an external IP that is an older Service's cluster IP, at the same port: that one has it")
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

    @Test("an external IP and port that is the node's and another's node port: the older one has it")
    func externalIsNodePort() {
        let port = Small.nodePort
        var node = Self.node {
            ($0.externalIPs, $0.ports) = ([Small.nodeAddress], [.init(port: port)])
        }
        #expect(node.fate(from: .outside, to: Small.nodeAddress, port).endpoint == Self.first)
        #expect(Self.loses(node), "\(node.problems)")
        #expect(node.problems.count == 1)
        #expect(node.fate(to: ip("10.96.0.20"), port).endpoint == Self.second, "its cluster IP is served")
        #expect(node.isInStep)
        // What the winner gives up the other one gets.
        node.change([], removing: [.service(Small.name("zeta"))])
        #expect(node.fate(from: .outside, to: Small.nodeAddress, port).endpoint == Self.second)
        #expect(
            node.problems.allSatisfy { $0.subject?.description.contains("alpha") != true }, "\(node.problems)"
        )
        node.change([.service(Small.service("zeta") { $0.created = 1000 })])
        #expect(node.fate(from: .outside, to: Small.nodeAddress, port).endpoint == Self.first)
        #expect(node.differenceToFresh.isEmpty)
    }

    @Test("a node port at an address that is an older Service's external IP lacks that address, and no other")
    func nodePortIsExternal() {
        let (port, second) = (Small.nodePort, Ground.of(.ipv4, Ground.secondAddresses))
        // The older one has the external IP, the younger one the node port.
        let services = [
            Small.service("zeta") {
                ($0.created, $0.externalIPs, $0.loadBalancerIPs) = (1000, [Small.nodeAddress], [])
                ($0.clusterIPs, $0.ports) = ([ip("10.96.0.20")], [.init(port: port)])
            },
            Small.service("alpha") { ($0.created, $0.externalIPs, $0.loadBalancerIPs) = (2000, [], []) },
        ]
        var node = CompiledNode(
            Small.objects(
                services,
                [
                    Small.slice([Small.here(Self.first)], of: "zeta"),
                    Small.slice([Small.here(Self.second)], of: "alpha"),
                ]), nodePorts: .networks([]))
        #expect(node.fate(from: .outside, to: Small.nodeAddress, port).endpoint == Self.first)
        #expect(node.fate(from: .outside, to: second, port).endpoint == Self.second)
        #expect(Self.loses(node), "\(node.problems)")
        #expect(node.problems.map(\.message).allSatisfy { $0.contains("at \(Small.nodeAddress)") })
        #expect(node.isInStep)
        // An address that the node loses is nobody's node port any more.
        node.change(hostAddresses: [second])
        #expect(node.problems.isEmpty, "\(node.problems)")
        #expect(node.fate(from: .outside, to: Small.nodeAddress, port).endpoint == Self.first)
        #expect(node.differenceToFresh.isEmpty)
        node.change(hostAddresses: [second, Small.nodeAddress])
        #expect(Self.loses(node), "\(node.problems)")
        #expect(node.differenceToFresh.isEmpty)
    }

    @Test(
        "a load balancer address that is the node's, at another's node port: the older one has it, in any order"
    )
    func loadBalancerIsNodePort() {
        let port = Small.nodePort
        for isFirst in [true, false] {
            let balanced = Small.service("alpha") {
                ($0.created, $0.externalIPs, $0.loadBalancerIPs) = (2000, [], [Small.nodeAddress])
                ($0.clusterIPs, $0.ports) = ([ip("10.96.0.20")], [.init(port: port)])
            }
            let nodePort = Small.service("zeta") {
                ($0.created, $0.externalIPs, $0.loadBalancerIPs) = (1000, [], [])
            }
            var node = CompiledNode(
                Small.objects(
                    [],
                    [
                        Small.slice([Small.here(Self.first)], of: "zeta"),
                        Small.slice([Small.here(Self.second)], of: "alpha"),
                    ]))
            for service in isFirst ? [balanced, nodePort] : [nodePort, balanced] {
                node.change([.service(service)])
            }
            #expect(node.fate(from: .outside, to: Small.nodeAddress, port).endpoint == Self.first)
            #expect(Self.loses(node), "\(node.problems)")
            #expect(node.differenceToFresh.isEmpty)
        }
    }

    @Test("a node port of a family that a Service isn't in keeps nobody from that family's addresses")
    func otherFamily() {
        let port = Small.nodePort
        let nodeIPv6 = Ground.of(.ipv6, Ground.primaryAddresses)
        var node = Self.node {
            ($0.clusterIPs, $0.externalIPs) = ([ip("fd00:96::20")], [nodeIPv6])
            $0.ports = [.init(port: port)]
        }
        #expect(node.problems.isEmpty, "\(node.problems)")
        let client = SourceKind.outside.address(7, .ipv6)
        // Its endpoint is of the other family: it is there, and refuses.
        #expect(node.fate(from: .outside, client: client, to: nodeIPv6, port).isRefused)
        #expect(node.fate(from: .outside, to: Small.nodeAddress, port).endpoint == Self.first)
        #expect(node.isInStep)
    }

    @Test(
        "one node port for an IPv4 and an IPv6 Service: both have it, and one that is in both families what is left"
    )
    func nodePortByFamily() {
        let nodeIPv6 = Ground.of(.ipv6, Ground.primaryAddresses)
        let pods = [ip("fd00:10:16::1"), ip("fd00:10:16::2")]
        func exposed(_ name: String, _ created: Int64, _ addresses: String...) -> Service {
            Small.service(name) {
                ($0.created, $0.clusterIPs) = (created, addresses.map(ip))
                ($0.externalIPs, $0.loadBalancerIPs) = ([], [])
            }
        }
        func slice(_ service: String, _ pod: IPAddress) -> EndpointSlice {
            EndpointSlice(
                name: Small.name("\(service)-ipv6"), service: Small.name(service), family: .ipv6,
                endpoints: [Small.here(pod)], ports: [.init(port: 8080)])
        }
        let four = exposed("four", 1, "10.96.0.20")
        let six = exposed("six", 2, "fd00:96::21")
        let both = exposed("both", 3, "10.96.0.22", "fd00:96::22")
        let client = SourceKind.outside.address(7, .ipv6)
        for order in [[four, six, both], [both, six, four]] {
            var node = CompiledNode(
                Small.objects(
                    [],
                    [
                        Small.slice([Small.here(Self.first)], of: "four"), slice("six", pods[0]),
                        Small.slice([Small.here(Self.second)], of: "both"), slice("both", pods[1]),
                    ]))
            for service in order { node.change([.service(service)]) }
            func reached() -> [IPAddress?] {
                [
                    node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).endpoint,
                    node.fate(from: .outside, client: client, to: nodeIPv6, Small.nodePort).endpoint,
                ]
            }
            #expect(reached() == [Self.first, pods[0]])
            #expect(Self.loses(node, "default/both"), "\(node.problems)")
            #expect(node.problems.count == 2)
            node.change([], removing: [.service(six.name)])
            #expect(reached() == [Self.first, pods[1]])
            node.change([.service(six)], removing: [.service(four.name)])
            #expect(reached() == [Self.second, pods[0]])
            #expect(node.isInStep)
            #expect(node.differenceToFresh.isEmpty)
        }
    }

    @Test("an external IP that is a younger Service's cluster IP and port: that one has it all the same")
    func externalIsClusterIPOfYounger() {
        var node = Self.node(
            { $0.externalIPs = [ip("10.96.0.20")] }, { _ in })
        #expect(Self.loses(node, "default/zeta"), "\(node.problems)")
        Self.expectOthersServed(&node)
        // What the winner gives up the other one gets.
        node.change([], removing: [.service(Small.name("alpha"))])
        #expect(node.fate(to: ip("10.96.0.20")).endpoint == Self.first)
        #expect(node.differenceToFresh.isEmpty)
    }

    @Test("an external IP that is another's load balancer address: whose load balancer it is has it")
    func externalIsLoadBalancerOfYounger() {
        var node = Self.node(
            { ($0.externalIPs, $0.loadBalancerIPs) = ([Small.loadBalancerIP], []) },
            { ($0.kind, $0.loadBalancerIPs) = (.loadBalancer, [Small.loadBalancerIP]) })
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP).endpoint == Self.second)
        #expect(Self.loses(node, "default/zeta"), "\(node.problems)")
        Self.expectOthersServed(&node)
        // A Service that is changed later gains nothing by its age.
        node.change([.service(Small.service("zeta") { ($0.created, $0.loadBalancerIPs) = (1000, []) })])
        #expect(node.problems.isEmpty, "\(node.problems)")
        node.change([
            .service(
                Small.service("zeta") {
                    ($0.created, $0.externalIPs, $0.loadBalancerIPs) = (1000, [Small.loadBalancerIP], [])
                })
        ])
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP).endpoint == Self.second)
        #expect(node.differenceToFresh.isEmpty)
    }

    @Test(
        "one node port for two Services of one age: the first by name has it, and the other one once it goes")
    func nodePortByName() {
        var node = Self.node(
            { $0.created = nil },
            { ($0.created, $0.ports) = (nil, [.init(port: 80, nodePort: Small.nodePort)]) })
        #expect(node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).endpoint == Self.second)
        #expect(Self.loses(node, "default/zeta"), "\(node.problems)")
        Self.expectOthersServed(&node)
        node.change([], removing: [.service(Small.name("alpha"))])
        #expect(node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).endpoint == Self.first)
        #expect(
            node.problems.allSatisfy { $0.subject?.description.hasPrefix("Service") != true },
            "\(node.problems)")
        #expect(node.differenceToFresh.isEmpty)
    }

    @Test("one node port over TCP and over UDP is no collision")
    func nodePortOfTwoTransports() {
        var node = Self.node { $0.ports = [.init(transport: .udp, port: 80, nodePort: Small.nodePort)] }
        #expect(node.problems.isEmpty, "\(node.problems)")
        #expect(node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).endpoint == Self.first)
        // Its slice has a TCP port only.
        #expect(node.fate(.udp, from: .outside, to: Small.nodeAddress, Small.nodePort).isRefused)
        #expect(node.isInStep)
    }

    @Test("a Service that has one address as cluster IP, external and load balancer IP is served")
    func itself() {
        var node = Self.node(
            { ($0.externalIPs, $0.loadBalancerIPs) = ([Small.clusterIP], [Small.clusterIP]) }, { _ in })
        #expect(node.fate(to: Small.clusterIP).endpoint == Self.first)
        Self.expectOthersServed(&node)
    }
}
