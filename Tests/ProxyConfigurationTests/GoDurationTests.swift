import ProxyConfiguration
import SeededRandom
import Testing

@Suite struct GoDurationTests {
    private static let readings: [(String, Int64)] = [
        ("0", 0), ("0s", 0), ("-0", 0), ("+5s", 5_000_000_000), ("30s", 30_000_000_000), ("1ns", 1),
        ("1us", 1_000), ("1\u{b5}s", 1_000), ("1\u{3bc}s", 1_000), ("1.5ms", 1_500_000),
        ("1h0m0s", 3_600_000_000_000), ("2h22m", 8_520_000_000_000), ("1m30.5s", 90_500_000_000),
        ("-1.5h", -5_400_000_000_000), (".5s", 500_000_000), ("5.s", 5_000_000_000),
        ("1s1s", 2_000_000_000),
        ("0.000000001s", 1), ("0.0000000019s", 1), ("0.33333333333333333333h", 1_200_000_000_000 - 1),
        ("9223372036854775807ns", Int64.max), ("-9223372036854775808ns", Int64.min),
    ]

    @Test(
        "durations are read as Go reads them",
        arguments: Self.readings)
    func read(text: String, nanoseconds: Int64) {
        #expect(GoDuration(text)?.nanoseconds == nanoseconds)
    }

    @Test(
        "what Go refuses is refused",
        arguments: [
            "", "5", "-", "+", "s", ".", ".s", "1", "1.5", "5 s", " 5s", "5s ", "5S", "1d", "1sec", "--5s",
            "1h-5m",
            "1,5s", "9223372036854775808ns", "-9223372036854775809ns", "2562048h", "99999999999999999999h",
            "1e3s",
            "\u{ff11}s", "5s\0",
        ])
    func refused(text: String) {
        #expect(GoDuration(text) == nil)
    }

    private static let writings: [(Int64, String)] = [
        (0, "0s"), (1, "1ns"), (1_100, "1.1\u{b5}s"), (2_200_000, "2.2ms"), (3_300_000_000, "3.3s"),
        (245_000_000_000, "4m5s"), (245_001_000_000, "4m5.001s"), (18_367_001_000_000, "5h6m7.001s"),
        (480_000_000_001, "8m0.000000001s"), (3_600_000_000_000, "1h0m0s"),
        (86_400_000_000_000, "24h0m0s"),
        (-1, "-1ns"), (Int64.max, "2562047h47m16.854775807s"), (Int64.min, "-2562047h47m16.854775808s"),
    ]

    @Test(
        "durations are written as Go writes them",
        arguments: Self.writings)
    func written(nanoseconds: Int64, text: String) {
        #expect(GoDuration(nanoseconds: nanoseconds).description == text)
    }

    @Test("what is written is read back the same", arguments: [UInt64.random(in: 0...UInt64.max)])
    func roundTrip(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5_000 {
            let shift = Int64.random(in: 0...63, using: &random)
            let duration = GoDuration(nanoseconds: Int64.random(in: .min ... .max, using: &random) >> shift)
            #expect(GoDuration(duration.description) == duration, "seed \(seed)")
            #expect(GoDuration(duration.duration) == duration, "seed \(seed)")
        }
    }

    @Test("a duration beyond Go's reach becomes the longest")
    func clamped() {
        #expect(GoDuration(Duration.seconds(Int64.max)).nanoseconds == .max)
        #expect(GoDuration(Duration.seconds(Int64.min)).nanoseconds == .min)
    }
}
