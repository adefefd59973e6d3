internal import IPAddressing
public import KubernetesAPI

/// An object as the server stores it: what a client is to read out of it, and all that it is to pass over.
public struct APIObject: Sendable {
    /// What a client must make of it. nil for an object that can't be read.
    public var value: ClusterObject?
    public var key: ClusterObject.Key
    /// Beside the ones that follow from `value`.
    public var labels: [String: String] = [:]
    public var annotations: [String: String] = [:]
    /// Seconds since 1970.
    public var deletionTimestamp: Int64?
    /// Of Nodes.
    public var taints: [Taint] = []
    /// Fields of tomorrow: in `metadata`, in `spec` (of an EndpointSlice: at the top, and in each endpoint).
    public var hasUnknownFields = false
    /// Bytes in the place of `spec` (of an EndpointSlice: of its first endpoint).
    public var brokenPart: [UInt8]?

    public struct Taint: Sendable, Equatable {
        public var key: String
        /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`
        public var effect: String

        /// What tells that a Node is to go where there is no `deletionTimestamp`.
        static let aboutToGo = Taint(key: "ToBeDeletedByClusterAutoscaler")

        public init(key: String, effect: String = "NoSchedule") {
            self.key = key
            self.effect = effect
        }
    }

    public init(_ value: ClusterObject) {
        self.value = value
        key = value.key
    }

    public init(_ service: Service) { self.init(.service(service)) }
    public init(_ slice: EndpointSlice) { self.init(.endpointSlice(slice)) }
    public init(_ node: Node) { self.init(.node(node)) }
    public init(_ block: ServiceCIDR) { self.init(.serviceCIDR(block)) }

    /// An object with a name and labels that no decoder can read further: its spec holds a field that is longer than
    /// the spec.
    public static func broken(_ key: ClusterObject.Key) -> APIObject {
        let blank: ClusterObject =
            switch key {
            case .service(let name): .service(Service(name: name))
            case .endpointSlice(let name):
                .endpointSlice(EndpointSlice(name: name, service: name, family: .ipv4))
            case .node(let name): .node(Node(name: name))
            case .serviceCIDR(let name): .serviceCIDR(ServiceCIDR(name: name, networks: []))
            }
        var object = APIObject(blank)
        object.value = nil
        object.shape = blank
        object.brokenPart = [0x0a, 0x7f, 0x01]
        return object
    }

    /// What is written of an object that has no value.
    private var shape: ClusterObject?

    /// Labels, those that follow from the value among them; what selectors see.
    var allLabels: [String: String] {
        var result: [String: String] = [:]
        switch value ?? shape {
        case .service(let service):
            result["service.kubernetes.io/service-proxy-name"] = service.proxyName
            if service.isHeadless { result["service.kubernetes.io/headless"] = "" }
        case .endpointSlice(let slice):
            result["kubernetes.io/service-name"] = slice.service.name
            result["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
        case .node(let node):
            result["topology.kubernetes.io/zone"] = node.zone
            result["kubernetes.io/hostname"] = node.name
        case .serviceCIDR, nil: break
        }
        return result.merging(labels) { _, own in own }
    }

    /// A Service with `clusterIP: None`.
    var isHeadless: Bool { if case .service(let service) = value { service.isHeadless } else { false } }

    /// The whole message, without `kind` and `apiVersion`.
    func message(uid: String, resourceVersion: UInt64) -> APIMessage {
        var message = APIMessage()
        message.addPlain(1, "metadata", .message(metadata(uid: uid, resourceVersion: resourceVersion)))
        switch value ?? shape {
        case .service(let service): Self.add(service, to: &message)
        case .endpointSlice(let slice): Self.add(slice, to: &message)
        case .node(let node):
            let leaves = !node.isEligible && deletionTimestamp == nil
            Self.add(node, taints: leaves ? taints + [.aboutToGo] : taints, to: &message)
        case .serviceCIDR(let block): Self.add(block, to: &message)
        case nil: break
        }
        if hasUnknownFields { addUnknownFields(to: &message) }
        if let brokenPart {
            let named = key.resource == .endpointSlices ? "endpoints" : "spec"
            message.add(2, named, .raw(brokenPart))
        }
        return message
    }

    private func metadata(uid: String, resourceVersion: UInt64) -> APIMessage {
        var metadata = APIMessage()
        metadata.add(1, "name", .string(key.name))
        metadata.addPlain(2, "generateName", .string(""))
        metadata.addPlain(3, "namespace", .string(key.namespace))
        metadata.addPlain(4, "selfLink", .string(""))
        metadata.add(5, "uid", .string(uid))
        metadata.add(6, "resourceVersion", .string("\(resourceVersion)"))
        metadata.addPlain(7, "generation", .integer(key.resource == .endpointSlices ? 1 : 0))
        let created: Int64? = if case .service(let service) = value { service.created } else { 1_700_000_000 }
        metadata.add(8, created == nil ? nil : "creationTimestamp", created.map { .time($0) } ?? .message([]))
        metadata.add(9, "deletionTimestamp", deletionTimestamp.map { .time($0) })
        metadata.add(11, "labels", .map(allLabels))
        metadata.add(12, "annotations", .map(annotations))
        guard hasUnknownFields else { return metadata }
        metadata.add(13, "ownerReferences", .list([.message(Self.owner(key))]))
        metadata.add(14, "finalizers", .strings(["example.org/hold"]))
        metadata.add(17, "managedFields", .list([.message(Self.managed)]))
        metadata.add(
            400, "fieldOfTomorrow", .message([.init(number: 1, name: "deep", value: .string("metadata"))]))
        return metadata
    }

    private static func owner(_ key: ClusterObject.Key) -> APIMessage {
        var owner = APIMessage()
        owner.add(1, "kind", .string("Service"))
        owner.add(3, "name", .string(key.name))
        owner.add(4, "uid", .string("0b21a1f2-0d2f-4a6c-9b4e-7d9f6a4f1c11"))
        owner.add(5, "apiVersion", .string("v1"))
        owner.add(6, "controller", .boolean(true))
        owner.add(7, "blockOwnerDeletion", .boolean(true))
        return owner
    }

    private static let managed: APIMessage = {
        var entry = APIMessage()
        entry.add(1, "manager", .string("kube-controller-manager"))
        entry.add(2, "operation", .string("Update"))
        entry.add(3, "apiVersion", .string("v1"))
        entry.add(4, "time", .time(1_700_000_001))
        entry.add(6, "fieldsType", .string("FieldsV1"))
        entry.add(
            7, "fieldsV1",
            .json(#"{"f:spec":{"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{}}}}"#))
        return entry
    }()

    private func addUnknownFields(to message: inout APIMessage) {
        let added: [APIMessage.Field] = [
            .init(number: 1_000, name: "numberOfTomorrow", value: .integer(-1)),
            .init(number: 1_001, name: "listOfTomorrow", value: .strings(["a", "", "{\"spec\":[}"])),
            .init(
                number: 536_870_911, name: "messageOfTomorrow",
                value: .message([.init(number: 1, name: "name", value: .string("not-its-name"))])),
        ]
        if key.resource == .endpointSlices {
            for field in added { message.add(field.number, field.name, field.value) }
        } else {
            message.extend(2, "spec", with: added)
        }
    }
}
