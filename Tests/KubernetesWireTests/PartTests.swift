import Foundation
import KubernetesAPI
import ObjectReading
import SeededRandom
import Testing

@Suite("Times and names")
struct PartTests {
    @Test(
        "RFC 3339 times are read to the nanosecond",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-01-02T03:04:05Z", 1_767_323_045_000_000_000),
            ("2026-01-02T03:04:05.678901234Z", 1_767_323_045_678_901_234),
            ("2026-01-02T03:04:05.5Z", 1_767_323_045_500_000_000),
            ("2026-01-02T03:04:05.1234567899Z", 1_767_323_045_123_456_789),
            ("2026-01-02T04:04:05+01:00", 1_767_323_045_000_000_000),
            ("2026-01-01T20:34:05-06:30", 1_767_323_045_000_000_000),
            ("1969-12-31T23:59:59.25Z", -750_000_000),
        ])
    func times(text: String, nanoseconds: Int64) {
        #expect(RawTime(text)?.sinceEpoch == nanoseconds)
    }

    @Test("any day is the one that Foundation counts")
    func days() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            // From the year 1600 to 9999.
            let seconds = Int64(random.number(-11_676_096_000...253_402_300_799))
            let text = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
            #expect(RawTime(text)?.seconds == seconds, "seed \(seed): \(text)")
        }
    }

    @Test(
        "what isn't a time is none",
        arguments: [
            "", "soon", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "2026-02-29T03:04:05Z",
            "2026-01-02T24:04:05Z", "2026-01-02T03:60:05Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05ZZ",
            "2026-01-02T03:04:05+0100", "26-01-02T03:04:05Z", "2026-00-02T03:04:05Z", "2026-01-00T03:04:05Z",
        ])
    func noTimes(text: String) {
        #expect(RawTime(text) == nil)
    }

    @Test("times beyond 64 bits of nanoseconds are none")
    func farTimes() {
        #expect(RawTime("9999-12-31T23:59:59Z")?.sinceEpoch == nil)
        #expect(RawTime(seconds: .min, nanoseconds: 0).sinceEpoch == nil)
    }

    @Test("placements that say the same are one")
    func placements() {
        let interner = Interner()
        let first = interner.intern(Placement(nodeName: "node-1", zoneHints: ["a"]))
        #expect(interner.intern(Placement(nodeName: "node-1", zoneHints: ["a"])) === first)
        #expect(interner.intern(Placement(nodeName: "node-1")) !== first)
        #expect(interner.intern(Placement(nodeName: "node-1", nodeHints: ["a"])) !== first)
    }

    @Test("interned strings are what was given, however many there are")
    func interner() {
        let interner = Interner()
        for number in 0..<70_000 {
            let name = "node-\(number).eu-west-1.compute.internal"
            #expect(interner.intern(name) == name)
        }
        #expect(interner.intern("node-1.eu-west-1.compute.internal") == "node-1.eu-west-1.compute.internal")
        #expect(interner.intern("short") == "short")
        #expect(interner.intern("") == "")
    }
}
