import ArgumentParser
import BenchmarkSupport
import Foundation
import HostProcess

/// What single steps of the agent take from the heap: figures that don't depend on how busy the machine is.
@main
struct MicroBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "MicroBenchmark",
        abstract: "Count what compiling, comparing, encoding and decoding allocate.",
        discussion: """
            Each case is counted in its second run, when all that is made once is there. Times are told beside, and not \
            judged. With --check the exit status is 1 where a case allocates more than it may.
            """)

    @Flag(help: "Fail where a case allocates more than its limit.")
    var check = false

    @OptionGroup var result: ResultOptions

    func run() throws {
        try hashTheSameInEachRun()
        let progress = ProgressLine()
        var report = MicroReport(machine: .here)
        let cases = try MicroCase.all()
        for (index, one) in cases.enumerated() {
            progress.show(one.name, index, of: cases.count)
            report.results.append(try one.measure())
        }
        progress.clear()
        try result.write(report, name: "micro", table: report.table)
        guard check else { return }
        for violation in report.violations {
            FileHandle.standardError.write(Data("MicroBenchmark: \(violation)\n".utf8))
        }
        if !report.violations.isEmpty { throw ExitCode.failure }
    }

    /// How often a dictionary grows or collides depends on the hashes' seed, which is another one in each process.
    private func hashTheSameInEachRun() throws {
        let name = "SWIFT_DETERMINISTIC_HASHING"
        guard ProcessInfo.processInfo.environment[name] == nil else { return }
        setenv(name, "1", 1)
        try Restart.now()
    }
}

struct MicroResult: Codable {
    let name: String
    /// What the figures are for one of.
    let unit: String
    let units: Int
    let allocations: Double
    /// Bytes.
    let allocated: Double
    /// Allocations of one unit that are allowed; nil for none known in this build.
    let limit: Double?
    /// Seconds for one unit, median.
    let seconds: Double
}

struct MicroReport: Codable, MachineReadable {
    let machine: Machine
    var results: [MicroResult] = []

    init(machine: Machine) { self.machine = machine }

    var violations: [String] {
        results.compactMap { result in
            guard let limit = result.limit, result.allocations > limit else { return nil }
            return "\(result.name): \(TextTable.figures(result.allocations)) allocations a \(result.unit), "
                + "\(TextTable.figures(limit)) are allowed"
        }
    }

    var table: String {
        var rows = [["", "allocations", "limit", "bytes", "time", "for one"]]
        for result in results {
            rows.append([
                result.name, TextTable.figures(result.allocations),
                result.limit.map(TextTable.figures) ?? "", TextTable.figures(result.allocated),
                "\(TextTable.figures(result.seconds * 1e6)) µs", result.unit,
            ])
        }
        return machine.description + "\n\n" + TextTable.align(rows)
    }
}
