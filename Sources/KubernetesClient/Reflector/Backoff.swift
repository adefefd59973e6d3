/// How long to pause after one failure more, as client-go's reflector does.
struct Backoff: Sendable {
    let shortest: Duration
    let longest: Duration
    private(set) var failures = 0

    init(shortest: Duration, longest: Duration) {
        self.shortest = shortest
        self.longest = longest
    }

    /// `shortest`, doubled with each failure up to `longest`, plus up to as much again at random, so that a
    /// cluster's nodes don't all come back at once.
    mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        // 2^32 times anything sensible is beyond `longest`.
        let pause = min(longest, shortest * (1 << min(failures, 32)))
        failures += 1
        return pause + pause * Double.random(in: 0..<1, using: &random)
    }

    mutating func reset() { failures = 0 }
}
