extension ClusterObject {
    /// What tells one object from another: its kind and its name.
    public enum Key: Hashable, Sendable {
        case service(ObjectName)
        case endpointSlice(ObjectName)
        case node(String)
        case serviceCIDR(String)
    }

    public var key: Key {
        switch self {
        case .service(let service): .service(service.name)
        case .endpointSlice(let slice): .endpointSlice(slice.name)
        case .node(let node): .node(node.name)
        case .serviceCIDR(let block): .serviceCIDR(block.name)
        }
    }
}

extension ClusterObject.Key: CustomStringConvertible {
    /// As in messages: `Service default/web`, `Node node-1`.
    public var description: String {
        switch self {
        case .service(let name): "Service \(name)"
        case .endpointSlice(let name): "EndpointSlice \(name)"
        case .node(let name): "Node \(name)"
        case .serviceCIDR(let name): "ServiceCIDR \(name)"
        }
    }
}
