/// A reflector's failures since all was well: how long to pause after one more, and which are worth a word.
struct FailureRecord: Sendable {
    private struct Told: Hashable {
        var verb: String
        var reason: RequestFailure.Reason
    }

    private var backoff: Backoff
    private let longestRetryAfter: Duration
    private var count = 0
    private var told: Set<Told> = []
    /// Watches in a row that ended as they began, and how many of them go without a word.
    private var endedAtOnce = 0
    private static let quietEnds = 2

    init(_ settings: ReflectorSettings) {
        backoff = Backoff(shortest: settings.shortestPause, longest: settings.longestPause)
        longestRetryAfter = settings.longestRetryAfter
    }

    /// One more.
    ///
    /// - Returns: the pause, and whether the failure wasn't told yet.
    mutating func add(
        _ failure: RequestFailure, verb: String, using random: inout some RandomNumberGenerator
    ) -> (pause: Duration, isNews: Bool) {
        count += 1
        // A server that is shut down ends its watches, new ones too: not worth a word unless it goes on.
        endedAtOnce = failure.reason == .endedAtOnce ? endedAtOnce + 1 : 0
        let isNews =
            (endedAtOnce == 0 || endedAtOnce > Self.quietEnds)
            && told.insert(Told(verb: verb, reason: failure.reason)).inserted
        let pause = backoff.next(using: &random)
        guard let retryAfter = failure.retryAfter else { return (pause, isNews) }
        return (max(pause, min(retryAfter, longestRetryAfter)), isNews)
    }

    /// The next failure's pause is a first one's again.
    mutating func resetPause() { backoff.reset() }

    /// All is well.
    ///
    /// - Returns: how many failures there were.
    mutating func recover() -> Int {
        defer {
            count = 0
            told = []
        }
        backoff.reset()
        return count
    }
}
