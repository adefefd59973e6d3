/// How often something may be done: `burst` times at once, then `rate` times a second.
struct TokenBucket: Sendable {
    private let rate: Double
    private let burst: Double
    /// Below zero by those that wait.
    private var tokens: Double
    /// When `tokens` was right.
    private var moment: Duration

    /// - Parameters:
    ///   - rate: above 0.
    ///   - burst: at least 1.
    init(rate: Double, burst: Int, now: Duration) {
        self.rate = rate
        self.burst = Double(max(1, burst))
        tokens = self.burst
        moment = now
    }

    /// However small the rate: a turn comes.
    static let longestWait = Duration.seconds(3_600)

    /// Takes a turn.
    ///
    /// - Returns: how long to wait for it.
    mutating func take(now: Duration) -> Duration {
        // Time that runs backwards gives nothing and takes nothing.
        if now > moment {
            tokens = min(burst, tokens + (now - moment).seconds * rate)
            moment = now
        }
        tokens -= 1
        guard tokens < 0 else { return .zero }
        let seconds = -tokens / rate
        return seconds < Self.longestWait.seconds ? .seconds(seconds) : Self.longestWait
    }
}
