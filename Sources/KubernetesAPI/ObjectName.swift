/// The namespace and name of a namespaced Kubernetes object (`metadata.namespace`, `metadata.name`).
public struct ObjectName: Hashable, Sendable, Comparable {
    public let namespace: String
    public let name: String

    public init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    public static func < (a: Self, b: Self) -> Bool {
        (a.namespace, a.name) < (b.namespace, b.name)
    }
}

extension ObjectName: CustomStringConvertible {
    public var description: String { "\(namespace)/\(name)" }
}
