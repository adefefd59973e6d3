import IPAddressing
import KubernetesAPI
import Manifests
import Testing

@Suite("Good manifests")
struct ParserTests {
    @Test("a Service without optional fields gets Kubernetes' defaults")
    func defaults() throws {
        let parsed = parse(serviceYAML())
        #expect(parsed.problems.isEmpty)
        #expect(
            parsed.services == [
                Service(
                    name: ObjectName(namespace: "default", name: "web"), kind: .clusterIP,
                    clusterIPs: [try ip("10.96.0.10")], ports: [Service.Port(port: 80)])
            ])
    }

    @Test("every field of a Service that a proxy reads is read")
    func allFields() throws {
        let parsed = parse(
            """
            apiVersion: v1
            kind: Service
            metadata:
              name: web
              namespace: shop
              creationTimestamp: 2026-01-02T03:04:05Z
              labels: {service.kubernetes.io/service-proxy-name: other}
            spec:
              type: LoadBalancer
              clusterIP: 10.96.0.10
              clusterIPs: [10.96.0.10, "fd00::10"]
              ports:
              - {name: http, port: 80, nodePort: 30080, targetPort: 8080}
              - {name: dns, port: 53, protocol: UDP, nodePort: 0}
              sessionAffinity: ClientIP
              sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
              internalTrafficPolicy: Local
              externalTrafficPolicy: Local
              externalIPs: [192.0.2.1]
              loadBalancerSourceRanges: [" 198.51.100.0/24 ", "2001:db8::/32"]
              healthCheckNodePort: 32000
            status:
              loadBalancer:
                ingress:
                - {ip: 203.0.113.1}
                - {ip: 203.0.113.2, ipMode: VIP}
                - {ip: 203.0.113.3, ipMode: Proxy}
                - {hostname: lb.example.com}
            """)
        #expect(parsed.problems.isEmpty)
        #expect(
            parsed.services == [
                Service(
                    name: ObjectName(namespace: "shop", name: "web"), kind: .loadBalancer,
                    created: 1_767_323_045, proxyName: "other",
                    clusterIPs: [try ip("10.96.0.10"), try ip("fd00::10")],
                    ports: [
                        Service.Port(name: "http", port: 80, nodePort: 30080),
                        Service.Port(name: "dns", transport: .udp, port: 53),
                    ],
                    affinityTimeout: 60, internalTrafficPolicy: .local, externalTrafficPolicy: .local,
                    externalIPs: [try ip("192.0.2.1")],
                    loadBalancerIPs: [try ip("203.0.113.1"), try ip("203.0.113.2")],
                    sourceRanges: [
                        try required(IPNetwork("198.51.100.0/24")), try required(IPNetwork("2001:db8::/32")),
                    ],
                    healthCheckNodePort: 32000)
            ])
    }

    @Test("IPv4 numbers with leading zeros are decimal, in every address and block that an object has")
    func leadingZeros() throws {
        func objects(_ zeros: Bool) -> ParsedManifest {
            let text = """
                apiVersion: v1
                kind: Service
                metadata: {name: web}
                spec:
                  type: LoadBalancer
                  clusterIP: @10.@96.@00.@10
                  clusterIPs: [@10.@96.@00.@10]
                  ports: [{port: 80}]
                  externalIPs: [203.0.113.@10]
                  loadBalancerSourceRanges: ["@10.0.0.0/@8"]
                status: {loadBalancer: {ingress: [{ip: 203.0.113.@11}]}}
                ---
                apiVersion: discovery.k8s.io/v1
                kind: EndpointSlice
                metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
                addressType: IPv4
                endpoints: [{addresses: [@10.244.0.1]}]
                ports: [{name: '', port: 8080}]
                ---
                apiVersion: v1
                kind: Endpoints
                metadata: {name: web}
                subsets: [{addresses: [{ip: @10.244.0.2}], ports: [{port: 8080}]}]
                ---
                apiVersion: v1
                kind: Node
                metadata: {name: node-1}
                spec: {podCIDR: "@10.244.0.0/24", podCIDRs: ["@10.244.0.0/24"]}
                status: {addresses: [{type: InternalIP, address: 192.@88.2.1}]}
                ---
                {apiVersion: v1, kind: Node, metadata: {name: node-2}, spec: {podCIDR: "@10.245.0.0/24"}}
                ---
                apiVersion: networking.k8s.io/v1
                kind: ServiceCIDR
                metadata: {name: kubernetes}
                spec: {cidrs: ["@10.@96.0.0/16"]}
                """
            return parse(text.replacing("@", with: zeros ? "0" : ""))
        }
        let parsed = objects(true)
        #expect(parsed.problems.map(\.description) == [])
        #expect(parsed.services.first?.clusterIPs == [try ip("10.96.0.10")])
        #expect(parsed.objects.count == 6)
        #expect(parsed.objects == objects(false).objects)
    }

    @Test("affinity without a timeout lasts three hours")
    func affinityDefault() {
        let spec = "  ports: [{port: 80}]\n  sessionAffinity: ClientIP\n"
        #expect(parse(serviceYAML(spec: spec)).services.first?.affinityTimeout == 10_800)
    }

    @Test("headless and ExternalName Services need no cluster IP")
    func withoutClusterIP() {
        let headless = parse(serviceYAML(ip: "None"))
        #expect(headless.problems.isEmpty)
        #expect(headless.services.first?.isHeadless == true)
        let external = parse(serviceYAML(ip: nil, spec: "  type: ExternalName\n  externalName: a.example\n"))
        #expect(external.problems.isEmpty)
        #expect(external.services.first?.kind == .externalName)
    }

    @Test("conditions that are not given mean ready, serving and not terminating")
    func conditions() throws {
        let parsed = parse(
            sliceYAML(
                endpoints: """
                    - addresses: [10.0.0.1, 10.0.0.99]
                    - addresses: [10.0.0.2]
                      conditions: {ready: null, serving: null}
                    - addresses: [10.0.0.3]
                      nodeName: node-1
                      zone: a
                      conditions: {ready: false, serving: true, terminating: true}
                      hints: {forZones: [{name: a}, {name: b}], forNodes: [{name: node-1}]}

                    """))
        #expect(parsed.problems.isEmpty)
        let slice = try required(parsed.slices.first)
        #expect(slice.service == ObjectName(namespace: "default", name: "web"))
        #expect(
            slice.endpoints == [
                EndpointSlice.Endpoint(address: try ip("10.0.0.1")),
                EndpointSlice.Endpoint(address: try ip("10.0.0.2")),
                EndpointSlice.Endpoint(
                    address: try ip("10.0.0.3"), isReady: false, isServing: true, isTerminating: true,
                    nodeName: "node-1", zoneHints: ["a", "b"], nodeHints: ["node-1"]),
            ])
    }

    @Test("a slice port without a name has the empty one; a null name or no number leaves it out")
    func slicePorts() {
        let parsed = parse(
            sliceYAML(
                ports: """
                    - port: 1
                    - {name: null, port: 2}
                    - {name: a}
                    - {name: b, port: null}
                    - {name: c, port: 0}
                    - {name: d, port: 3, protocol: SCTP}
                    """))
        #expect(parsed.problems.isEmpty)
        #expect(
            parsed.slices.first?.ports == [
                EndpointSlice.Port(port: 1), EndpointSlice.Port(name: "d", transport: .sctp, port: 3),
            ])
    }

    @Test("an Endpoints object becomes one slice per subset and family")
    func endpoints() throws {
        let parsed = parse(
            """
            apiVersion: v1
            kind: Endpoints
            metadata: {name: db, namespace: shop}
            subsets:
            - addresses: [{ip: 10.0.0.1, nodeName: node-1}, {ip: "fd00::1"}]
              notReadyAddresses: [{ip: 10.0.0.2}]
              ports: [{port: 5432}]
            - addresses: [{ip: 10.0.0.3}]
              ports: [{name: admin, port: 8080}]
            """)
        #expect(parsed.problems.isEmpty)
        let service = ObjectName(namespace: "shop", name: "db")
        func slice(
            _ name: String, _ family: AddressFamily, _ endpoints: [EndpointSlice.Endpoint],
            _ port: EndpointSlice.Port
        ) -> EndpointSlice {
            EndpointSlice(
                name: ObjectName(namespace: "shop", name: name), service: service, family: family,
                endpoints: endpoints, ports: [port])
        }
        #expect(
            parsed.slices == [
                slice(
                    "db-subset-0-ipv4", .ipv4,
                    [
                        EndpointSlice.Endpoint(address: try ip("10.0.0.1"), nodeName: "node-1"),
                        EndpointSlice.Endpoint(
                            address: try ip("10.0.0.2"), isReady: false, isServing: false),
                    ], EndpointSlice.Port(port: 5432)),
                slice(
                    "db-subset-0-ipv6", .ipv6, [EndpointSlice.Endpoint(address: try ip("fd00::1"))],
                    EndpointSlice.Port(port: 5432)),
                slice(
                    "db-subset-1-ipv4", .ipv4, [EndpointSlice.Endpoint(address: try ip("10.0.0.3"))],
                    EndpointSlice.Port(name: "admin", port: 8080)),
            ])
    }

    @Test("a Node's zone, pod CIDRs and addresses, internal ones first")
    func node() throws {
        let parsed = parse(
            """
            apiVersion: v1
            kind: Node
            metadata:
              name: node-1.example
              labels: {topology.kubernetes.io/zone: a}
            spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.1.0.0/24, "fd00:1::/64"]}
            status:
              addresses:
              - {type: ExternalIP, address: 203.0.113.9}
              - {type: InternalIP, address: 192.0.2.9}
              - {type: Hostname, address: node-1}
            """)
        #expect(parsed.problems.isEmpty)
        #expect(
            parsed.objects == [
                .node(
                    Node(
                        name: "node-1.example", zone: "a",
                        podCIDRs: [
                            try required(IPNetwork("10.1.0.0/24")), try required(IPNetwork("fd00:1::/64")),
                        ],
                        addresses: [try ip("192.0.2.9"), try ip("203.0.113.9")]))
            ])
    }

    @Test("statement 24: a Node that is being deleted, and one that the cluster autoscaler has marked")
    func leavingNodes() throws {
        let parsed = parse(
            """
            {apiVersion: v1, kind: Node, metadata: {name: a, deletionTimestamp: "2026-01-02T03:04:05Z"}}
            ---
            apiVersion: v1
            kind: Node
            metadata: {name: b, deletionTimestamp: null}
            spec:
              taints:
              - {key: node.kubernetes.io/unreachable, effect: NoExecute}
              - {key: ToBeDeletedByClusterAutoscaler, value: "1700000000", effect: NoSchedule}
            ---
            {apiVersion: v1, kind: Node, metadata: {name: c}, spec: {taints: [{key: other, effect: NoSchedule}]}}
            """)
        #expect(parsed.problems.isEmpty)
        let nodes = [
            Node(name: "a", isBeingDeleted: true), Node(name: "b", isToBeDeletedByAutoscaler: true),
            Node(name: "c"),
        ]
        #expect(parsed.objects == nodes.map(ClusterObject.node))
        #expect(nodes.map(\.isEligible) == [false, false, true])
    }

    @Test("a ServiceCIDR's blocks")
    func serviceCIDR() throws {
        let parsed = parse(
            "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: kubernetes}\n"
                + "spec: {cidrs: [10.96.0.0/12]}\n")
        #expect(parsed.problems.isEmpty)
        #expect(
            parsed.objects == [
                .serviceCIDR(
                    ServiceCIDR(name: "kubernetes", networks: [try required(IPNetwork("10.96.0.0/12"))]))
            ])
    }

    @Test("documents, lists, lists in lists and lists of a kind are all read")
    func lists() {
        let service = { (name: String, ip: String) in
            "{\"metadata\": {\"name\": \"\(name)\"}, \"spec\": {\"clusterIP\": \"\(ip)\", \"ports\": [{\"port\": 80}]}"
        }
        let typed = { (text: String) in text + ", \"apiVersion\": \"v1\", \"kind\": \"Service\"}" }
        let parsed = parse(
            """
            # nothing but a comment
            ---
            \(serviceYAML("a", ip: "10.96.0.1"))
            ---
            ---
            {apiVersion: v1, kind: ServiceList, items: [\(service("b", "10.96.0.2"))}]}
            ---
            {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: [
              \(typed(service("c", "10.96.0.3")))]}, \(typed(service("d", "10.96.0.4")))]}
            """)
        #expect(parsed.problems.isEmpty)
        #expect(parsed.services.map(\.name.name) == ["a", "b", "c", "d"])
    }

    @Test("what a proxy doesn't read is counted")
    func skipped() {
        let parsed = parse(
            """
            {apiVersion: apps/v1, kind: Deployment}
            ---
            {apiVersion: apps/v1, kind: Deployment}
            ---
            {apiVersion: serving.knative.dev/v1, kind: Service}
            ---
            \(sliceYAML(type: "FQDN"))
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: x, labels: {service.kubernetes.io/headless: ""}}
            """)
        #expect(parsed.problems.isEmpty)
        #expect(parsed.objects.isEmpty)
        #expect(
            parsed.skipped == [
                "Deployment": 2, "Service of serving.knative.dev/v1": 1,
                "EndpointSlice of address type FQDN": 1, "EndpointSlice of a headless Service": 1,
            ])
    }

    @Test("anchors, aliases and merge keys are followed, and what stands in a mapping itself wins")
    func aliases() {
        let parsed = parse(
            """
            apiVersion: v1
            kind: Service
            metadata: {name: web}
            spec:
              clusterIP: 10.96.0.1
              ports:
              - &base {name: a, port: 80, nodePort: 30000}
              - {<<: *base, name: b, port: 81, nodePort: 30001}
            """)
        #expect(parsed.problems.isEmpty)
        #expect(
            parsed.services.first?.ports == [
                Service.Port(name: "a", port: 80, nodePort: 30000),
                Service.Port(name: "b", port: 81, nodePort: 30001),
            ])
    }

    @Test("YAML and JSON say the same")
    func json() {
        let yaml = parse(serviceYAML())
        let json = parse(
            #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"#
                + #""spec":{"clusterIP":"10.96.0.10","ports":[{"port":80}]}}"#)
        #expect(json.problems.isEmpty)
        #expect(json.objects == yaml.objects)
        #expect(!json.objects.isEmpty)
    }

    @Test("an empty file, a byte order mark and Windows line ends are fine")
    func odd() {
        #expect(parse("").problems.isEmpty)
        #expect(parse("\n# nothing\n").problems.isEmpty)
        let windows = parse("\u{feff}" + serviceYAML().replacing("\n", with: "\r\n"))
        #expect(windows.problems.isEmpty)
        #expect(windows.services.count == 1)
    }

    @Test("what kubectl prints for a dual-stack Service and its slices is read")
    func kubectl() throws {
        let parsed = parse(kubectlOutput)
        #expect(parsed.problems.isEmpty)
        let service = try required(parsed.services.first)
        #expect(service.clusterIPs == [try ip("10.96.141.20"), try ip("fd00:10:96::8f1c")])
        #expect(service.ports == [Service.Port(name: "https", port: 443, nodePort: 31443)])
        #expect(service.loadBalancerIPs == [try ip("203.0.113.20")])
        #expect(service.healthCheckNodePort == 32171)
        #expect(service.externalTrafficPolicy == .local)
        #expect(parsed.slices.map(\.family) == [.ipv4, .ipv6])
        let endpoint = try required(parsed.slices.first?.endpoints.first)
        #expect(
            endpoint
                == EndpointSlice.Endpoint(
                    address: try ip("10.244.1.7"), nodeName: "worker-1", zoneHints: ["eu-1a"],
                    nodeHints: ["worker-1"]))
        #expect(parsed.skipped == ["Deployment": 1])
    }
}

private let kubectlOutput = """
    {
        "apiVersion": "v1",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {
                    "annotations": {"example.com/note": "kept \\"as is\\"\\n"},
                    "creationTimestamp": "2026-03-01T10:00:00Z",
                    "labels": {"app": "shop"},
                    "name": "shop", "namespace": "prod", "resourceVersion": "8123",
                    "uid": "0b6e3c2e-6d7b-4e0b-9a53-0f2f53a3a1a1"
                },
                "spec": {
                    "allocateLoadBalancerNodePorts": true,
                    "clusterIP": "10.96.141.20",
                    "clusterIPs": ["10.96.141.20", "fd00:10:96::8f1c"],
                    "externalTrafficPolicy": "Local",
                    "healthCheckNodePort": 32171,
                    "internalTrafficPolicy": "Cluster",
                    "ipFamilies": ["IPv4", "IPv6"],
                    "ipFamilyPolicy": "RequireDualStack",
                    "ports": [
                        {"name": "https", "nodePort": 31443, "port": 443, "protocol": "TCP",
                         "targetPort": "https"}
                    ],
                    "selector": {"app": "shop"},
                    "sessionAffinity": "None",
                    "type": "LoadBalancer"
                },
                "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.20", "ipMode": "VIP"}]}}
            },
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}},
            {
                "addressType": "IPv4",
                "apiVersion": "discovery.k8s.io/v1",
                "endpoints": [
                    {
                        "addresses": ["10.244.1.7"],
                        "conditions": {"ready": true, "serving": true, "terminating": false},
                        "hints": {"forNodes": [{"name": "worker-1"}], "forZones": [{"name": "eu-1a"}]},
                        "nodeName": "worker-1",
                        "targetRef": {"kind": "Pod", "name": "shop-5d9c", "namespace": "prod"},
                        "zone": "eu-1a"
                    }
                ],
                "kind": "EndpointSlice",
                "metadata": {
                    "generateName": "shop-",
                    "labels": {"kubernetes.io/service-name": "shop"},
                    "name": "shop-7xk2p", "namespace": "prod"
                },
                "ports": [{"appProtocol": null, "name": "https", "port": 8443, "protocol": "TCP"}]
            },
            {
                "addressType": "IPv6",
                "apiVersion": "discovery.k8s.io/v1",
                "endpoints": [{"addresses": ["fd00:10:244:1::7"], "conditions": {"ready": true}}],
                "kind": "EndpointSlice",
                "metadata": {
                    "labels": {"kubernetes.io/service-name": "shop"},
                    "name": "shop-q9m4d", "namespace": "prod"
                },
                "ports": [{"name": "https", "port": 8443, "protocol": "TCP"}]
            }
        ],
        "kind": "List",
        "metadata": {"resourceVersion": ""}
    }
    """
