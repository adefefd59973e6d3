import Agent
import HostNetwork
import IPAddressing
import KubernetesAPI
import Manifests
import Oracle
import PacketSimulator
import Testing

/// Statements 16 to 22: addresses, affinity, source ranges, rotation.
@Suite("Statements: addresses, affinity, source ranges")
struct AddressStatementTests {
    private static func node(
        _ endpoints: [Endpoint], _ change: (inout Service) -> Void = { _ in }
    ) -> CompiledNode {
        CompiledNode(
            Small.objects([Small.service("web", change)], [Small.slice(endpoints)]), mode: .nodeCIDR)
    }

    @Test(
        "statement 16: a port that a live cluster IP doesn't serve is refused, an address of nobody is dropped"
    )
    func unserved() {
        var node = Self.node([Small.here()])
        #expect(node.fate(to: Small.clusterIP, 81).isRefused)
        #expect(node.fate(.udp, to: Small.clusterIP, 80).isRefused)
        #expect(node.fate(to: ip("10.96.0.11")) == .dropped)
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP, 81).isUntouched)
        node.change([], removing: [.service(Small.name("web"))])
        #expect(node.fate(to: Small.clusterIP) == .dropped)
    }

    @Test("statement 17: a pod of this node that reaches itself through its Service is masqueraded")
    func hairpin() {
        var node = Self.node([Small.here()])
        let own = node.fate(client: Small.podHere, to: Small.clusterIP)
        #expect(own.endpoint == Small.podHere)
        #expect(own.source == Small.nodeAddress)
        #expect(node.fate(to: Small.clusterIP).source == SourceKind.podHere.client)
    }

    @Test("statement 17: a pod of another node that reaches itself is no hairpin of this node")
    func hairpinElsewhere() {
        var node = Self.node([Small.elsewhere()])
        let own = node.fate(from: .podElsewhere, client: Small.podElsewhere, to: Small.clusterIP)
        // Outside of this node's pod network, so masqueraded whether it reaches itself or not.
        #expect(own.source == Small.nodeAddress)
        // As with kube-proxy, hairpins are those of this node's endpoints: its own node sees to that one.
        var untold = CompiledNode(Small.objects([Small.service()], [Small.slice([Small.elsewhere()])]))
        let unchanged = untold.fate(from: .podElsewhere, client: Small.podElsewhere, to: Small.clusterIP)
        #expect(unchanged.endpoint == Small.podElsewhere)
        #expect(unchanged.source == Small.podElsewhere)
    }

    @Test("statement 18: a client keeps its endpoint through all addresses, until it leaves or time is over")
    func affinity() {
        let pods = (1...3).map { Small.here(ip("10.16.1.\($0)")) }
        var node = Self.node(pods) { $0.affinityTimeout = 60 }
        let first = node.fate(from: .outside, to: Small.loadBalancerIP).endpoint
        for _ in 1...3 {
            node.simulator.now += 50_000
            for (address, port) in [
                (Small.clusterIP, 80), (Small.externalIP, 80), (Small.nodeAddress, Small.nodePort),
            ] as [(IPAddress, UInt16)] {
                #expect(node.fate(from: .outside, to: address, port).endpoint == first)
            }
        }
        node.change([.endpointSlice(Small.slice(pods.filter { $0.address != first }))])
        let second = node.fate(from: .outside, to: Small.clusterIP).endpoint
        #expect(second != nil && second != first)
        node.change([.endpointSlice(Small.slice(pods))])
        #expect(node.reached(3, from: .outside, to: Small.clusterIP) == [second, second, second])
        node.simulator.now += 61_000
        var fresh: Set<IPAddress?> = []
        for _ in 1...3 {
            fresh.insert(node.fate(from: .outside, to: Small.clusterIP).endpoint)
            node.simulator.now += 61_000
        }
        #expect(fresh.count == 3)
    }

    @Test("statement 18: a client that came through a Local address keeps its endpoint at the cluster IP")
    func affinityAcrossPolicies() {
        let pods = (1...2).map { Small.here(ip("10.16.1.\($0)")) } + [Small.elsewhere()]
        for number in 1...3 {
            var node = Self.node(pods) { ($0.affinityTimeout, $0.externalTrafficPolicy) = (60, .local) }
            let client = ip("198.51.100.\(number)")
            // Others before it, so that the rotations stand elsewhere.
            for other in 0..<number {
                _ = node.fate(from: .outside, client: ip("198.51.101.\(other)"), to: Small.clusterIP)
            }
            let first = node.fate(from: .outside, client: client, to: Small.loadBalancerIP).endpoint
            #expect(node.fate(from: .outside, client: client, to: Small.clusterIP).endpoint == first)
        }
    }

    @Test("statement 19: load balancer addresses with ipMode VIP or none are served, Proxy and names not")
    func ingress() {
        let text = """
            apiVersion: v1
            kind: Service
            metadata: {name: web, namespace: default}
            spec: {type: LoadBalancer, clusterIP: 10.96.0.10, ports: [{port: 80}]}
            status:
              loadBalancer:
                ingress: [{ip: 203.0.0.1}, {ip: 203.0.0.2, ipMode: VIP}, {ip: 203.0.0.3, ipMode: Proxy},
                  {hostname: lb.example.org}, {ip: 203.0.0.4, ipMode: Tunnel}, {ip: 203.0.0.5, ipMode: ''}]
            """
        let parsed = ManifestParser.parse(text, source: "web.yaml")
        let modes = [4, 5].map { "status.loadBalancer.ingress[\($0)].ipMode" }
        #expect(parsed.problems.map(\.field) == modes)
        var node = CompiledNode(parsed.objects + [.endpointSlice(Small.slice([Small.here()]))])
        #expect(node.fate(from: .outside, to: ip("203.0.0.1")).endpoint == Small.podHere)
        #expect(node.fate(from: .outside, to: ip("203.0.0.2")).endpoint == Small.podHere)
        for number in 3...5 {
            #expect(node.fate(from: .outside, to: ip("203.0.0.\(number)")).isUntouched, "\(number)")
        }
    }

    @Test("statement 20: source ranges guard the load balancer addresses and nothing else")
    func sourceRanges() {
        var node = Self.node([Small.here()]) { $0.sourceRanges = [network("198.51.100.0/24")] }
        #expect(node.fate(from: .outside, client: Small.outsider, to: Small.loadBalancerIP).endpoint != nil)
        let stranger = ip("198.51.99.1")
        #expect(node.fate(from: .outside, client: stranger, to: Small.loadBalancerIP) == .dropped)
        #expect(node.fate(from: .podHere, to: Small.loadBalancerIP) == .dropped)
        #expect(node.fate(from: .outside, client: stranger, to: Small.externalIP).endpoint != nil)
        #expect(
            node.fate(from: .outside, client: stranger, to: Small.nodeAddress, Small.nodePort).endpoint != nil
        )
        let open: [[IPNetwork]] = [[network("0.0.0.0/0"), network("172.31.0.0/16")], [network("fd00::/8")]]
        for ranges in open {
            node.change([.service(Small.service { $0.sourceRanges = ranges })])
            let fate = node.fate(from: .outside, client: stranger, to: Small.loadBalancerIP)
            #expect(fate.endpoint != nil, "\(ranges)")
        }
        node.change([.service(Small.service { $0.sourceRanges = [] })])
        #expect(node.fate(from: .outside, client: Small.outsider, to: Small.loadBalancerIP) == .dropped)
        #expect(node.isInStep)
    }

    @Test("statement 20: where the node's address is in a range, load balancer addresses may be sources")
    func loadBalancerAsSource() {
        let own = Small.loadBalancerIP
        for (range, isAdmitted) in [("192.0.2.0/24", true), ("198.51.100.0/24", false)] {
            var node = Self.node([Small.here()]) { $0.sourceRanges = [network(range)] }
            let fate = node.fate(from: .host, client: own, to: Small.loadBalancerIP)
            #expect((fate.endpoint != nil) == isAdmitted, "\(range)")
        }
    }

    @Test("statement 20: a node that gets another address is followed")
    func nodeAddressChanges() {
        var node = Self.node([Small.here()]) { $0.sourceRanges = [network("192.0.2.0/24")] }
        let own = Small.loadBalancerIP
        var moved = Ground.clusterNode
        moved.addresses = [ip("172.16.0.1")]
        node.change([.node(moved)])
        #expect(node.fate(from: .host, client: own, to: own) == .dropped)
        node.change([.node(Ground.clusterNode)])
        #expect(node.fate(from: .host, client: own, to: own).endpoint == Small.podHere)
        #expect(node.isInStep)
    }

    @Test(
        "statement 20: the node's own address is the operator's word for it, with and without a Node object")
    func bindAddress() {
        let service = Small.service { $0.sourceRanges = [network("198.51.100.0/24")] }
        let slice = Small.slice([Small.here()])
        let own = Small.loadBalancerIP
        let question = Question(.tcp, .host, from: own, to: AddressPort(own, 80))
        for bindAddress in [nil, ip("198.51.100.1"), ip("198.51.99.1"), ip("2001:db8:51::1")] {
            for clusterNode in [Ground.clusterNode, nil] {
                var node = CompiledNode(
                    Small.objects([service], [slice]),
                    settings: ProxySettings(nodeName: Ground.nodeName, primaryAddress: bindAddress),
                    node: clusterNode)
                let oracle = Oracle(
                    services: [service], slices: [slice], serviceNetworks: Ground.services,
                    proxy: Oracle.Proxy(
                        node: clusterNode ?? KubernetesAPI.Node(name: Ground.nodeName),
                        bindAddress: bindAddress,
                        nodePortAddresses: []))
                let isAdmitted = bindAddress == ip("198.51.100.1")
                #expect((oracle.answer(question).fate != .dropped) == isAdmitted)
                #expect((node.fate(from: .host, client: own, to: own).endpoint != nil) == isAdmitted)
            }
        }
    }

    @Test("statement 20: ranges of which none can be read keep everybody out, and are reported")
    func unreadableRanges() {
        let text = """
            apiVersion: v1
            kind: Service
            metadata: {name: web, namespace: default}
            spec:
              type: LoadBalancer
              clusterIP: 10.96.0.10
              ports: [{port: 80, nodePort: 30080}]
              loadBalancerSourceRanges: [office, 198.51.100.0/33]
            status: {loadBalancer: {ingress: [{ip: 203.0.0.10}]}}
            """
        let parsed = ManifestParser.parse(text, source: "web.yaml")
        #expect(!parsed.problems.isEmpty)
        var node = CompiledNode(parsed.objects + [.endpointSlice(Small.slice([Small.here()]))])
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP) == .dropped)
        #expect(node.fate(to: Small.clusterIP).endpoint == Small.podHere)
        #expect(node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).endpoint == Small.podHere)
    }

    @Test("statement 20: a range that can't be read is reported, and lets in nobody that the others don't")
    func partlyUnreadableRanges() {
        let text = """
            apiVersion: v1
            kind: Service
            metadata: {name: web, namespace: default}
            spec:
              type: LoadBalancer
              clusterIP: 10.96.0.10
              clusterIPs: [10.96.0.10, 'fd00:96::10']
              ports: [{port: 80}]
              loadBalancerSourceRanges: [198.51.100.0/24, 2001:db8:51::/200]
            status: {loadBalancer: {ingress: [{ip: 203.0.0.10}, {ip: '2001:db8:20::10'}]}}
            """
        let parsed = ManifestParser.parse(text, source: "web.yaml")
        #expect(parsed.problems.map(\.field) == ["spec.loadBalancerSourceRanges[1]"])
        var node = CompiledNode(parsed.objects + [.endpointSlice(Small.slice([Small.here()]))])
        #expect(node.fate(from: .outside, client: Small.outsider, to: Small.loadBalancerIP).endpoint != nil)
        #expect(node.fate(from: .outside, client: ip("198.51.99.1"), to: Small.loadBalancerIP) == .dropped)
        // The one that can't be read may have been all of its family: closed rather than open.
        let client = SourceKind.outside.address(7, .ipv6)
        #expect(node.fate(from: .outside, client: client, to: ip("2001:db8:20::10")) == .dropped)
        #expect(node.fate(to: Small.clusterIP).endpoint == Small.podHere)
    }

    @Test("statement 21: without affinity connections go round strictly")
    func rotation() {
        let pods = (1...3).map { Small.here(ip("10.16.1.\($0)")) }
        var node = Self.node(pods)
        let reached = node.reached(9, to: Small.clusterIP)
        #expect(Set(reached.prefix(3)) == Set(pods.map(\.address)))
        #expect(Array(reached[3..<6]) == Array(reached[0..<3]))
        #expect(Array(reached[6..<9]) == Array(reached[0..<3]))
    }

    @Test("statement 22: node ports are at the chosen addresses, never at loopback")
    func nodePortAddresses() {
        let objects = Small.objects([Small.service()], [Small.slice([Small.here()])])
        let second = Ground.of(.ipv4, Ground.secondAddresses)
        var primary = CompiledNode(objects)
        #expect(primary.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).endpoint != nil)
        #expect(primary.fate(from: .outside, to: second, Small.nodePort).isUntouched)
        var chosen = CompiledNode(objects, nodePorts: .networks([network("192.0.2.64/26")]))
        #expect(chosen.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).isUntouched)
        #expect(chosen.fate(from: .outside, to: second, Small.nodePort).endpoint != nil)
        let linkLocal = ip("169.254.20.10")
        for (block, isServing) in [("169.254.20.0/24", true), ("0.0.0.0/0", false)] {
            var node = CompiledNode(
                objects, nodePorts: .networks([network(block)]),
                hostAddresses: Ground.simulatorNode.addresses + [linkLocal])
            #expect(
                (node.fate(from: .outside, to: linkLocal, Small.nodePort).endpoint != nil) == isServing)
        }
        var all = CompiledNode(
            objects, nodePorts: .networks([network("fd00::/8")]),
            hostAddresses: Ground.simulatorNode.addresses + [ip("127.0.0.1")])
        #expect(all.fate(from: .outside, to: second, Small.nodePort).endpoint != nil)
        #expect(all.fate(from: .host, to: ip("127.0.0.1"), Small.nodePort).isUntouched)
    }
}
