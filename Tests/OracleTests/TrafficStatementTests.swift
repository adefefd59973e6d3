import IPAddressing
import KubernetesAPI
import PacketSimulator
import Testing

/// Statements 7 to 15: which endpoints get the traffic, and who sees whose address.
@Suite("Statements: which endpoints get the traffic")
struct TrafficStatementTests {
    private static func node(
        _ endpoints: [Endpoint], mode: LocalModeCase = .nodeCIDR, masqueradeAll: Bool = false,
        _ change: (inout Service) -> Void = { _ in }
    ) -> CompiledNode {
        CompiledNode(
            Small.objects([Small.service("web", change)], [Small.slice(endpoints)]), mode: mode,
            masqueradeAll: masqueradeAll)
    }

    @Test("statement 7: the ready ones, and where there are none those that end and still serve")
    func cluster() {
        var ready = Self.node([Small.here(ending: true), Small.elsewhere()])
        #expect(Set(ready.reached(4, to: Small.clusterIP)) == [Small.podElsewhere])
        var ending = Self.node([Small.here(ending: true), Small.elsewhere(ending: true)])
        #expect(Set(ending.reached(4, to: Small.clusterIP)) == [Small.podHere, Small.podElsewhere])
    }

    @Test("statement 8: Local is the ready ones here, else those that end here")
    func local() {
        var node = Self.node([Small.here(ending: true), Small.elsewhere()]) {
            $0.externalTrafficPolicy = .local
        }
        #expect(Set(node.reached(3, from: .outside, to: Small.externalIP)) == [Small.podHere])
        #expect(Set(node.reached(3, to: Small.clusterIP)) == [Small.podElsewhere])
    }

    @Test("statement 9: hints for nodes, then for zones, then none; Cluster policy only")
    func topology() {
        var near = Small.here()
        (near.nodeHints, near.zoneHints) = ([Ground.nodeName], ["west"])
        var far = Small.elsewhere()
        (far.nodeHints, far.zoneHints) = (["n2"], [Ground.zone])
        var byNode = Self.node([near, far])
        #expect(Set(byNode.reached(4, to: Small.clusterIP)) == [near.address])
        near.nodeHints = []
        var byZone = Self.node([near, far])
        #expect(Set(byZone.reached(4, to: Small.clusterIP)) == [far.address])
        far.zoneHints = []
        var byNone = Self.node([near, far])
        #expect(Set(byNone.reached(4, to: Small.clusterIP)) == [near.address, far.address])
        far.zoneHints = [Ground.zone]
        var local = Self.node([near, far]) { $0.internalTrafficPolicy = .local }
        #expect(Set(local.reached(4, to: Small.clusterIP)) == [near.address])
    }

    @Test("statement 10: each policy has its addresses")
    func policies() {
        for kind in [Service.Kind.loadBalancer, .nodePort, .clusterIP] {
            var node = Self.node([Small.here(), Small.elsewhere()]) {
                $0.kind = kind
                $0.externalTrafficPolicy = .local
                if kind != .loadBalancer { $0.loadBalancerIPs = [] }
                if kind == .clusterIP { $0.ports[0].nodePort = nil }
            }
            #expect(Set(node.reached(4, from: .outside, to: Small.externalIP)) == [Small.podHere])
            #expect(Set(node.reached(4, to: Small.clusterIP)) == [Small.podHere, Small.podElsewhere])
        }
        var inside = Self.node([Small.here(), Small.elsewhere()]) { $0.internalTrafficPolicy = .local }
        #expect(Set(inside.reached(4, to: Small.clusterIP)) == [Small.podHere])
        let outside = inside.reached(4, from: .outside, to: Small.externalIP)
        #expect(Set(outside) == [Small.podHere, Small.podElsewhere])
    }

    @Test("statement 11: traffic from outside under Cluster policy is masqueraded, whoever sends it")
    func masqueraded() {
        var node = Self.node([Small.elsewhere()])
        for source in SourceKind.allCases {
            for (address, port) in [
                (Small.externalIP, 80), (Small.loadBalancerIP, 80), (Small.nodeAddress, Small.nodePort),
            ] as [(IPAddress, UInt16)] {
                #expect(node.fate(from: source, to: address, port).source == Small.nodeAddress)
            }
        }
    }

    @Test("statement 12: Local policy keeps the client's address, and pods and host reach all endpoints")
    func shortCircuit() {
        var node = Self.node([Small.elsewhere()]) { $0.externalTrafficPolicy = .local }
        let pod = node.fate(from: .podHere, to: Small.loadBalancerIP)
        #expect(pod.endpoint == Small.podElsewhere)
        #expect(pod.source == SourceKind.podHere.client)
        let host = node.fate(from: .host, to: Small.loadBalancerIP)
        #expect(host.endpoint == Small.podElsewhere)
        #expect(host.source == Small.nodeAddress)
        #expect(node.fate(from: .outside, to: Small.loadBalancerIP) == .dropped)
        node.change([.endpointSlice(Small.slice([Small.elsewhere(), Small.here()]))])
        let outside = node.fate(from: .outside, to: Small.loadBalancerIP)
        #expect(outside.endpoint == Small.podHere)
        #expect(outside.source == SourceKind.outside.client)
    }

    @Test("statement 13: local pods are told by network or by interface; without a mode nobody is one")
    func localModes() {
        for mode in LocalModeCase.allCases {
            var node = Self.node([Small.elsewhere()], mode: mode) { $0.externalTrafficPolicy = .local }
            let here = node.fate(from: .podHere, to: Small.loadBalancerIP)
            #expect(here.endpoint == (mode == .none ? nil : Small.podElsewhere), "\(mode)")
            let elsewhere = node.fate(from: .podElsewhere, to: Small.loadBalancerIP)
            #expect(elsewhere.endpoint == (mode == .clusterCIDR ? Small.podElsewhere : nil), "\(mode)")
        }
        var unknown = CompiledNode(
            Small.objects(
                [Small.service { $0.externalTrafficPolicy = .local }], [Small.slice([Small.elsewhere()])]),
            mode: .nodeCIDR, node: nil)
        #expect(unknown.fate(from: .podHere, to: Small.loadBalancerIP) == .dropped)
    }

    @Test("statement 14: who comes to a cluster IP from outside the cluster is masqueraded")
    func fromOutside() {
        var node = Self.node([Small.elsewhere()])
        #expect(node.fate(from: .outside, to: Small.clusterIP).source == Small.nodeAddress)
        #expect(node.fate(from: .podHere, to: Small.clusterIP).source == SourceKind.podHere.client)
        var untold = Self.node([Small.elsewhere()], mode: .none)
        #expect(untold.fate(from: .outside, to: Small.clusterIP).source == SourceKind.outside.client)
        var all = Self.node([Small.elsewhere()], mode: .none, masqueradeAll: true)
        #expect(all.fate(from: .podHere, to: Small.clusterIP).source == Small.nodeAddress)
    }

    @Test("statement 15: none anywhere is refused, none here is dropped, inside and outside apart")
    func noEndpoints() {
        var none = Self.node([]) { ($0.internalTrafficPolicy, $0.externalTrafficPolicy) = (.local, .local) }
        for (address, port) in [
            (Small.clusterIP, 80), (Small.externalIP, 80), (Small.loadBalancerIP, 80),
            (Small.nodeAddress, Small.nodePort),
        ] as [(IPAddress, UInt16)] {
            #expect(none.fate(from: .outside, to: address, port).isRefused, "\(address)")
        }
        var inside = Self.node([Small.elsewhere()]) { $0.internalTrafficPolicy = .local }
        #expect(inside.fate(to: Small.clusterIP) == .dropped)
        #expect(inside.fate(from: .outside, to: Small.externalIP).endpoint == Small.podElsewhere)
        var outside = Self.node([Small.elsewhere()]) { $0.externalTrafficPolicy = .local }
        #expect(outside.fate(to: Small.clusterIP).endpoint == Small.podElsewhere)
        #expect(outside.fate(from: .outside, to: Small.nodeAddress, Small.nodePort) == .dropped)
    }
}
