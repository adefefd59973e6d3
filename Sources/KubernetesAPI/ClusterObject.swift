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
    /// What it is about; nil when that could not be told.
    public var subject: Subject?
    /// The field's path as in `kubectl explain`, such as `spec.ports[1].port`.
    public var field: String?
    /// What is wrong and what follows, in one line.
    public var message: String

    public init(
        source: String? = nil, line: Int? = nil, document: Int? = nil, subject: Subject? = nil,
        field: String? = nil, message: String
    ) {
        self.source = source
        self.line = line
        self.document = document
        self.subject = subject
        self.field = field
        self.message = message
    }
}

extension ObjectProblem {
    /// What a problem is about.
    public enum Subject: Sendable, Hashable {
        /// An object that is known by its key.
        case object(ClusterObject.Key)
        /// One without a key, in words: `Endpoints default/web`, or a name that breaks the rules, quoted.
        case named(String)
        /// One whose name can't be told: `Service`.
        case kind(String)
    }
}

extension ObjectProblem.Subject: CustomStringConvertible {
    /// As in messages: `Service default/web`.
    public var description: String {
        switch self {
        case .object(let key): key.description
        case .named(let words), .kind(let words): words
        }
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
        if let subject { parts.append(subject.description) }
        if let field { parts.append(field) }
        parts.append(message)
        return parts.joined(separator: ": ")
    }
}
