public import KubernetesAPI
public import KubernetesWire

/// What changed in one kind of objects; to be taken as a whole.
public struct SourceUpdate: Sendable, Equatable {
    public var kind: ResourceKind
    /// Objects that are new or have changed.
    public var upserted: [ClusterObject]
    public var removed: [ClusterObject.Key]
    /// What is wrong with the objects of this update; what is passed over keeps its last good state.
    public var problems: [ObjectProblem]
    /// By EndpointSlice of this update: its annotation `endpoints.kubernetes.io/last-change-trigger-time`, in
    /// nanoseconds since 1970.
    public var triggerTimes: [ClusterObject.Key: Int64]
    /// True once for each kind: all its objects are known now, those of this update included. A kind that the
    /// server doesn't have, or that this client may not read, is complete without objects where a proxy can do
    /// without it (Node, ServiceCIDR).
    public var isFirstComplete: Bool

    public init(
        kind: ResourceKind, upserted: [ClusterObject] = [], removed: [ClusterObject.Key] = [],
        problems: [ObjectProblem] = [], triggerTimes: [ClusterObject.Key: Int64] = [:],
        isFirstComplete: Bool = false
    ) {
        self.kind = kind
        self.upserted = upserted
        self.removed = removed
        self.problems = problems
        self.triggerTimes = triggerTimes
        self.isFirstComplete = isFirstComplete
    }

    var isEmpty: Bool { upserted.isEmpty && removed.isEmpty && problems.isEmpty && !isFirstComplete }
}
