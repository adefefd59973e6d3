public import KubernetesAPI
public import KubernetesWire
public import Logging

/// The cluster's objects as an API server gives them, followed as they change.
///
/// Of the objects only names and versions are kept here.
public struct ClusterSource: Sendable {
    /// What is told to metrics.
    public enum Observation: Sendable, Equatable {
        /// A list is complete, by pages or as a stream.
        case listed(ResourceKind, objects: Int, took: Duration)
        /// A watch began. Every one after a kind's first is a restart.
        case watching(ResourceKind)
        /// A list or watch failed and is tried again.
        case failed(ResourceKind, reason: String)
    }

    /// - Parameters:
    ///   - client: shared with others; its rate limit holds for all.
    ///   - nodeName: the only Node that is followed.
    ///   - observe: called from several tasks at once; must not block.
    public init(
        client: APIClient, nodeName: String, logger: Logger, settings: ReflectorSettings = ReflectorSettings(),
        observe: @escaping @Sendable (Observation) -> Void = { _ in }
    ) { fatalError() }

    /// Follows Services, EndpointSlices, the Node and ServiceCIDRs until the task is cancelled.
    ///
    /// - Parameter sink: called from several tasks at once, for each kind in the order of its changes. Must not
    ///   block: while it runs, nothing more is read from the server.
    public func run(_ sink: @escaping @Sendable (SourceUpdate) -> Void) async { fatalError() }
}

/// Times and sizes of lists and watches; the defaults are client-go's.
public struct ReflectorSettings: Sendable, Equatable {
    /// Objects on a page of a list (`limit`).
    public var pageSize = 500
    /// `timeoutSeconds` of a watch is chosen at random between these.
    public var watchSeconds: ClosedRange<Int> = 300...600
    /// How long after its `timeoutSeconds` a watch is ended from this side.
    public var watchSlack = Duration.seconds(30)
    /// How long a server that sends bookmarks (each minute, as the API server does) may send nothing.
    public var bookmarkPatience = Duration.seconds(180)
    /// How long a list may bring nothing.
    public var listPatience = Duration.seconds(60)
    /// Pause after the first failure, doubled with each further one up to `longestPause`; each plus up to as much
    /// again at random.
    public var shortestPause = Duration.milliseconds(800)
    public var longestPause = Duration.seconds(30)
    /// After this long without a failure the pauses begin anew.
    public var pauseReset = Duration.seconds(120)
    /// How long the server's `Retry-After` is kept at most.
    public var longestRetryAfter = Duration.seconds(300)
    /// When a kind that the server doesn't have is asked for again.
    public var absentKindPause = Duration.seconds(600)
    /// Whether objects are first asked for as a stream (`sendInitialEvents`).
    public var streamsLists = true

    public init() {}
}

/// Requests to one API server: its address, credentials, connections and rate limit.
public final class APIClient: Sendable {
    /// Reads nothing yet: what is wrong with files comes out with each request, so that it can be put right while
    /// this runs.
    ///
    /// - Parameter userAgent: as in `sluice/1.2.3 (linux/amd64)`.
    public init(_ connection: ClientConnection, userAgent: String, logger: Logger, timeouts: Timeouts = Timeouts()) { fatalError() }
    /// Ends all connections; requests fail from then on.
    public func shutDown() async

    public struct Timeouts: Sendable, Equatable {
        public var connect = Duration.seconds(10)
        /// From a request to the head of its response.
        public var head = Duration.seconds(30)
        /// How old what was read of credential files may be before they are read again.
        public var credentialAge = Duration.seconds(10)
        public var execPlugin = Duration.seconds(60)
        public init() {}
    }
}

/// Posts Events (`events.k8s.io/v1`), one object's same trouble once in five minutes.
public final class EventRecorder: Sendable {
    public init(client: APIClient, nodeName: String, logger: Logger)
    /// Never blocks; what the queue can't hold is dropped and counted.
    public func record(_ event: RecordedEvent)
    /// Posts until the task is cancelled.
    public func run() async
}

/// An Event to be.
public struct RecordedEvent: Sendable, Hashable {
    public enum EventType: String, Sendable { case normal = "Normal", warning = "Warning" }
    public var regarding: ClusterObject.Key
    public var type: EventType
    /// CamelCase, such as `FailedToStartServiceHealthcheck`.
    public var reason: String
    /// What was done or tried, CamelCase, such as `Listen`.
    public var action: String
    /// For people.
    public var note: String
}
