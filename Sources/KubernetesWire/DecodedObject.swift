public import KubernetesAPI

/// One object as an API server sent it, checked.
public struct DecodedObject: Sendable, Equatable {
    public enum Content: Sendable, Equatable {
        case object(ClusterObject)
        /// In order, but not for a service proxy: an EndpointSlice of a headless Service, of address
        /// type FQDN, or of no Service. What was served under its name no longer is.
        case passedOver
        /// Doesn't decode, or is wrong as a whole; `problems` says why.
        case refused
    }

    /// Nil when the object is so broken that its name can't be told; `content` is then `refused`.
    public var key: ClusterObject.Key?
    public var content: Content
    /// `metadata.resourceVersion`; empty when it can't be told.
    public var resourceVersion: String
    /// The annotation `endpoints.kubernetes.io/last-change-trigger-time` of an EndpointSlice: when the
    /// change that it shows began, in nanoseconds since 1970; nil when there is none.
    public var triggerTime: Int64?
    /// What is wrong with the object or with a part of it.
    public var problems: [ObjectProblem]

    public init(
        key: ClusterObject.Key?, content: Content, resourceVersion: String, triggerTime: Int64? = nil,
        problems: [ObjectProblem] = []
    ) {
        self.key = key
        self.content = content
        self.resourceVersion = resourceVersion
        self.triggerTime = triggerTime
        self.problems = problems
    }

    /// The object, when it is one for a service proxy.
    public var object: ClusterObject? {
        if case .object(let object) = content { object } else { nil }
    }
}
