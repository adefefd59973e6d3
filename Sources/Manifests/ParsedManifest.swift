public import KubernetesAPI

/// What one manifest file says.
public struct ParsedManifest: Sendable {
    /// One object of the file, with its place in it.
    struct Entry: Sendable, Equatable {
        /// What tells it from other entries, over all files.
        var subject: ObjectProblem.Subject
        /// True for the old `Endpoints` kind, which gives way to EndpointSlices of its Service.
        var isEndpoints: Bool
        var line: Int?
        var document: Int?
        /// One object; for `Endpoints` one EndpointSlice per subset and family.
        var objects: [ClusterObject]
    }

    var source: String
    var entries: [Entry] = []
    /// The objects that are in the file but refused as a whole.
    var refused: Set<ObjectProblem.Subject> = []
    /// False when the file could not be read to its end, so that nothing can be said about what is
    /// not in `entries`.
    var isComplete = true

    /// What is wrong in the file, in the file's order.
    public internal(set) var problems: [ObjectProblem] = []
    /// How many objects were passed over that no service proxy reads, by kind (`Deployment`) or by
    /// reason (`EndpointSlice of a headless Service`).
    public internal(set) var skipped: [String: Int] = [:]

    init(source: String) { self.source = source }

    /// The objects that are in order, in the file's order; `Endpoints` as EndpointSlices.
    public var objects: [ClusterObject] { entries.flatMap(\.objects) }
}
