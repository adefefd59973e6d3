/// One object of the cluster that a proxy reads.
public enum ClusterObject: Sendable, Equatable {
    case service(Service)
    case endpointSlice(EndpointSlice)
    case node(Node)
    case serviceCIDR(ServiceCIDR)
}

/// Why an object, or a part of one, is not served.
public struct ObjectProblem: Sendable, Hashable {
    /// Where it was read: `path/to/file.yaml`, or an API server's URL; nil when not from a source.
    public var source: String?
    /// Line in the source, counted from 1; nil when unknown.
    public var line: Int?
    /// Document of a multi-document file, counted from 1; nil when the source has one only.
    public var document: Int?
    /// `Service default/web`; nil when it could not be told.
    public var object: String?
    /// The field's path as in `kubectl explain`, such as `spec.ports[1].port`.
    public var field: String?
    /// What is wrong and what follows, in one line.
    public var message: String

    public init(
        source: String? = nil, line: Int? = nil, document: Int? = nil, object: String? = nil,
        field: String? = nil, message: String
    ) {
        self.source = source
        self.line = line
        self.document = document
        self.object = object
        self.field = field
        self.message = message
    }
}

extension ObjectProblem: CustomStringConvertible {
    public var description: String {
        var parts: [String] = []
        if let source {
            parts.append(line.map { "\(source):\($0)" } ?? source)
        } else if let line {
            parts.append("line \(line)")
        }
        if let document { parts.append("document \(document)") }
        if let object { parts.append(object) }
        if let field { parts.append(field) }
        parts.append(message)
        return parts.joined(separator: ": ")
    }
}
