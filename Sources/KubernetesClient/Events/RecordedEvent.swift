public import KubernetesAPI

/// An Event to be (`events.k8s.io/v1`).
public struct RecordedEvent: Sendable, Hashable {
    /// `type`.
    public enum EventType: String, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// The object it is about.
    public var regarding: ClusterObject.Key
    public var type: EventType
    /// Why, in CamelCase: `FailedToStartServiceHealthcheck`. At most 128 bytes.
    public var reason: String
    /// What was done or tried, in CamelCase: `Listen`. At most 128 bytes.
    public var action: String
    /// For people; cut after 1,024 bytes, the API's limit.
    public var note: String

    public init(
        regarding: ClusterObject.Key, type: EventType = .warning, reason: String, action: String, note: String
    ) {
        self.regarding = regarding
        self.type = type
        self.reason = reason
        self.action = action
        self.note = note
    }
}

extension RecordedEvent {
    static let noteLimit = 1024

    /// `regarding`: an ObjectReference. As kube-proxy does, the name stands for the UID, which it never reads.
    var reference: JSONValue {
        let (version, kind, namespace, name): (String, String, String?, String) =
            switch regarding {
            case .service(let name): ("v1", "Service", name.namespace, name.name)
            case .endpointSlice(let name): ("discovery.k8s.io/v1", "EndpointSlice", name.namespace, name.name)
            case .node(let name): ("v1", "Node", nil, name)
            case .serviceCIDR(let name): ("networking.k8s.io/v1", "ServiceCIDR", nil, name)
            }
        var reference: [String: JSONValue] = [
            "apiVersion": .text(version), "kind": .text(kind), "name": .text(name),
            "uid": .text(namespace.map { "\($0)/\(name)" } ?? name),
        ]
        if let namespace { reference["namespace"] = .text(namespace) }
        return .object(reference)
    }

    /// Where the Event goes: the object's namespace, `default` for what has none.
    var namespace: String {
        switch regarding {
        case .service(let name), .endpointSlice(let name): name.namespace
        case .node, .serviceCIDR: "default"
        }
    }

    var objectName: String {
        switch regarding {
        case .service(let name), .endpointSlice(let name): name.name
        case .node(let name), .serviceCIDR(let name): name
        }
    }
}
