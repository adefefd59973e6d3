// The manifests' own shapes, fields named as in the Kubernetes API reference (v1.36), with only the
// fields that are read.

struct RawMetadata: Decodable, Sendable {
    var name: Field<String>
    var namespace: Field<String>
    var creationTimestamp: Field<String>
    var deletionTimestamp: Field<String>
    var labels: Field<RawLabels>
}

struct RawLabels: Decodable, Sendable {
    var serviceName: Field<String>
    var headless: Field<String>
    var proxyName: Field<String>
    var zone: Field<String>

    enum CodingKeys: String, CodingKey {
        case serviceName = "kubernetes.io/service-name"
        case headless = "service.kubernetes.io/headless"
        case proxyName = "service.kubernetes.io/service-proxy-name"
        case zone = "topology.kubernetes.io/zone"
    }
}

struct RawService: Decodable, Sendable {
    struct Spec: Decodable, Sendable {
        var type: Field<String>
        var clusterIP: Field<String>
        var clusterIPs: Field<[Field<String>]>
        var ports: Field<[Field<Port>]>
        var sessionAffinity: Field<String>
        var sessionAffinityConfig: Field<AffinityConfig>
        var internalTrafficPolicy: Field<String>
        var externalTrafficPolicy: Field<String>
        var externalIPs: Field<[Field<String>]>
        var loadBalancerSourceRanges: Field<[Field<String>]>
        var healthCheckNodePort: Field<Int>
    }
    struct Port: Decodable, Sendable {
        var name: Field<String>
        var `protocol`: Field<String>
        var port: Field<Int>
        var nodePort: Field<Int>
    }
    struct AffinityConfig: Decodable, Sendable {
        var clientIP: Field<ClientIP>
    }
    struct ClientIP: Decodable, Sendable {
        var timeoutSeconds: Field<Int>
    }
    struct Status: Decodable, Sendable {
        var loadBalancer: Field<LoadBalancer>
    }
    struct LoadBalancer: Decodable, Sendable {
        var ingress: Field<[Field<Ingress>]>
    }
    struct Ingress: Decodable, Sendable {
        var ip: Field<String>
        var ipMode: Field<String>
    }

    var metadata: Field<RawMetadata>
    var spec: Field<Spec>
    var status: Field<Status>
}

struct RawEndpointSlice: Decodable, Sendable {
    struct Endpoint: Decodable, Sendable {
        var addresses: Field<[Field<String>]>
        var conditions: Field<Conditions>
        var nodeName: Field<String>
        var hints: Field<Hints>
    }
    struct Conditions: Decodable, Sendable {
        var ready: Field<Bool>
        var serving: Field<Bool>
        var terminating: Field<Bool>
    }
    struct Hints: Decodable, Sendable {
        var forZones: Field<[Field<Hint>]>
        var forNodes: Field<[Field<Hint>]>
    }
    struct Hint: Decodable, Sendable {
        var name: Field<String>
    }

    var metadata: Field<RawMetadata>
    var addressType: Field<String>
    var endpoints: Field<[Field<Endpoint>]>
    var ports: Field<[Field<RawEndpointPort>]>
}

/// A port of an EndpointSlice and of an Endpoints subset alike.
struct RawEndpointPort: Decodable, Sendable {
    var name: Field<String>
    var `protocol`: Field<String>
    var port: Field<Int>
}

struct RawEndpoints: Decodable, Sendable {
    struct Subset: Decodable, Sendable {
        var addresses: Field<[Field<Address>]>
        var notReadyAddresses: Field<[Field<Address>]>
        var ports: Field<[Field<RawEndpointPort>]>
    }
    struct Address: Decodable, Sendable {
        var ip: Field<String>
        var nodeName: Field<String>
    }

    var metadata: Field<RawMetadata>
    var subsets: Field<[Field<Subset>]>
}

struct RawNode: Decodable, Sendable {
    struct Spec: Decodable, Sendable {
        var podCIDR: Field<String>
        var podCIDRs: Field<[Field<String>]>
        var taints: Field<[Field<Taint>]>
    }
    struct Taint: Decodable, Sendable {
        var key: Field<String>
    }
    struct Status: Decodable, Sendable {
        var addresses: Field<[Field<Address>]>
    }
    struct Address: Decodable, Sendable {
        var type: Field<String>
        var address: Field<String>
    }

    var metadata: Field<RawMetadata>
    var spec: Field<Spec>
    var status: Field<Status>
}

struct RawServiceCIDR: Decodable, Sendable {
    struct Spec: Decodable, Sendable {
        var cidrs: Field<[Field<String>]>
    }

    var metadata: Field<RawMetadata>
    var spec: Field<Spec>
}
