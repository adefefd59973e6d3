/// The resources of the Kubernetes API that Sluice lists and watches.
public enum ResourceKind: Sendable, CaseIterable {
    case services
    case endpointSlices
    case nodes
    case serviceCIDRs

    /// The path of the resource in all namespaces, from the API server's root.
    public var path: String {
        switch self {
        case .services: "/api/v1/services"
        case .endpointSlices: "/apis/discovery.k8s.io/v1/endpointslices"
        case .nodes: "/api/v1/nodes"
        case .serviceCIDRs: "/apis/networking.k8s.io/v1/servicecidrs"
        }
    }

    /// As in paths, RBAC, metrics and messages: `services`.
    public var resource: String {
        switch self {
        case .services: "services"
        case .endpointSlices: "endpointslices"
        case .nodes: "nodes"
        case .serviceCIDRs: "servicecidrs"
        }
    }

    /// `kind` of one object of the resource.
    public var kind: String {
        switch self {
        case .services: "Service"
        case .endpointSlices: "EndpointSlice"
        case .nodes: "Node"
        case .serviceCIDRs: "ServiceCIDR"
        }
    }

    /// `kind` of a list of them.
    public var listKind: String { kind + "List" }
}
