import IPAddressing
import KubernetesAPI
import Manifests
import Oracle
import PacketSimulator
import Testing

/// Statements 1 to 6: which objects count. From manifests, so that defaults and labels take part.
@Suite("Statements: which objects count")
struct ObjectStatementTests {
    private static func serviceYAML(_ metadata: String = "", _ spec: String = "", ip: String = "10.96.0.10")
        -> String
    {
        """
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: default\(metadata)}
        spec:
          clusterIP: \(ip)
          ports: [{name: http, port: 80}]\(spec.isEmpty ? "" : "\n  " + spec)

        """
    }

    private static func sliceYAML(
        _ name: String = "web-1", labels: String = "kubernetes.io/service-name: web",
        namespace: String = "default", type: String = "IPv4",
        endpoints: String = "[{addresses: [10.16.1.1]}]",
        ports: String = "[{name: http, port: 8080}]"
    ) -> String {
        """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: \(name), namespace: \(namespace), labels: {\(labels)}}
        addressType: \(type)
        endpoints: \(endpoints)
        ports: \(ports)

        """
    }

    private static func node(_ text: String) -> CompiledNode {
        CompiledNode(ManifestParser.parse(text, source: "cluster.yaml").objects)
    }

    @Test("statement 1: Services of another proxy, headless ones and names of others are not served")
    func services() {
        var served = Self.node(Self.serviceYAML() + Self.sliceYAML())
        #expect(served.fate(to: Small.clusterIP).endpoint == ip("10.16.1.1"))
        let others = [
            Self.serviceYAML(", labels: {service.kubernetes.io/service-proxy-name: ''}"),
            Self.serviceYAML(ip: "None"),
            Self.serviceYAML("", "type: ExternalName\n  externalName: example.org"),
        ]
        for text in others {
            var node = Self.node(text + Self.sliceYAML())
            // A service address that nobody has.
            #expect(node.fate(to: Small.clusterIP) == .dropped)
        }
        var headless = Self.node(
            Self.serviceYAML()
                + Self.sliceYAML(
                    labels: "kubernetes.io/service-name: web, service.kubernetes.io/headless: ''"))
        #expect(headless.fate(to: Small.clusterIP).isRefused)
    }

    @Test("statement 2: a slice belongs to the Service that its label names, in its namespace and family")
    func slices() {
        let strangers = [
            Self.sliceYAML(labels: "kubernetes.io/service-name: other"),
            Self.sliceYAML(namespace: "kube-system"),
            Self.sliceYAML(type: "FQDN", endpoints: "[{addresses: [example.org]}]"),
            Self.sliceYAML(type: "IPv6", endpoints: "[{addresses: ['fd00:10:16::1']}]"),
        ]
        for slice in strangers {
            var node = Self.node(Self.serviceYAML() + slice)
            #expect(node.fate(to: Small.clusterIP).isRefused)
        }
    }

    @Test("statement 3: ports join on name and protocol; one without a number is ignored")
    func ports() {
        let strangers = [
            "[{name: web, port: 8080}]", "[{name: http, port: 8080, protocol: UDP}]", "[{name: http}]",
            "[{name: http, port: 0}]", "[{port: 8080}]",
        ]
        for ports in strangers {
            var node = Self.node(Self.serviceYAML() + Self.sliceYAML(ports: ports))
            #expect(node.fate(to: Small.clusterIP).isRefused, "\(ports)")
        }
        var sctp = CompiledNode(
            Small.objects(
                [Small.service { $0.ports = [.init(transport: .sctp, port: 80)] }],
                [
                    EndpointSlice(
                        name: Small.name("web-1"), service: Small.name("web"), family: .ipv4,
                        endpoints: [Small.here()], ports: [.init(transport: .sctp, port: 9)])
                ]))
        #expect(sctp.fate(.sctp, to: Small.clusterIP).endpoint == Small.podHere)
        #expect(sctp.fate(.tcp, to: Small.clusterIP).isRefused)
    }

    @Test("statement 4: the first address is the endpoint, conditions that say nothing are good")
    func addresses() {
        var first = Self.node(
            Self.serviceYAML()
                + Self.sliceYAML(
                    endpoints: """
                        [{addresses: [10.16.1.1, 10.16.1.9], conditions: {}}, \
                        {addresses: [10.16.1.2], conditions: {ready: false, serving: false}}]
                        """))
        #expect(first.reached(3, to: Small.clusterIP) == [ip("10.16.1.1"), ip("10.16.1.1"), ip("10.16.1.1")])
    }

    @Test("statement 4: an endpoint that several slices have counts once, and lives where one says so")
    func duplicates() {
        let pod = Small.here()
        var ending = pod
        (ending.isReady, ending.isTerminating) = (false, true)
        let other = Small.elsewhere()
        for slices in [[[ending, other], [pod]], [[pod, other], [ending]]] {
            var node = CompiledNode(
                Small.objects(
                    [Small.service()], slices.enumerated().map { Small.slice($1, number: $0) }))
            let reached = node.reached(4, to: Small.clusterIP)
            #expect(Set(reached) == [pod.address, other.address])
            #expect(reached[0] == reached[2])
        }
    }

    @Test("statement 4: whichever slices have an endpoint and however, it is what the oracle makes of it")
    func unequalDuplicates() {
        let entries = (0..<16).map { bits in
            Endpoint(
                address: Small.podHere, isReady: bits & 1 != 0, isServing: bits & 2 != 0,
                isTerminating: bits & 4 != 0, nodeName: bits & 8 != 0 ? Ground.nodeName : "n2")
        }
        var fates: Set<Answer.Fate> = []
        for policy in [Service.TrafficPolicy.cluster, .local] {
            let service = Small.service { $0.internalTrafficPolicy = policy }
            var node = CompiledNode(Small.objects([service], []))
            for first in entries {
                for second in entries {
                    let slices = [Small.slice([first], number: 0), Small.slice([second], number: 1)]
                    node.change(slices.map { .endpointSlice($0) })
                    let client = SourceKind.podHere.client
                    let destination = AddressPort(Small.clusterIP, 80)
                    let answer = Oracle(
                        services: [service], slices: slices, serviceNetworks: Ground.services,
                        proxy: Oracle.Proxy(node: Ground.clusterNode, nodePortAddresses: [])
                    ).answer(
                        Question(
                            .tcp, SourceKind.podHere.sender, from: client, to: destination))
                    fates.insert(answer.fate)
                    let fate = node.fate(to: Small.clusterIP)
                    let isAsExpected =
                        switch answer.fate {
                        case .oneOf: fate.endpoint == Small.podHere
                        case .refused: fate.isRefused
                        case .dropped: fate == .dropped
                        case .untouched: false
                        }
                    #expect(isAsExpected, "\(policy): \(first), \(second)")
                }
            }
        }
        #expect(fates.count == 3, "each fate must have been")
    }

    @Test("statement 5: local is what is on the node of this name")
    func local() {
        var node = CompiledNode(
            Small.objects(
                [Small.service { $0.internalTrafficPolicy = .local }],
                [Small.slice([Small.elsewhere(), Small.here()])]))
        #expect(node.reached(3, to: Small.clusterIP) == [Small.podHere, Small.podHere, Small.podHere])
    }

    @Test("statement 6: a Service without a selector and the old Endpoints kind work the same way")
    func handmade() {
        let endpoints = """
            ---
            apiVersion: v1
            kind: Endpoints
            metadata: {name: web, namespace: default}
            subsets: [{addresses: [{ip: 198.51.100.9}], ports: [{name: http, port: 8080}]}]

            """
        var node = Self.node(Self.serviceYAML() + endpoints)
        #expect(node.fate(to: Small.clusterIP).endpoint == ip("198.51.100.9"))
    }
}
