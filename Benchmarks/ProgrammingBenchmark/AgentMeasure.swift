import ArgumentParser
import BenchmarkSupport
import ClusterGenerator
import Foundation

/// Measures the program itself, against a cluster's API server.
struct AgentMeasure: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Measure `sluice run` against a cluster's API server on the same machine (needs root).",
        discussion: """
            Starts both, each time in a network namespace of its own: how long until the first rules are in force, the \
            memory that is resident in the end, the CPU time while nothing changes, and from the last byte of a watch \
            event (an endpoint replaced) to its transaction in force. Needs sluice and ClusterAPIServer beside this \
            program. The machine's own speed is told by a cold start without API server, in the same run.
            """)

    @Option(help: ArgumentHelp("Services x endpoints of each.", valueName: "size"))
    var cluster: ClusterSize = .standard

    @Option(help: ArgumentHelp("Starts, each in a fresh namespace.", valueName: "count"))
    var starts = 5

    @Option(help: ArgumentHelp("Endpoints replaced, after the last start.", valueName: "count"))
    var replacements = 500

    @Option(help: ArgumentHelp("Time from one to the next, in milliseconds.", valueName: "ms"))
    var interval = 50

    @Option(help: ArgumentHelp("How long it is watched without a change, in seconds.", valueName: "seconds"))
    var idle = 20

    @OptionGroup var result: ResultOptions

    func validate() throws {
        guard (1...100).contains(starts) else { throw ValidationError("--starts is 1 to 100.") }
        guard (1...10_000).contains(replacements) else {
            throw ValidationError("--replacements is 1 to 10000.")
        }
        guard (5...1_000).contains(interval) else { throw ValidationError("--interval is 5 to 1000.") }
        guard (1...600).contains(idle) else { throw ValidationError("--idle is 1 to 600.") }
    }

    func run() throws {
        try requireRoot()
        let programs = try directoryOfThisProgram()
        for name in ["sluice", "ClusterAPIServer"] {
            let path = programs.appending(path: name).path
            guard FileManager.default.isExecutableFile(atPath: path) else {
                throw ValidationError("\(path) is missing: swift build -c release --product \(name)")
            }
        }
        let progress = ProgressLine()
        var runs: [AgentRun.Figures] = []
        var floors: [ColdStart] = []
        for index in 0..<starts {
            let isLast = index == starts - 1
            progress.show("cold start without API server", index, of: starts)
            floors.append(
                try ColdStart.measure(
                    GeneratedCluster(services: cluster.services, endpoints: cluster.endpoints)))
            runs.append(
                try AgentRun.measure(
                    cluster, idle: isLast ? Double(idle) : 0, replacements: isLast ? replacements : 0,
                    interval: interval, programs: programs
                ) { progress.show("run \(index + 1)/\(starts): \($0)") })
        }
        progress.clear()
        let report = AgentReport(machine: .here, cluster, runs, floors: floors, idle: idle)
        try result.write(
            report, name: "agent", table: report.table, charts: [("agent.svg", report.chart.svg)])
    }
}

/// Where this program is, and those that it starts.
func directoryOfThisProgram() throws -> URL {
    let path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return URL(filePath: path).deletingLastPathComponent()
}
