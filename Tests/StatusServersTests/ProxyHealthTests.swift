import IPAddressing
import Testing

@testable import StatusServers

/// A moment so many seconds after a beginning.
func moment(_ seconds: Double) -> Moment {
    Moment(
        uptime: .milliseconds(Int(seconds * 1000)), wall: 1_700_000_000_000_000_000 + Int64(seconds * 1e9))
}

@Suite("Statement 24: when the proxy is healthy")
struct ProxyHealthTests {
    private var health = ProxyHealth(patience: .seconds(60))

    @Test("a proxy that was told nothing is healthy, and nothing is in force")
    func idle() {
        let report = health.report(at: moment(1_000_000))
        #expect(report.isHealthy)
        #expect(!report.isInForce)
        #expect(report.families.isEmpty)
        #expect(report.lastUpdated == nil)
    }

    @Test("an update that takes less than the patience is in time, one that takes as long is late")
    mutating func late() {
        health.updated(at: moment(0))
        health.queued(at: moment(10))
        #expect(health.report(at: moment(69.999)).isHealthy)
        #expect(!health.report(at: moment(70)).isHealthy)
        health.taken()
        #expect(!health.report(at: moment(70)).isHealthy)
        health.updated(at: moment(71))
        let report = health.report(at: moment(500))
        #expect(report.isHealthy)
        #expect(report.lastUpdated == moment(71).wall)
    }

    @Test("the oldest of several updates counts")
    mutating func oldest() {
        health.queued(at: moment(0))
        health.queued(at: moment(50))
        #expect(!health.report(at: moment(60)).isHealthy)
    }

    @Test("an update that comes while another is in hand is not done with it")
    mutating func between() {
        health.queued(at: moment(0))
        health.taken()
        health.queued(at: moment(5))
        health.updated(at: moment(6))
        #expect(health.report(at: moment(64.9)).isHealthy)
        #expect(!health.report(at: moment(65)).isHealthy)
        health.taken()
        health.updated(at: moment(66))
        #expect(health.report(at: moment(1_000)).isHealthy)
    }

    @Test("one that fails, and what comes after it, wait from the first on")
    mutating func failing() {
        health.queued(at: moment(0))
        health.taken()
        health.queued(at: moment(55))
        health.taken()
        #expect(!health.report(at: moment(60)).isHealthy)
    }

    @Test("a first update that never gets in force is late as well")
    mutating func firstUpdate() {
        health.began(at: moment(0))
        #expect(health.report(at: moment(59)).families.isEmpty)
        let report = health.report(at: moment(60))
        #expect(!report.isHealthy)
        #expect(!report.isInForce)
        #expect(report.families[.ipv4] == .init(lastUpdated: nil, isHealthy: false))
    }

    @Test("families are judged apart")
    mutating func families() {
        health.updated(at: moment(0))
        health.queued([.ipv6], at: moment(1))
        let report = health.report(at: moment(100))
        #expect(!report.isHealthy)
        #expect(report.families[.ipv4]?.isHealthy == true)
        #expect(report.families[.ipv6]?.isHealthy == false)
        #expect(report.isInForce)
    }

    @Test("a node that is about to go isn't eligible, and its proxy is healthy")
    mutating func eligible() {
        #expect(health.report(at: moment(0)).isNodeEligible)
        health.isNodeEligible = false
        #expect(!health.report(at: moment(0)).isNodeEligible)
        #expect(health.report(at: moment(0)).isHealthy)
    }
}

@Suite("Times in JSON")
struct JSONTimeTests {
    @Test(
        "RFC 3339 with the decimals that there are",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
            (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z"),
            (1_709_164_799_999_999_999, "2024-02-28T23:59:59.999999999Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (4_102_444_800_000_000_001, "2100-01-01T00:00:00.000000001Z"),
        ] as [(Int64, String)])
    func text(nanoseconds: Int64, text: String) {
        #expect(JSONTime.text(nanoseconds) == text)
    }

    @Test("the clocks are those of this machine")
    func now() {
        let (first, second) = (Moment.now, Moment.now)
        #expect(first.uptime <= second.uptime)
        #expect(first.wall > 1_700_000_000_000_000_000)
    }
}
