// The objects' own shapes, fields named as in the Kubernetes API reference (v1.36), with only the
// fields that are read.

package struct RawMetadata: Decodable, Sendable {
    package var name: Field<String> = .absent
    package var namespace: Field<String> = .absent
    package var creationTimestamp: Field<RawTime> = .absent
    package var deletionTimestamp: Field<RawTime> = .absent
    package var resourceVersion: Field<String> = .absent
    package var labels: Field<RawLabels> = .absent
    package var annotations: Field<RawAnnotations> = .absent

    package init() {}
}

package struct RawLabels: Decodable, Sendable {
    package var serviceName: Field<String> = .absent
    package var headless: Field<String> = .absent
    package var proxyName: Field<String> = .absent
    package var zone: Field<String> = .absent

    package enum CodingKeys: String, CodingKey {
        case serviceName = "kubernetes.io/service-name"
        case headless = "service.kubernetes.io/headless"
        case proxyName = "service.kubernetes.io/service-proxy-name"
        case zone = "topology.kubernetes.io/zone"
    }

    package init() {}
}

package struct RawAnnotations: Decodable, Sendable {
    package var lastChangeTriggerTime: Field<RawTime> = .absent
    package var initialEventsEnd: Field<String> = .absent

    package init() {}

    package enum CodingKeys: String, CodingKey {
        case lastChangeTriggerTime = "endpoints.kubernetes.io/last-change-trigger-time"
        case initialEventsEnd = "k8s.io/initial-events-end"
    }
}

package struct RawService: Decodable, Sendable {
    package struct Spec: Decodable, Sendable {
        package var type: Field<String> = .absent
        package var clusterIP: Field<String> = .absent
        package var clusterIPs: Field<[Field<String>]> = .absent
        package var ports: Field<[Field<Port>]> = .absent
        package var sessionAffinity: Field<String> = .absent
        package var sessionAffinityConfig: Field<AffinityConfig> = .absent
        package var internalTrafficPolicy: Field<String> = .absent
        package var externalTrafficPolicy: Field<String> = .absent
        package var externalIPs: Field<[Field<String>]> = .absent
        package var loadBalancerSourceRanges: Field<[Field<String>]> = .absent
        package var healthCheckNodePort: Field<Int> = .absent

        package init() {}
    }
    package struct Port: Decodable, Sendable {
        package var name: Field<String> = .absent
        package var `protocol`: Field<String> = .absent
        package var port: Field<Int> = .absent
        package var nodePort: Field<Int> = .absent

        package init() {}
    }
    package struct AffinityConfig: Decodable, Sendable {
        package var clientIP: Field<ClientIP> = .absent

        package init() {}
    }
    package struct ClientIP: Decodable, Sendable {
        package var timeoutSeconds: Field<Int> = .absent

        package init() {}
    }
    package struct Status: Decodable, Sendable {
        package var loadBalancer: Field<LoadBalancer> = .absent

        package init() {}
    }
    package struct LoadBalancer: Decodable, Sendable {
        package var ingress: Field<[Field<Ingress>]> = .absent

        package init() {}
    }
    package struct Ingress: Decodable, Sendable {
        package var ip: Field<String> = .absent
        package var ipMode: Field<String> = .absent

        package init() {}
    }

    package var metadata: Field<RawMetadata> = .absent
    package var spec: Field<Spec> = .absent
    package var status: Field<Status> = .absent

    package init() {}
}

package struct RawEndpointSlice: Decodable, Sendable {
    package struct Endpoint: Decodable, Sendable {
        package var addresses: Field<[Field<String>]> = .absent
        package var conditions: Field<Conditions> = .absent
        package var nodeName: Field<String> = .absent
        package var hints: Field<Hints> = .absent

        package init() {}
    }
    package struct Conditions: Decodable, Sendable {
        package var ready: Field<Bool> = .absent
        package var serving: Field<Bool> = .absent
        package var terminating: Field<Bool> = .absent

        package init() {}
    }
    package struct Hints: Decodable, Sendable {
        package var forZones: Field<[Field<Hint>]> = .absent
        package var forNodes: Field<[Field<Hint>]> = .absent

        package init() {}
    }
    package struct Hint: Decodable, Sendable {
        package var name: Field<String> = .absent

        package init() {}
    }

    package var metadata: Field<RawMetadata> = .absent
    package var addressType: Field<String> = .absent
    package var endpoints: Field<[Field<Endpoint>]> = .absent
    package var ports: Field<[Field<RawEndpointPort>]> = .absent

    package init() {}
}

/// A port of an EndpointSlice and of an Endpoints subset alike.
package struct RawEndpointPort: Decodable, Sendable {
    package var name: Field<String> = .absent
    package var `protocol`: Field<String> = .absent
    package var port: Field<Int> = .absent

    package init() {}
}

package struct RawEndpoints: Decodable, Sendable {
    package struct Subset: Decodable, Sendable {
        package var addresses: Field<[Field<Address>]> = .absent
        package var notReadyAddresses: Field<[Field<Address>]> = .absent
        package var ports: Field<[Field<RawEndpointPort>]> = .absent

        package init() {}
    }
    package struct Address: Decodable, Sendable {
        package var ip: Field<String> = .absent
        package var nodeName: Field<String> = .absent

        package init() {}
    }

    package var metadata: Field<RawMetadata> = .absent
    package var subsets: Field<[Field<Subset>]> = .absent

    package init() {}
}

package struct RawNode: Decodable, Sendable {
    package struct Spec: Decodable, Sendable {
        package var podCIDR: Field<String> = .absent
        package var podCIDRs: Field<[Field<String>]> = .absent
        package var taints: Field<[Field<Taint>]> = .absent

        package init() {}
    }
    package struct Taint: Decodable, Sendable {
        package var key: Field<String> = .absent

        package init() {}
    }
    package struct Status: Decodable, Sendable {
        package var addresses: Field<[Field<Address>]> = .absent

        package init() {}
    }
    package struct Address: Decodable, Sendable {
        package var type: Field<String> = .absent
        package var address: Field<String> = .absent

        package init() {}
    }

    package var metadata: Field<RawMetadata> = .absent
    package var spec: Field<Spec> = .absent
    package var status: Field<Status> = .absent

    package init() {}
}

package struct RawServiceCIDR: Decodable, Sendable {
    package struct Spec: Decodable, Sendable {
        package var cidrs: Field<[Field<String>]> = .absent

        package init() {}
    }

    package var metadata: Field<RawMetadata> = .absent
    package var spec: Field<Spec> = .absent

    package init() {}
}
