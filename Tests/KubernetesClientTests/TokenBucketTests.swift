import SeededRandom
import Testing

@testable import KubernetesClient

@Suite("Rate and pauses")
struct TokenBucketTests {
    @Test("the burst goes at once, then one in a fifth of a second")
    func burst() {
        var bucket = TokenBucket(rate: 5, burst: 10, now: .zero)
        for _ in 0..<10 { #expect(bucket.take(now: .zero) == .zero) }
        #expect(bucket.take(now: .zero) == .milliseconds(200))
        #expect(bucket.take(now: .zero) == .milliseconds(400))
        #expect(bucket.take(now: .seconds(1)) == .zero)
        // Rest gives the burst back, and no more.
        for _ in 0..<10 { #expect(bucket.take(now: .seconds(100)) == .zero) }
        #expect(bucket.take(now: .seconds(100)) > .zero)
    }

    @Test("however small the rate, a turn comes within an hour")
    func tinyRates() {
        for rate in [1e-300, Double.leastNonzeroMagnitude, 1e-9] {
            var bucket = TokenBucket(rate: rate, burst: 1, now: .zero)
            #expect(bucket.take(now: .zero) == .zero)
            #expect(bucket.take(now: .zero) == TokenBucket.longestWait)
        }
    }

    @Test("however it is asked, no stretch of time lets through more than burst and rate allow")
    func bound() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("token bucket seed \(seed)")
        var random = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let rate = Double(random.number(1...50))
            let burst = random.number(1...20)
            var bucket = TokenBucket(rate: rate, burst: burst, now: .zero)
            var now = Duration.zero
            var turns: [Double] = []
            for _ in 0..<300 {
                now += .milliseconds(random.once(in: 3) ? random.number(0...2000) : 0)
                turns.append((now + bucket.take(now: now)).seconds)
            }
            for (index, begin) in turns.enumerated() {
                for (count, end) in turns[index...].enumerated().dropFirst(burst) {
                    #expect(Double(count - burst + 1) <= (end - begin) * rate + 1.001)
                }
            }
        }
    }

    @Test("pauses double from 0.8 s to 30 s, each with up to as much again, and begin anew after a reset")
    func backoff() {
        var random = SeededGenerator(seed: 7)
        var backoff = Backoff(shortest: .milliseconds(800), longest: .seconds(30))
        for round in 0..<40 {
            let least = min(Duration.seconds(30), .milliseconds(800) * (1 << min(round, 20)))
            let pause = backoff.next(using: &random)
            #expect(pause >= least)
            #expect(pause < least * 2)
        }
        backoff.reset()
        #expect(backoff.next(using: &random) < .milliseconds(1600))
    }
}
