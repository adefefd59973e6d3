/// A reflector's failures since all was well: which of them are worth a word, and how long to pause after each.
struct FailureRegister: Sendable {
    private struct Kind: Hashable {
        var verb: String
        var reason: RequestFailure.Reason
    }

    private let longestRetryAfter: Duration
    private var backoff: Backoff
    private var count = 0
    private var told: Set<Kind> = []
    /// Watches in a row that ended as they began, and how many of them go without a word.
    private var endedAtOnce = 0
    private static let quietEnds = 2

    init(_ settings: ReflectorSettings) {
        longestRetryAfter = settings.longestRetryAfter
        backoff = Backoff(shortest: settings.shortestPause, longest: settings.longestPause)
    }

    /// One failure more.
    ///
    /// - Returns: whether it is one to tell.
    mutating func add(_ failure: RequestFailure, verb: String) -> Bool {
        count += 1
        // A server that is shut down ends its watches, new ones too: not worth a word unless it goes on.
        endedAtOnce = failure.reason == .endedAtOnce ? endedAtOnce + 1 : 0
        guard endedAtOnce == 0 || endedAtOnce > Self.quietEnds else { return false }
        return told.insert(Kind(verb: verb, reason: failure.reason)).inserted
    }

    /// How long to wait before asking again; no shorter than the server says.
    mutating func pause(
        after failure: RequestFailure, using random: inout some RandomNumberGenerator
    ) -> Duration {
        let pause = backoff.next(using: &random)
        return failure.retryAfter.map { max(pause, min($0, longestRetryAfter)) } ?? pause
    }

    /// The next pause is a first one again.
    mutating func forgetPauses() { backoff.reset() }

    /// After a healthy time, a failure is a first one again.
    ///
    /// - Returns: how many there were.
    mutating func clear() -> Int {
        defer {
            count = 0
            told = []
        }
        backoff.reset()
        return count
    }
}
