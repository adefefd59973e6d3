import IPAddressing
import KubernetesAPI
import KubernetesWire
import WireBodies

/// Objects with all fields that Sluice reads, and with fields that it passes over.
enum Fixture {
    /// `metadata` with what a real object has beside the name.
    static func metadata(
        _ name: String, namespace: String? = "shop", resourceVersion: String = "42",
        labels: [(key: String, value: String)] = [], annotations: [(key: String, value: String)] = [],
        more: [WireField] = []
    ) -> WireField {
        var fields: [WireField] = [WireField(1, "name", .text(name)), WireField(2, "generateName", "")]
        if let namespace { fields.append(WireField(3, "namespace", .text(namespace))) }
        fields += [
            WireField(5, "uid", "0c7e6f0e-1111-4222-8333-444455556666"),
            WireField(6, "resourceVersion", .text(resourceVersion)), WireField(7, "generation", 3),
            WireField(8, "creationTimestamp", .time(1_767_323_045, "2026-01-02T03:04:05Z")),
            WireField(11, "labels", .map(labels + [(key: "team", value: "a")])),
            WireField(12, "annotations", .map(annotations + [(key: "note", value: "\"é\"\n")])),
            WireField(
                13, "ownerReferences",
                [.message([WireField(1, "kind", "Service"), WireField(6, "controller", true)])]),
            WireField(
                17, "managedFields",
                [
                    .message([
                        WireField(1, "manager", "kubectl"),
                        WireField(
                            7, "fieldsV1",
                            .verbatim(
                                [WireField(1, "Raw", #"{"f:spec":{}}"#)].protobuf, json: #"{"f:spec":{}}"#)),
                    ])
                ]),
            // A field of a version to come.
            WireField(9999, "toCome", .message([WireField(1, "x", 1)])),
        ]
        return WireField(1, "metadata", .message(fields + more))
    }

    static let service = WireObject(
        "v1", "Service",
        [
            metadata(
                "web", labels: [(key: "service.kubernetes.io/service-proxy-name", value: "other")]),
            WireField(
                2, "spec",
                .message([
                    WireField(
                        1, "ports",
                        [
                            .message([
                                WireField(1, "name", "http"), WireField(2, "protocol", "TCP"),
                                WireField(3, "port", 80),
                                WireField(
                                    4, "targetPort", .verbatim([8, 0, 16, 0x90, 0x3f, 26, 0], json: "8080")),
                                WireField(5, "nodePort", 30_080),
                                WireField(6, "appProtocol", "kubernetes.io/h2c"),
                            ]),
                            .message([
                                WireField(1, "name", "dns"), WireField(2, "protocol", "UDP"),
                                WireField(3, "port", 53), WireField(5, "nodePort", 0),
                            ]),
                        ]),
                    WireField(2, "selector", .map([(key: "app", value: "web")])),
                    WireField(3, "clusterIP", "10.96.0.10"), WireField(4, "type", "LoadBalancer"),
                    WireField(5, "externalIPs", ["192.0.2.1"]), WireField(7, "sessionAffinity", "ClientIP"),
                    WireField(8, "loadBalancerIP", ""),
                    WireField(9, "loadBalancerSourceRanges", ["198.51.100.0/24", "2001:db8::/32"]),
                    WireField(11, "externalTrafficPolicy", "Local"),
                    WireField(12, "healthCheckNodePort", 32_000),
                    WireField(13, "publishNotReadyAddresses", false),
                    WireField(
                        14, "sessionAffinityConfig",
                        .message([WireField(1, "clientIP", .message([WireField(1, "timeoutSeconds", 60)]))])),
                    WireField(17, "ipFamilyPolicy", "PreferDualStack"),
                    WireField(18, "clusterIPs", ["10.96.0.10", "fd00::10"]),
                    WireField(19, "ipFamilies", ["IPv4", "IPv6"]),
                    WireField(20, "allocateLoadBalancerNodePorts", true),
                    WireField(22, "internalTrafficPolicy", "Local"),
                    WireField(23, "trafficDistribution", "PreferSameZone"),
                ])),
            WireField(
                3, "status",
                .message([
                    WireField(
                        1, "loadBalancer",
                        .message([
                            WireField(
                                1, "ingress",
                                [
                                    .message([
                                        WireField(1, "ip", "203.0.113.1"), WireField(2, "hostname", ""),
                                        WireField(3, "ipMode", "VIP"),
                                    ]),
                                    .message([
                                        WireField(1, "ip", "203.0.113.3"), WireField(3, "ipMode", "Proxy"),
                                    ]),
                                ])
                        ]))
                ])),
        ])

    static func decodedService() throws -> Service {
        var service = Service(
            name: ObjectName(namespace: "shop", name: "web"), kind: .loadBalancer, created: 1_767_323_045,
            proxyName: "other", clusterIPs: [try ip("10.96.0.10"), try ip("fd00::10")],
            ports: [
                .init(name: "http", port: 80, nodePort: 30_080),
                .init(name: "dns", transport: .udp, port: 53),
            ],
            affinityTimeout: 60, internalTrafficPolicy: .local, externalTrafficPolicy: .local,
            externalIPs: [try ip("192.0.2.1")], loadBalancerIPs: [try ip("203.0.113.1")],
            healthCheckNodePort: 32_000)
        service.sourceRanges = [
            try required(IPNetwork("198.51.100.0/24")), try required(IPNetwork("2001:db8::/32")),
        ]
        return service
    }

    static let slice = endpointSlice(endpoints: [
        .message([
            WireField(1, "addresses", ["10.0.0.1", "10.0.0.9"]),
            WireField(
                2, "conditions",
                .message([
                    WireField(1, "ready", false), WireField(2, "serving", true),
                    WireField(3, "terminating", true),
                ])),
            WireField(3, "hostname", "web-0"),
            WireField(
                4, "targetRef", .message([WireField(1, "kind", "Pod"), WireField(3, "name", "web-0")])),
            WireField(5, "deprecatedTopology", .map([(key: "a", value: "b")])),
            WireField(6, "nodeName", "node-1.eu-west-1.compute.internal"),
            WireField(7, "zone", "eu-west-1a"),
            WireField(
                8, "hints",
                .message([
                    WireField(
                        1, "forZones",
                        [
                            .message([WireField(1, "name", "eu-west-1a")]),
                            .message([WireField(1, "name", "eu-west-1b")]),
                        ]),
                    WireField(2, "forNodes", [.message([WireField(1, "name", "node-1")])]),
                ])),
        ]),
        .message([WireField(1, "addresses", ["10.0.0.2"])]),
    ])

    static let serviceLabel = (key: "kubernetes.io/service-name", value: "web")

    static func endpointSlice(
        _ name: String = "web-x7k2p", type: WireValue = "IPv4", endpoints: [WireValue],
        ports: [WireValue] = [
            .message([
                WireField(1, "name", "http"), WireField(2, "protocol", "TCP"), WireField(3, "port", 8080),
                WireField(4, "appProtocol", "http"),
            ])
        ], labels: [(key: String, value: String)] = [serviceLabel]
    ) -> WireObject {
        WireObject(
            "discovery.k8s.io/v1", "EndpointSlice",
            [
                metadata(
                    name, labels: labels,
                    annotations: [
                        (
                            key: "endpoints.kubernetes.io/last-change-trigger-time",
                            value: "2026-01-02T03:04:05.25Z"
                        )
                    ]),
                WireField(2, "endpoints", .repeated(endpoints)), WireField(3, "ports", .repeated(ports)),
                WireField(4, "addressType", type),
            ])
    }

    static func decodedSlice() throws -> EndpointSlice {
        EndpointSlice(
            name: ObjectName(namespace: "shop", name: "web-x7k2p"),
            service: ObjectName(namespace: "shop", name: "web"), family: .ipv4,
            endpoints: [
                .init(
                    address: try ip("10.0.0.1"), isReady: false, isServing: true, isTerminating: true,
                    nodeName: "node-1.eu-west-1.compute.internal",
                    zoneHints: ["eu-west-1a", "eu-west-1b"], nodeHints: ["node-1"]),
                .init(address: try ip("10.0.0.2")),
            ],
            ports: [.init(name: "http", port: 8080)])
    }

    static let node = WireObject(
        "v1", "Node",
        [
            metadata(
                "node-1", namespace: nil,
                labels: [(key: "topology.kubernetes.io/zone", value: "eu-west-1a")]),
            WireField(
                2, "spec",
                .message([
                    WireField(1, "podCIDR", "10.244.1.0/24"), WireField(3, "providerID", "kind://x"),
                    WireField(
                        5, "taints",
                        [
                            .message([
                                WireField(1, "key", "ToBeDeletedByClusterAutoscaler"),
                                WireField(3, "effect", "NoSchedule"),
                            ])
                        ]),
                    WireField(7, "podCIDRs", ["10.244.1.0/24", "fd00:1::/64"]),
                ])),
            WireField(
                3, "status",
                .message([
                    WireField(3, "phase", "Running"),
                    WireField(
                        5, "addresses",
                        [
                            .message([WireField(1, "type", "Hostname"), WireField(2, "address", "node-1")]),
                            .message([
                                WireField(1, "type", "ExternalIP"), WireField(2, "address", "203.0.113.7"),
                            ]),
                            .message([
                                WireField(1, "type", "InternalIP"), WireField(2, "address", "192.0.2.7"),
                            ]),
                        ]),
                    WireField(
                        8, "images", [.message([WireField(1, "names", ["registry.example/pause"])])]),
                ])),
        ])

    static func decodedNode() throws -> Node {
        Node(
            name: "node-1", zone: "eu-west-1a",
            podCIDRs: [
                try required(IPNetwork("10.244.1.0/24")), try required(IPNetwork("fd00:1::/64")),
            ], addresses: [try ip("192.0.2.7"), try ip("203.0.113.7")], isToBeDeletedByAutoscaler: true)
    }

    static let serviceCIDR = WireObject(
        "networking.k8s.io/v1", "ServiceCIDR",
        [
            metadata("kubernetes", namespace: nil),
            WireField(2, "spec", .message([WireField(1, "cidrs", ["10.96.0.0/16", "fd00:96::/108"])])),
            WireField(3, "status", .message([WireField(1, "conditions", [])])),
        ])

    static func decodedServiceCIDR() throws -> ServiceCIDR {
        ServiceCIDR(
            name: "kubernetes",
            networks: [try required(IPNetwork("10.96.0.0/16")), try required(IPNetwork("fd00:96::/108"))])
    }

    static func object(_ kind: ResourceKind) -> WireObject {
        switch kind {
        case .services: service
        case .endpointSlices: slice
        case .nodes: node
        case .serviceCIDRs: serviceCIDR
        }
    }

    static func decoded(_ kind: ResourceKind) throws -> ClusterObject {
        switch kind {
        case .services: .service(try decodedService())
        case .endpointSlices: .endpointSlice(try decodedSlice())
        case .nodes: .node(try decodedNode())
        case .serviceCIDRs: .serviceCIDR(try decodedServiceCIDR())
        }
    }

    /// A list of some objects of the kind, one of them without anything but a name.
    static func list(_ kind: ResourceKind) -> WireList {
        let object = object(kind)
        let bare = WireObject(
            object.apiVersion, object.kind, [WireField(1, "metadata", .message([WireField(1, "name", "x")]))])
        return WireList(
            object.apiVersion, kind.listKind, [object, bare, object], resourceVersion: "1234",
            continueToken: "more\"é", remainingItemCount: 17)
    }
}
