/// Times and sizes of lists and watches; where client-go has the same, these are its.
public struct ReflectorSettings: Sendable, Equatable {
    /// Objects on a page of a list (`limit`).
    public var pageSize = 500
    /// `timeoutSeconds` of a watch is chosen at random between these.
    public var watchSeconds: ClosedRange<Int> = 300...600
    /// How long after its `timeoutSeconds` a watch is ended from this side.
    public var watchSlack = Duration.seconds(30)
    /// How long a watch that has brought bookmarks, which the API server sends each minute, may bring nothing.
    public var bookmarkPatience = Duration.seconds(180)
    /// How long a list may bring nothing.
    public var listPatience = Duration.seconds(60)
    /// How long a list asked for as a stream may bring nothing at all, from a server that has never sent one: older ones
    /// take it for a watch, and stay silent until something changes.
    public var streamPatience = Duration.seconds(10)
    /// The pause after a first failure; doubled with each further one, up to `longestPause`.
    public var shortestPause = Duration.milliseconds(800)
    public var longestPause = Duration.seconds(30)
    /// A watch that is answered for this long, or brings something, makes the next failure a first one again.
    public var healthyTime = Duration.seconds(30)
    /// The longest `Retry-After` that is kept.
    public var longestRetryAfter = Duration.seconds(300)
    /// When a kind that the server doesn't have is asked for again.
    public var absentKindPause = Duration.seconds(600)
    /// Whether objects are first asked for as a stream (`sendInitialEvents`).
    public var streamsLists = true

    public init() {}
}
