public import KubernetesAPI

/// A kind of objects that the server has, under the name it has in URLs.
public enum APIResource: String, Sendable, Hashable, CaseIterable {
    case services
    case endpointSlices = "endpointslices"
    case nodes
    case serviceCIDRs = "servicecidrs"

    /// Empty for the core group.
    public var group: String {
        switch self {
        case .services, .nodes: ""
        case .endpointSlices: "discovery.k8s.io"
        case .serviceCIDRs: "networking.k8s.io"
        }
    }

    /// `v1`, `discovery.k8s.io/v1`
    public var apiVersion: String { group.isEmpty ? "v1" : "\(group)/v1" }

    public var kind: String {
        switch self {
        case .services: "Service"
        case .endpointSlices: "EndpointSlice"
        case .nodes: "Node"
        case .serviceCIDRs: "ServiceCIDR"
        }
    }

    public var isNamespaced: Bool { self == .services || self == .endpointSlices }
}

extension ClusterObject.Key {
    public var resource: APIResource {
        switch self {
        case .service: .services
        case .endpointSlice: .endpointSlices
        case .node: .nodes
        case .serviceCIDR: .serviceCIDRs
        }
    }

    /// Empty for kinds without namespaces.
    var namespace: String {
        switch self {
        case .service(let name), .endpointSlice(let name): name.namespace
        case .node, .serviceCIDR: ""
        }
    }

    /// `metadata.name`
    var name: String {
        switch self {
        case .service(let name), .endpointSlice(let name): name.name
        case .node(let name), .serviceCIDR(let name): name
        }
    }

    /// Where the object is in a list: etcd's order, by namespace and name.
    var place: Place { Place(namespace: namespace, name: name) }
}

/// A position in the order of a resource's objects.
struct Place: Hashable, Comparable, Sendable {
    var namespace: String
    var name: String

    static func < (a: Self, b: Self) -> Bool { (a.namespace, a.name) < (b.namespace, b.name) }
}
