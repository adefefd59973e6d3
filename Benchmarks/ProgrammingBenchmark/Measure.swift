import ArgumentParser
import ClusterGenerator
import Glibc
import TestNetwork

enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
}

/// Runs the cases and reports.
struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure cold start, changes and restart in network namespaces of its own (needs root).",
        discussion: """
            Times are reported and never judged. What is judged is what a change may cost the kernel: an endpoint that \
            is replaced is at most 6 netlink messages and no rule, a Service that is added at most 12, a restart over \
            an unchanged table none. Where one of them is more, or nft refuses what it is shown, the exit status is 1.
            """)

    @OptionGroup var options: ClusterOptions

    @Flag(help: "Measure 1000x10 and 44128x6 as well.")
    var full = false

    @Option(help: ArgumentHelp("Cold starts, each in a fresh namespace.", valueName: "count"))
    var starts = 5

    @Option(help: ArgumentHelp("How often each change and the restart is made.", valueName: "count"))
    var samples = 50

    @Flag(
        help: """
            Also let nft list the rule set, as text and as JSON, and check the text of `sluice run --dry-run`; needs \
            nft, and sluice beside this program.
            """)
    var checkNft = false

    @Option(help: "What to print on standard output.")
    var output: ReportFormat = .table

    @Option(help: ArgumentHelp("Write a bar chart of the medians (SVG).", valueName: "path"))
    var chart: String?

    func validate() throws {
        guard (1...1_000).contains(starts) else { throw ValidationError("--starts is 1 to 1000.") }
        guard (1...1_000).contains(samples) else { throw ValidationError("--samples is 1 to 1000.") }
    }

    func run() throws {
        guard geteuid() == 0 else {
            throw ValidationError("Network namespaces and nf_tables need root: run it with sudo.")
        }
        let sizes = [options.cluster] + (full ? ClusterSize.more : [])
        let progress = Progress()
        var report = Report(machine: .here)
        for size in sizes {
            report.clusters.append(try measure(options.generated(size), progress))
        }
        progress.clear()
        switch output {
        case .table: print(report.table, terminator: "")
        case .json: print(try report.json)
        }
        if let chart {
            try withFile(chart) { try write(Array(report.chart.svg.utf8), to: $0, chart) }
        }
        let violations = report.clusters.flatMap(\.violations)
        for violation in violations {
            try write(Array("ProgrammingBenchmark: \(violation)\n".utf8), to: STDERR_FILENO, "standard error")
        }
        if !violations.isEmpty { throw ExitCode.failure }
    }

    private func measure(_ cluster: GeneratedCluster, _ progress: Progress) throws -> ClusterReport {
        let label = "\(cluster.serviceCount) x \(cluster.endpointsPerService)"
        var report = ClusterReport(
            services: cluster.serviceCount, endpointsPerService: cluster.endpointsPerService)
        let manifest = "/tmp/sluice-benchmark-\(getpid()).json"
        defer { unlink(manifest) }
        try withFile(manifest) { file in
            try cluster.writeManifest { part in try write(part, to: file, manifest) }
        }
        var starts: [ColdStart] = []
        var footprints: [Footprint.Figures] = []
        for index in 0..<self.starts {
            progress.show("\(label): cold start", index, of: self.starts)
            starts.append(try ColdStart.measure(cluster))
            footprints.append(try Footprint.inChild(manifest: manifest))
        }
        report.coldStart = ColdStartReport(starts)
        report.manifest = ManifestReport(footprints)
        let namespace = try Namespace("changes")
        let node = try ProgrammedNode(cluster, in: namespace)
        for change in Change.allCases {
            let samples = try node.samples(of: change, count: self.samples) {
                progress.show("\(label): \(change.rawValue)", $0, of: self.samples)
            }
            report.changes.append(ChangeReport(change, samples))
        }
        if checkNft {
            progress.show("\(label): nft")
            report.nft = try NFTCheck.run(manifest: manifest, in: namespace)
        }
        return report
    }
}

/// One line on standard error that tells what is being done, when somebody is there to see it.
struct Progress {
    private let isVisible = isatty(STDERR_FILENO) == 1

    func show(_ what: String, _ index: Int? = nil, of count: Int = 0) {
        let position = index.map { " \($0 + 1)/\(count)" } ?? ""
        put("\r\u{1b}[K\(what)\(position)")
    }

    func clear() { put("\r\u{1b}[K") }

    private func put(_ text: String) {
        guard isVisible else { return }
        // A terminal that is gone is no reason to stop measuring.
        try? write(Array(text.utf8), to: STDERR_FILENO, "standard error")
    }
}
