import Foundation
public import SeededRandom
public import Testing

/// Many inputs made from one seed, each bounded in time and memory.
///
/// `SLUICE_FUZZ_ROUNDS` multiplies the inputs, for a run of hours. `SLUICE_TEST_SEED` repeats a run.
public struct Fuzzing {
    /// What one input may take of a processor: a thousand times what any takes.
    public static let timeLimit: Duration = .seconds(5)
    /// What one input may take by the clock on the wall, beside all other tests.
    private static let patience: Duration = .seconds(120)
    /// How much the process may grow over one test's inputs, at the peak.
    public static let memoryLimit = 300 << 20
    /// Other tests run beside: what was theirs isn't there a second and third time.
    private static let attempts = 3

    /// How many times as many inputs as usual.
    private static var rounds: Int { Int(clamping: environmentNumber("SLUICE_FUZZ_ROUNDS") ?? 1) }

    /// For suites, which have as much more time. An input that takes too long is found out by itself; this is for one that
    /// never ends.
    public static var suiteLimit: TimeLimitTrait.Duration { .minutes(10 * rounds) }

    private let what: String
    private let seed: UInt64

    /// Tries `inputs` inputs; fails for one that takes too long, and for all that take too much memory.
    ///
    /// - Parameters:
    ///   - what: for the line that is printed.
    ///   - input: makes an input from the generator and tries it; true when it was accepted.
    /// - Returns: how many were tried and accepted.
    @discardableResult
    public static func run(
        _ what: String, inputs: Int, sourceLocation: SourceLocation = #_sourceLocation,
        _ input: (inout SeededGenerator) throws -> Bool
    ) async rethrows -> (tried: Int, accepted: Int) {
        let fuzzing = Fuzzing(
            what: what, seed: environmentNumber("SLUICE_TEST_SEED") ?? .random(in: 0 ... .max))
        let count = inputs * rounds
        // Before, so that it is there when the process isn't any more.
        write("fuzz: \(what): begins, seed \(fuzzing.seed)\n")
        var accepted = 0
        var growth = 0
        for _ in 0..<attempts {
            let before = resetPeak()
            accepted = try await fuzzing.pass(count, sourceLocation, input)
            growth = peak() - before
            if growth <= memoryLimit { break }
        }
        #expect(
            growth <= memoryLimit, "\(what), seed \(fuzzing.seed): \(growth >> 20) MiB more at the peak",
            sourceLocation: sourceLocation)
        write("fuzz: \(what): \(count) inputs, \(accepted) accepted, seed \(fuzzing.seed)\n")
        return (count, accepted)
    }

    private func pass(
        _ count: Int, _ sourceLocation: SourceLocation, _ input: (inout SeededGenerator) throws -> Bool
    ) async rethrows -> Int {
        var accepted = 0
        var turn = ContinuousClock.now
        for number in 0..<count {
            // Others wait for this thread, some of them against the clock.
            if turn.duration(to: .now) > .milliseconds(20) {
                await Task.yield()
                turn = .now
            }
            var random = SeededGenerator(seed: seed &+ UInt64(number) &* 0x2545_f491_4f6c_dd1d)
            let (start, began) = (Self.processorTime, ContinuousClock.now)
            if try input(&random) { accepted += 1 }
            let taken = Self.processorTime - start
            #expect(
                taken < Self.timeLimit && began.duration(to: .now) < Self.patience,
                "\(what), seed \(seed), input \(number): took \(taken)",
                sourceLocation: sourceLocation)
        }
        return accepted
    }

    /// What this thread has taken of a processor. A clock on the wall would measure the other tests as well.
    private static var processorTime: Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    private static func environmentNumber(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    private static func write(_ line: String) {
        FileHandle.standardOutput.write(Data(line.utf8))
    }

    // MARK: Memory

    /// Has the kernel count the peak anew (proc(5), `clear_refs`).
    ///
    /// - Returns: bytes that are resident now.
    private static func resetPeak() -> Int {
        try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
        return status("VmRSS:")
    }

    private static func peak() -> Int { status("VmHWM:") }

    private static func status(_ field: String) -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(field) }
        return line.flatMap { $0.split(whereSeparator: \.isWhitespace).dropFirst().first }
            .flatMap { Int($0) }.map { $0 << 10 } ?? 0
    }
}
