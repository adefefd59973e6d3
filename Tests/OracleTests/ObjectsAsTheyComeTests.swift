import IPAddressing
import KubernetesAPI
import PacketSimulator
import Testing

/// From manifest text to the fates of packets: what people and API servers write, and how it changes under way.
@Suite("Kubernetes' objects as they come")
struct ObjectsAsTheyComeTests {
    private static let clusterIP = Small.clusterIP
    private static let clusterIPv6 = ip("fd00:96::10")
    private static let pod = ip("10.16.1.1")
    private static let other = ip("10.16.1.2")
    private static let podIPv6 = ip("fd00:10:16::1")
    private static let slice = Text.slice("web", "\(pod)")

    // MARK: Fields

    @Test("fields that an API server would have filled in may be missing")
    func missingDefaults() {
        var walk = Walk()
        walk.step(Text.service("web", "clusterIP: 10.96.0.10, ports: [{port: 80}]"), Self.slice) { node in
            #expect(node.fate(to: Self.clusterIP).endpoint == Self.pod)
            #expect(node.fate(.udp, to: Self.clusterIP).isRefused)
        }
        let whole = walk.step(
            Text.service(
                "web",
                """
                type: ClusterIP, clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ipFamilies: [IPv4],
                ipFamilyPolicy: SingleStack, internalTrafficPolicy: Cluster, sessionAffinity: None,
                ports: [{name: '', port: 80, protocol: TCP, targetPort: 80}]
                """, status: "loadBalancer: {}"),
            """
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: web-4, namespace: default, labels: {kubernetes.io/service-name: web}}
            addressType: IPv4
            endpoints: [{addresses: [10.16.1.1], conditions: {ready: true, serving: true, terminating: false}}]
            ports: [{name: '', port: 8080, protocol: TCP}]
            """)
        #expect(whole.operations == 0, "it says the same")
    }

    @Test("a load balancer without policies and ipMode, and affinity without a timeout, have the defaults")
    func missingDefaultsOutside() {
        var walk = Walk()
        let status = "loadBalancer: {ingress: [{ip: 203.0.0.10}]}"
        walk.step(
            Text.service(
                "web",
                """
                type: LoadBalancer, clusterIP: 10.96.0.10, sessionAffinity: ClientIP,
                ports: [{port: 80, nodePort: 30080}]
                """, status: status), Text.slice("web", "\(Self.pod)", "\(Self.other)")
        ) { node in
            // Cluster policy: masqueraded, whatever address was used.
            let outside = node.fate(from: .outside, to: Small.loadBalancerIP)
            #expect(outside.source == Small.nodeAddress)
            #expect(
                node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort).endpoint == outside.endpoint)
            // Three hours, but no longer.
            node.simulator.now += 10_799_000
            #expect(node.fate(from: .outside, to: Small.loadBalancerIP).endpoint == outside.endpoint)
            node.simulator.now += 10_801_000
            #expect(node.fate(from: .outside, to: Small.loadBalancerIP).endpoint != outside.endpoint)
        }
        let whole = walk.step(
            Text.service(
                "web",
                """
                type: LoadBalancer, clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10],
                externalTrafficPolicy: Cluster, internalTrafficPolicy: Cluster,
                allocateLoadBalancerNodePorts: true, sessionAffinity: ClientIP,
                sessionAffinityConfig: {clientIP: {timeoutSeconds: 10800}}, externalIPs: [],
                loadBalancerSourceRanges: [],
                ports: [{port: 80, nodePort: 30080, protocol: TCP, targetPort: http}]
                """, status: "loadBalancer: {ingress: [{ip: 203.0.0.10, ipMode: VIP}]}"))
        #expect(whole.operations == 0, "it says the same")
    }

    @Test("fields that nobody here knows are passed over, wherever they are")
    func unknownFields() {
        let known = [
            Text.service("web", "clusterIP: 10.96.0.10, ports: [{port: 80}]"), Self.slice,
        ]
        let unknown = [
            """
            apiVersion: v1
            kind: Service
            metadata:
              name: web
              namespace: default
              uid: 6c6b2f5e-0000-0000-0000-000000000000
              resourceVersion: '7'
              managedFields: [{manager: kubectl, operation: Update, fieldsV1: {'f:spec': {}}}]
              annotations: {example.org/note: 'yes'}
              futureField: {deeply: [nested, {and: odd}]}
            spec:
              clusterIP: 10.96.0.10
              selector: {app: web}
              trafficDistribution: PreferClose
              publishNotReadyAddresses: true
              futureField: [1, 2, {three: 4}]
              ports: [{port: 80, appProtocol: http, futureField: 8080}]
            status: {loadBalancer: {}, conditions: [], futureField: 3.5}
            futureField: null
            """,
            """
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata:
              name: web-4
              namespace: default
              labels: {kubernetes.io/service-name: web, endpointslice.kubernetes.io/managed-by: someone}
              ownerReferences: [{apiVersion: v1, kind: Service, name: web}]
            addressType: IPv4
            futureField: {a: b}
            endpoints:
              - addresses: [10.16.1.1]
                conditions: {futureField: false}
                deprecatedTopology: {kubernetes.io/hostname: n1}
                hostname: web-0
                targetRef: {kind: Pod, name: web-0}
                hints: {futureField: [{name: far}]}
                futureField: 1
            ports: [{port: 8080, appProtocol: http, futureField: 9}]
            """,
        ]
        var walk = Walk()
        walk.step(unknown[0], unknown[1]) { node in
            #expect(node.fate(to: Self.clusterIP).endpoint == Self.pod)
            #expect(node.problems.isEmpty)
        }
        #expect(walk.step(known[0], known[1]).operations == 0, "it says the same")
    }

    // MARK: Families

    @Test("a dual-stack Service is served in both families, whichever comes first")
    func dualStack() {
        func service(_ addresses: [String], _ families: String) -> String {
            let quoted = addresses.map { "'\($0)'" }.joined(separator: ", ")
            return Text.service(
                "web",
                """
                clusterIP: '\(addresses[0])', clusterIPs: [\(quoted)], ipFamilies: [\(families)],
                ipFamilyPolicy: PreferDualStack, ports: [{port: 80}]
                """)
        }
        let ipv4 = Text.slice("web", "\(Self.pod)")
        let ipv6 = Text.slice("web", "\(Self.podIPv6)", family: 6)
        let orders = [
            service(["10.96.0.10", "fd00:96::10"], "IPv4, IPv6"),
            service(["fd00:96::10", "10.96.0.10"], "IPv6, IPv4"),
        ]
        func reachedIPv6(_ node: inout CompiledNode) -> SimulatedFate {
            node.fate(client: SourceKind.podHere.address(7, .ipv6), to: Self.clusterIPv6)
        }
        for (first, second) in [(0, 1), (1, 0)] {
            for slices in [[ipv4, ipv6], [ipv6, ipv4]] {
                var walk = Walk()
                walk.step(slices[0], orders[first], slices[1]) { node in
                    #expect(node.fate(to: Self.clusterIP).endpoint == Self.pod)
                    #expect(reachedIPv6(&node).endpoint == Self.podIPv6)
                }
                #expect(walk.step(orders[second]).operations == 0, "the order is nothing")
                walk.step(service(["fd00:96::10"], "IPv6")) { node in
                    #expect(node.fate(to: Self.clusterIP) == .dropped)
                    #expect(reachedIPv6(&node).endpoint == Self.podIPv6)
                }
                walk.step(orders[second]) { node in
                    #expect(node.fate(to: Self.clusterIP).endpoint == Self.pod)
                    #expect(reachedIPv6(&node).endpoint == Self.podIPv6)
                }
                walk.step(removing: [.endpointSlice(Small.name("web-6"))]) { node in
                    #expect(node.fate(to: Self.clusterIP).endpoint == Self.pod)
                    #expect(reachedIPv6(&node).isRefused)
                }
            }
        }
    }

    // MARK: Types

    /// What a Service of each type serves, and how it is written.
    enum Kind: String, CaseIterable, Sendable {
        case clusterIP = "ClusterIP"
        case nodePort = "NodePort"
        case loadBalancer = "LoadBalancer"
        case externalName = "ExternalName"
        case headless = "headless"

        var manifest: String {
            switch self {
            // With the node port of the type before: edited manifests keep such.
            case .clusterIP:
                Text.service("web", "clusterIP: 10.96.0.10, ports: [{port: 80, nodePort: 30080}]")
            case .nodePort:
                Text.service(
                    "web", "type: NodePort, clusterIP: 10.96.0.10, ports: [{port: 80, nodePort: 30080}]")
            case .loadBalancer:
                Text.service(
                    "web", "type: LoadBalancer, clusterIP: 10.96.0.10, ports: [{port: 80, nodePort: 30080}]",
                    status: "loadBalancer: {ingress: [{ip: 203.0.0.10}]}")
            case .externalName:
                Text.service("web", "type: ExternalName, externalName: example.org, ports: [{port: 80}]")
            case .headless: Text.service("web", "clusterIP: None, ports: [{port: 80}]")
            }
        }

        private var hasClusterIP: Bool { self != .externalName && self != .headless }

        func check(_ node: inout CompiledNode, _ location: SourceLocation = #_sourceLocation) {
            let inside = node.fate(to: Small.clusterIP)
            if hasClusterIP {
                #expect(inside.endpoint == pod, "\(rawValue)", sourceLocation: location)
            } else {
                #expect(inside == .dropped, "\(rawValue)", sourceLocation: location)
            }
            let nodePort = node.fate(from: .outside, to: Small.nodeAddress, Small.nodePort)
            if self == .nodePort || self == .loadBalancer {
                #expect(nodePort.endpoint == pod, "\(rawValue)", sourceLocation: location)
            } else {
                #expect(nodePort.isUntouched, "\(rawValue)", sourceLocation: location)
            }
            let balanced = node.fate(from: .outside, to: Small.loadBalancerIP)
            if self == .loadBalancer {
                #expect(balanced.endpoint == pod, "\(rawValue)", sourceLocation: location)
            } else {
                #expect(balanced.isUntouched, "\(rawValue)", sourceLocation: location)
            }
            #expect(node.problems.isEmpty, sourceLocation: location)
        }
    }

    @Test("a Service changes its type: ClusterIP, NodePort, LoadBalancer, ExternalName, headless, and back")
    func typeChanges() {
        var walk = Walk()
        walk.step(Self.slice)
        for kind in Kind.allCases + [.clusterIP] { walk.step(kind.manifest) { kind.check(&$0) } }
    }

    @Test("a Service changes from every type to every other, with and without affinity")
    func allTypeChanges() {
        for affinity in ["", "sessionAffinity: ClientIP, "] {
            var walk = Walk()
            walk.step(Self.slice)
            func manifest(_ kind: Kind) -> String {
                kind.manifest.replacing("ports:", with: affinity + "ports:")
            }
            for first in Kind.allCases {
                for second in Kind.allCases where second != first {
                    walk.step(manifest(first)) { first.check(&$0) }
                    walk.step(manifest(second)) { second.check(&$0) }
                }
            }
        }
    }

    // MARK: Ports

    private static func ports(_ ports: String, _ type: String = "NodePort") -> String {
        Text.service("web", "type: \(type), clusterIP: 10.96.0.10, ports: [\(ports)]")
    }

    private static func target(_ fate: SimulatedFate) -> AddressPort? {
        if case .delivered(let to, _, _) = fate { to } else { nil }
    }

    @Test("a port gets another number, and so do its endpoints and its node port, in any order")
    func renumbered() {
        var walk = Walk()
        walk.step(Self.ports("{port: 80, nodePort: 30080}"), Self.slice)
        walk.step(Self.ports("{port: 8081, nodePort: 30080}")) { node in
            #expect(node.fate(to: Self.clusterIP).isRefused)
            #expect(Self.target(node.fate(to: Self.clusterIP, 8081)) == AddressPort(Self.pod, 8080))
        }
        walk.step(Text.slice("web", "\(Self.pod)", ports: "[{port: 9090}]")) { node in
            #expect(Self.target(node.fate(to: Self.clusterIP, 8081)) == AddressPort(Self.pod, 9090))
            let outside = node.fate(from: .outside, to: Small.nodeAddress, 30_080)
            #expect(Self.target(outside) == AddressPort(Self.pod, 9090))
        }
        walk.step(Self.ports("{port: 8081, nodePort: 30081}")) { node in
            #expect(node.fate(from: .outside, to: Small.nodeAddress, 30_080).isUntouched)
            #expect(node.fate(from: .outside, to: Small.nodeAddress, 30_081).endpoint == Self.pod)
        }
        // All at once, and to another protocol.
        walk.step(
            Text.slice("web", "\(Self.pod)", ports: "[{port: 53, protocol: UDP}]"),
            Self.ports("{port: 53, protocol: UDP, nodePort: 30053}")
        ) { node in
            #expect(node.fate(to: Self.clusterIP, 8081).isRefused)
            #expect(node.fate(.tcp, to: Self.clusterIP, 53).isRefused)
            #expect(Self.target(node.fate(.udp, to: Self.clusterIP, 53)) == AddressPort(Self.pod, 53))
            #expect(node.fate(from: .outside, to: Small.nodeAddress, 30_081).isUntouched)
            #expect(node.fate(.udp, from: .outside, to: Small.nodeAddress, 30_053).endpoint == Self.pod)
        }
    }

    @Test("two ports of a Service exchange their numbers and node ports in one step")
    func exchanged() {
        for affinity in ["", ", sessionAffinity: ClientIP"] {
            func service(_ http: Int, _ admin: Int) -> String {
                Text.service(
                    "web",
                    """
                    type: NodePort, clusterIP: 10.96.0.10\(affinity),
                    ports: [{name: http, port: \(http), nodePort: \(30_000 + http)},
                      {name: admin, port: \(admin), nodePort: \(30_000 + admin)}]
                    """)
            }
            let slice = Text.slice(
                "web", "\(Self.pod)", "\(Self.other)",
                ports: "[{name: http, port: 8080}, {name: admin, port: 9090}]")
            func expect(_ node: inout CompiledNode, _ http: UInt16, _ admin: UInt16) {
                for (number, target) in [(http, 8080), (admin, 9090)] as [(UInt16, UInt16)] {
                    #expect(Self.target(node.fate(to: Self.clusterIP, number))?.port == target)
                    let outside = node.fate(from: .outside, to: Small.nodeAddress, 30_000 + number)
                    #expect(Self.target(outside)?.port == target)
                }
            }
            var walk = Walk()
            walk.step(slice, service(80, 81)) { expect(&$0, 80, 81) }
            walk.step(service(81, 80)) { expect(&$0, 81, 80) }
            walk.step(service(80, 81)) { expect(&$0, 80, 81) }
        }
    }

    @Test("a port gets another name: it is refused until its endpoints follow")
    func renamed() {
        var walk = Walk()
        walk.step(
            Self.ports("{name: http, port: 80, nodePort: 30080}"),
            Text.slice("web", "\(Self.pod)", ports: "[{name: http, port: 8080}]")
        ) { #expect($0.fate(to: Self.clusterIP).endpoint == Self.pod) }
        walk.step(Self.ports("{name: web, port: 80, nodePort: 30080}")) { node in
            #expect(node.fate(to: Self.clusterIP).isRefused)
            #expect(node.fate(from: .outside, to: Small.nodeAddress, 30_080).isRefused)
        }
        walk.step(Text.slice("web", "\(Self.pod)", ports: "[{name: web, port: 8080}]")) { node in
            #expect(node.fate(to: Self.clusterIP).endpoint == Self.pod)
            #expect(node.fate(from: .outside, to: Small.nodeAddress, 30_080).endpoint == Self.pod)
        }
        // Both at once.
        walk.step(
            Self.ports("{name: last, port: 80, nodePort: 30080}"),
            Text.slice("web", "\(Self.pod)", ports: "[{name: last, port: 8080}]")
        ) { #expect($0.fate(to: Self.clusterIP).endpoint == Self.pod) }
    }

    @Test("a port comes beside another and goes, and the other one is served all the while")
    func added() {
        let one = "{name: http, port: 80, nodePort: 30080}"
        let two = one + ", {name: admin, port: 81, nodePort: 30081}"
        var walk = Walk()
        walk.step(
            Self.ports(one),
            Text.slice(
                "web", "\(Self.pod)", "\(Self.other)",
                ports: "[{name: http, port: 8080}, {name: admin, port: 9090}]"))
        for _ in 0..<2 {
            walk.step(Self.ports(two)) { node in
                #expect(Self.target(node.fate(to: Self.clusterIP))?.port == 8080)
                #expect(Self.target(node.fate(to: Self.clusterIP, 81))?.port == 9090)
            }
            walk.step(Self.ports(one)) { node in
                #expect(Self.target(node.fate(to: Self.clusterIP))?.port == 8080)
                #expect(node.fate(to: Self.clusterIP, 81).isRefused)
                #expect(node.fate(from: .outside, to: Small.nodeAddress, 30_081).isUntouched)
            }
        }
    }
}

private let pod = Small.podHere
