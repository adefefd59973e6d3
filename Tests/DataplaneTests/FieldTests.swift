import Agent
import ClusterBuilders
import IPAddressing
import KubernetesAPI
import TestNetwork
import Testing

extension DataplaneTests {
    /// What clusters are made of, from manifests as their users write them. (A pod that calls its own Service: see
    /// `HairpinTests`.)
    @Suite struct FieldTests {
        enum Handmade: CaseIterable, Sendable {
            case endpointSlice, endpoints
        }

        /// A Service without selector, and what somebody wrote by hand for it.
        private func handmade(_ kind: Handmade, _ machines: [TestCluster.Host], affinity: Bool) -> String {
            let service = """
                apiVersion: v1
                kind: Service
                metadata: {name: legacy-db, namespace: default}
                spec:
                  clusterIP: 10.96.0.1
                  clusterIPs: [10.96.0.1, "fd00:96::1"]
                  ipFamilyPolicy: RequireDualStack
                  sessionAffinity: \(affinity ? "ClientIP" : "None")
                  ports:
                    - {name: sql, port: 80, targetPort: 8080}
                    - {name: notify, protocol: UDP, port: 80, targetPort: 8080}

                """
            let ports = """
                ports:
                  - {name: sql, port: 8080}
                  - {name: notify, protocol: UDP, port: 8080}
                """
            switch kind {
            case .endpointSlice:
                return AddressFamily.allCases.reduce(into: service) { text, family in
                    let addresses = machines.map { "[\"\($0.address(family))\"]" }
                    text += """
                        ---
                        apiVersion: discovery.k8s.io/v1
                        kind: EndpointSlice
                        metadata:
                          name: legacy-db-\(family.rawValue)
                          namespace: default
                          labels:
                            kubernetes.io/service-name: legacy-db
                            endpointslice.kubernetes.io/managed-by: staff
                        addressType: IPv\(family.rawValue)
                        \(ports)
                        endpoints: [\(addresses.map { "{addresses: \($0)}" }.joined(separator: ", "))]

                        """
                }
            case .endpoints:
                let addresses = machines.flatMap(\.addresses).map { "{ip: \"\($0)\"}" }
                return service + """
                    ---
                    apiVersion: v1
                    kind: Endpoints
                    metadata: {name: legacy-db, namespace: default}
                    subsets:
                    - addresses: [\(addresses.joined(separator: ", "))]
                      \(ports.split(separator: "\n").joined(separator: "\n  "))
                    """
            }
        }

        @Test(
            "statement 6: a Service without selector leads to two machines outside, in rotation, then to one",
            arguments: Handmade.allCases)
        func machinesOutside(kind: Handmade) throws {
            // The second node is none: a machine without pods that no object names.
            try ProxiedCluster.with(ClusterPlan(pods: [["client"], []])) { cluster in
                let machines = [cluster.network.outside, cluster.network.nodes[1]]
                for machine in machines { try cluster.network.serve(machine, tcp: [8080], udp: [8080]) }
                func reached(_ traffic: Traffic, from host: TestCluster.Host) throws -> [String] {
                    try (0..<6).map { _ in
                        let attempt = try cluster.attempt(
                            to: traffic.virtual(1), from: host, traffic.transport)
                        #expect(attempt.seenSource?.address == host.address(traffic.family))
                        return attempt.server ?? "\(attempt.outcome)"
                    }
                }
                for affinity in [false, true] {
                    try cluster.apply(manifest: handmade(kind, machines, affinity: affinity))
                    for traffic in Traffic.all {
                        for host in [cluster.client, cluster.node] {
                            let servers = try reached(traffic, from: host)
                            #expect(Set(servers).isSubset(of: ["outside", "node-b"]))
                            #expect(Set(servers).count == (affinity ? 1 : 2))
                            #expect(Array(servers[0..<4]) == Array(servers[2..<6]))
                        }
                    }
                }
                // One is taken out of service by hand.
                try cluster.apply(manifest: handmade(kind, [machines[1]], affinity: true))
                for traffic in Traffic.all {
                    #expect(try Set(reached(traffic, from: cluster.client)) == ["node-b"])
                }
            }
        }

        @Test("a DNS Service has UDP and TCP on port 53, and metrics on 9153")
        func dns() throws {
            try ProxiedCluster.with { cluster in
                for name in ["a", "b"] {
                    try cluster.network.serve(cluster[name], as: "\(name)/dns", udp: [53])
                    try cluster.network.serve(cluster[name], as: "\(name)/dns-tcp", tcp: [53])
                    try cluster.network.serve(cluster[name], as: "\(name)/metrics", tcp: [9153])
                }
                let slices = AddressFamily.allCases.map { family in
                    let endpoints = ["a", "b"].map { name in
                        "{addresses: [\"\(cluster[name].address(family))\"], conditions: {ready: true}, nodeName: node}"
                    }
                    return """
                        ---
                        apiVersion: discovery.k8s.io/v1
                        kind: EndpointSlice
                        metadata:
                          name: kube-dns-\(family.rawValue)
                          namespace: kube-system
                          labels: {kubernetes.io/service-name: kube-dns}
                        addressType: IPv\(family.rawValue)
                        ports:
                          - {name: dns, protocol: UDP, port: 53}
                          - {name: dns-tcp, protocol: TCP, port: 53}
                          - {name: metrics, protocol: TCP, port: 9153}
                        endpoints: [\(endpoints.joined(separator: ", "))]

                        """
                }
                try cluster.apply(
                    manifest: """
                        apiVersion: v1
                        kind: Service
                        metadata:
                          name: kube-dns
                          namespace: kube-system
                          annotations: {prometheus.io/port: "9153", prometheus.io/scrape: "true"}
                          labels: {k8s-app: kube-dns, kubernetes.io/name: CoreDNS}
                        spec:
                          selector: {k8s-app: kube-dns}
                          clusterIP: 10.96.0.10
                          clusterIPs: [10.96.0.10, "fd00:96::a"]
                          ports:
                            - {name: dns, port: 53, protocol: UDP, targetPort: 53}
                            - {name: dns-tcp, port: 53, protocol: TCP, targetPort: 53}
                            - {name: metrics, port: 9153, protocol: TCP, targetPort: 9153}

                        """ + slices.joined())
                for family in AddressFamily.allCases {
                    let address = VirtualAddress.number(10, family)
                    func answers(_ transport: TransportProtocol, _ port: UInt16) throws -> [String] {
                        try cluster.answers(
                            to: AddressPort(address, port), from: cluster.client, transport, times: 4)
                    }
                    for (transport, port, name) in [
                        (TransportProtocol.udp, UInt16(53), "dns"), (.tcp, 53, "dns-tcp"),
                        (.tcp, 9153, "metrics"),
                    ] {
                        let servers = try answers(transport, port)
                        #expect(Set(servers) == ["a/\(name)", "b/\(name)"])
                        #expect(servers[0] == servers[2] && servers[1] == servers[3])
                    }
                    #expect(try answers(.udp, 9153) == Array(repeating: "refused", count: 4))
                    // A DNS pod asks another one, or itself.
                    let own = try cluster.answers(
                        to: AddressPort(address, 53), from: cluster["a"], .udp, times: 4)
                    #expect(Set(own) == ["a/dns", "b/dns"])
                }
            }
        }

        /// An ingress controller on the host network of both nodes, behind a load balancer and a node port.
        private func ingress(_ cluster: ProxiedCluster, policy: String) -> String {
            let slices = AddressFamily.allCases.map { family in
                let endpoints = cluster.network.nodes.map {
                    "{addresses: [\"\($0.address(family))\"], conditions: {}, nodeName: \($0.name)}"
                }
                return """
                    ---
                    apiVersion: discovery.k8s.io/v1
                    kind: EndpointSlice
                    metadata:
                      name: controller-\(family.rawValue)
                      namespace: ingress
                      labels: {kubernetes.io/service-name: controller}
                    addressType: IPv\(family.rawValue)
                    ports: [{name: http, port: 8000}]
                    endpoints: [\(endpoints.joined(separator: ", "))]

                    """
            }
            return """
                apiVersion: v1
                kind: Service
                metadata: {name: controller, namespace: ingress}
                spec:
                  type: LoadBalancer
                  externalTrafficPolicy: \(policy)
                  clusterIPs: [10.96.0.1, "fd00:96::1"]
                  ports: [{name: http, port: 80, targetPort: http, nodePort: 30080}]
                status:
                  loadBalancer:
                    ingress:
                      - {ip: 203.0.113.1}
                      - {ip: "2001:db8:113::1", ipMode: VIP}

                """ + slices.joined()
        }

        @Test(
            "an ingress controller on the host network, at a node port and a load balancer address",
            arguments: AddressFamily.allCases)
        func ingressController(family: AddressFamily) throws {
            try ProxiedCluster.with(
                ClusterPlan(pods: [["client"], ["far"]]), mode: .nodeCIDR, onEveryNode: true
            ) { cluster in
                for node in cluster.network.nodes { try cluster.network.serve(node, tcp: [8000]) }
                try cluster.apply([cluster.nodeObject(0), cluster.nodeObject(1)])
                let destinations = [
                    cluster.node.port(30080, family), AddressPort(VirtualAddress.loadBalancer(1, family), 80),
                ]
                let outside = cluster.network.outside
                // Local: the host's own process, which sees who asks.
                try cluster.apply(manifest: ingress(cluster, policy: "Local"))
                for destination in destinations {
                    for _ in 0..<3 {
                        let attempt = try cluster.attempt(to: destination, from: outside)
                        #expect(attempt.server == "node", "\(attempt.outcome)")
                        #expect(attempt.seenSource?.address == outside.address(family))
                    }
                    // Pods and the host reach both.
                    for host in [cluster.client, cluster.node] {
                        #expect(
                            try Set(cluster.answers(to: destination, from: host, times: 2)) == [
                                "node", "node-b",
                            ])
                    }
                }
                // Cluster: both nodes' processes; the other's answer has to come back by this node.
                try cluster.apply(manifest: ingress(cluster, policy: "Cluster"))
                for destination in destinations {
                    var seen: [String: IPAddress] = [:]
                    for _ in 0..<2 {
                        let attempt = try cluster.attempt(to: destination, from: outside)
                        seen[attempt.server ?? "\(attempt.outcome)"] = attempt.seenSource?.address
                    }
                    #expect(
                        seen == ["node": outside.address(family), "node-b": cluster.node.address(family)])
                }
            }
        }

        @Test("a pod calls the load balancer address of a Local Service", arguments: Traffic.all)
        func podCallsLoadBalancer(traffic: Traffic) throws {
            try ProxiedCluster.with(
                ClusterPlan(pods: [["client"], ["far"]]), mode: .nodeCIDR, onEveryNode: true
            ) { cluster in
                let destination = AddressPort(VirtualAddress.loadBalancer(1, traffic.family), 80)
                try cluster.apply([cluster.nodeObject(0), cluster.nodeObject(1)])
                try cluster.apply(
                    [.loadBalancer("web", at: 1, nodePort: 30080, externalTrafficPolicy: .local)],
                    EndpointSlice.pair("web", cluster.endpoints("far")))
                // The pod's own node has no endpoint: the connection leads to the other node's, which sees the pod.
                for pod in [cluster.client, cluster["far"]] {
                    let attempt = try cluster.attempt(to: destination, from: pod, traffic.transport)
                    #expect(attempt.server == "far", "\(attempt.outcome)")
                    let isOwn = attempt.seenSource?.address == pod.address(traffic.family)
                    #expect(isOwn == (pod.name == "client"))
                }
                // A load balancer that sends to the node without endpoint is told by its health check not to, and
                // gets no answer. The one with it sees the client.
                let outside = cluster.network.outside
                #expect(
                    try cluster.outcomeWithoutAnswer(to: destination, from: outside, traffic.transport)
                        == .timedOut)
                try outside.namespace.command(
                    "ip", "route", "add", "\(destination.address)", "via",
                    "\(cluster.network.nodes[1].address(traffic.family))")
                let attempt = try cluster.attempt(to: destination, from: outside, traffic.transport)
                #expect(attempt.server == "far", "\(attempt.outcome)")
                #expect(attempt.seenSource?.address == outside.address(traffic.family))
            }
        }

        @Test(
            "statement 14: an outside network is routed to cluster IPs through a node",
            arguments: Traffic.all)
        func outsideNetwork(traffic: Traffic) throws {
            let networks = ["10.244.0.0/16", "fd00:244::/48"].compactMap { IPNetwork($0) }
            try ProxiedCluster.with(
                ClusterPlan(pods: [["client", "a"], ["far"]]), mode: .clusterCIDR(networks)
            ) {
                cluster in
                let isFour = traffic.family == .ipv4
                let network = isFour ? "172.31.0.0/24" : "fd00:31::/64"
                let client = try #require(IPAddress(isFour ? "172.31.0.7" : "fd00:31::7"))
                let outside = cluster.network.outside
                try outside.namespace.ip(["addr add \(client)/\(traffic.family.bitWidth) dev lo"])
                try outside.namespace.awaitReception(at: [client])
                // The other node answers the network past the first one: without masquerading, past the translation.
                for node in cluster.network.nodes {
                    try node.namespace.command(
                        "ip", "route", "add", network, "via", "\(outside.address(traffic.family))")
                }
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1))],
                    EndpointSlice.pair("web", cluster.endpoints("a", "far")))
                var reached: [String] = []
                for _ in 0..<4 {
                    let attempt = try cluster.attempt(
                        to: traffic.virtual(1), from: outside, traffic.transport, source: client)
                    reached.append(attempt.server ?? "\(attempt.outcome)")
                    #expect(attempt.seenSource?.address == cluster.node.address(traffic.family))
                }
                #expect(Set(reached) == ["a", "far"])
                #expect(Array(reached[0..<2]) == Array(reached[2..<4]))
            }
        }

        @Test("endpoints that are not ready are left out until they are", arguments: AddressFamily.allCases)
        func notReady(family: AddressFamily) throws {
            try ProxiedCluster.with { cluster in
                let service = """
                    apiVersion: v1
                    kind: Service
                    metadata: {name: web, namespace: default}
                    spec:
                      clusterIP: "\(VirtualAddress.number(1, family))"
                      ports: [{port: 80, targetPort: 8080}]
                    ---

                    """
                func expect(_ names: Set<String>, of conditions: [String: String]) throws {
                    let endpoints = conditions.sorted { $0.key < $1.key }.map { name, conditions in
                        "  - {addresses: [\"\(cluster[name].address(family))\"], conditions: {\(conditions)}}\n"
                    }
                    try cluster.apply(
                        manifest: service + """
                            apiVersion: discovery.k8s.io/v1
                            kind: EndpointSlice
                            metadata:
                              name: web-1
                              namespace: default
                              labels: {kubernetes.io/service-name: web}
                            addressType: IPv\(family.rawValue)
                            ports: [{name: "", port: 8080}]
                            endpoints:

                            """ + endpoints.joined())
                    let destination = AddressPort(VirtualAddress.number(1, family), 80)
                    let servers = try cluster.answers(to: destination, from: cluster.client, times: 6)
                    #expect(Set(servers) == names)
                }
                let starting = "ready: false, serving: false, terminating: false"
                try expect(["refused"], of: ["a": starting, "b": starting])
                try expect(["a"], of: ["a": "ready: true", "b": starting])
                // Without a word it is ready.
                try expect(["a", "b"], of: ["a": "ready: true", "b": "", "c": "ready: false"])
                try expect(["b", "c"], of: ["a": "ready: false", "b": "", "c": "ready: true"])
                try expect(["refused"], of: ["a": "ready: false", "b": starting])
            }
        }

        @Test(
            "statement 19: load balancer addresses of ipMode VIP or none are served, others left alone",
            arguments: AddressFamily.allCases)
        func ingressModes(family: AddressFamily) throws {
            try ProxiedCluster.with { cluster in
                let (outside, node) = (cluster.network.outside, cluster.node)
                let addresses = (1...3).map { VirtualAddress.loadBalancer($0, family) }
                // A load balancer that answers for itself has its address: here the outside host, for all three.
                try outside.namespace.ip(addresses.map { "addr add \($0)/\(family.bitWidth) dev lo" })
                try outside.namespace.awaitReception(at: addresses)
                // It knows the way to the pods.
                let balancer = try EchoServer("balancer", in: outside.namespace, tcp: [80])
                defer { balancer.stop() }
                try cluster.apply(
                    manifest: """
                        apiVersion: v1
                        kind: Service
                        metadata: {name: web, namespace: default}
                        spec:
                          type: LoadBalancer
                          clusterIP: "\(VirtualAddress.number(1, family))"
                          ports: [{name: http, port: 80, targetPort: 8080}]
                        status:
                          loadBalancer:
                            ingress:
                              - {ip: "\(addresses[0])"}
                              - {ip: "\(addresses[1])", ipMode: VIP}
                              - {ip: "\(addresses[2])", ipMode: Proxy}
                              - {hostname: lb.example.org}
                        """)
                try cluster.apply([], EndpointSlice.pair("web", cluster.endpoints("a")))
                for (address, server) in zip(addresses, ["a", "a", "balancer"]) {
                    for host in [cluster.client, node] {
                        let attempt = try cluster.attempt(to: AddressPort(address, 80), from: host)
                        #expect(attempt.server == server, "\(address): \(attempt.outcome)")
                    }
                }
            }
        }
    }
}
