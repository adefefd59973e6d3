import ArgumentParser
import BenchmarkSupport
import ClusterGenerator
import Glibc
import TestNetwork

/// Runs the cases and reports.
struct Measure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure cold start, changes and restart in network namespaces of its own (needs root).",
        discussion: """
            Times are reported and never judged. What is judged is what a change may cost the kernel: an endpoint that \
            is replaced is at most 6 netlink messages and no rule, a Service that is added at most 12, a restart over \
            an unchanged table none. Where one of them is more, or nft refuses what it is shown, the exit status is 1.
            """)

    @Option(
        help: ArgumentHelp(
            """
            Services x endpoints of each: 100 to 60000 x 1 to 1000, up to 1000000 endpoints; may be given several times. \
            Default: \(Self.names(ClusterSize.quick)), with --full \(Self.names(ClusterSize.all)).
            """, valueName: "size"))
    var cluster: [ClusterSize] = []

    @OptionGroup var options: AffinityOptions

    @Flag(help: "Measure all sizes, and more often.")
    var full = false

    @Option(
        help: ArgumentHelp(
            "Cold starts, each in a fresh namespace; default 3, with --full 5.", valueName: "count"))
    var starts: Int?

    @Option(
        help: ArgumentHelp(
            "How often each change and the restart is made; default 30, with --full 50.", valueName: "count"))
    var samples: Int?

    @Option(help: ArgumentHelp("Length of the storm of 1,000 changes a second; 0: none.", valueName: "s"))
    var storm = 10

    @Flag(
        help: """
            Also let nft list the rule set, as text and as JSON, and check the text of `sluice run --dry-run`; needs \
            nft, and sluice beside this program.
            """)
    var checkNft = false

    @OptionGroup var result: ResultOptions

    func validate() throws {
        guard (0...600).contains(storm) else { throw ValidationError("--storm is 0 to 600.") }
        guard (1...1_000).contains(startCount) else { throw ValidationError("--starts is 1 to 1000.") }
        guard (1...1_000).contains(sampleCount) else { throw ValidationError("--samples is 1 to 1000.") }
    }

    private static func names(_ sizes: [ClusterSize]) -> String {
        sizes.map(\.defaultValueDescription).joined(separator: ", ")
    }

    private var startCount: Int { starts ?? (full ? 5 : 3) }
    private var sampleCount: Int { samples ?? (full ? 50 : 30) }
    /// Changes a second.
    private static let stormRate = 1_000

    func run() async throws {
        try requireRoot()
        let sizes = cluster.isEmpty ? (full ? ClusterSize.all : ClusterSize.quick) : cluster
        let progress = ProgressLine()
        var report = Report(machine: .here)
        for size in sizes {
            report.clusters.append(try await measure(options.generated(size), progress))
        }
        progress.clear()
        try result.write(
            report, name: "programming", table: report.table,
            charts: [("programming.svg", report.chart.svg)])
        let violations = report.clusters.flatMap(\.violations)
        for violation in violations {
            try write(Array("ProgrammingBenchmark: \(violation)\n".utf8), to: STDERR_FILENO, "standard error")
        }
        if !violations.isEmpty { throw ExitCode.failure }
    }

    private func measure(_ cluster: GeneratedCluster, _ progress: ProgressLine) async throws -> ClusterReport
    {
        let label = "\(cluster.serviceCount) x \(cluster.endpointsPerService)"
        var report = ClusterReport(
            services: cluster.serviceCount, endpointsPerService: cluster.endpointsPerService)
        let manifest = "/tmp/sluice-benchmark-\(getpid()).json"
        let messages = manifest + ".messages"
        defer {
            unlink(manifest)
            unlink(messages)
        }
        try withFile(manifest) { file in
            try cluster.writeManifest { part in try write(part, to: file, manifest) }
        }
        var starts: [ColdStart] = []
        var footprints: [Footprint.Figures] = []
        var floors: [Floor] = []
        for index in 0..<startCount {
            progress.show("\(label): cold start", index, of: startCount)
            // In turns: the kernel takes the table of the one before down in the background.
            if index % 2 == 1, let floor = try Floor.measure(messages: messages) { floors.append(floor) }
            starts.append(try ColdStart.measure(cluster, messages: index == 0 ? messages : nil))
            if index % 2 == 0, let floor = try Floor.measure(messages: messages) { floors.append(floor) }
            footprints.append(try Footprint.inChild(manifest: manifest))
        }
        report.coldStart = ColdStartReport(starts)
        report.floor = FloorReport(floors, beside: starts)
        report.manifest = ManifestReport(footprints)
        let namespace = try Namespace("changes")
        let node = try ProgrammedNode(cluster, in: namespace)
        for change in Change.allCases {
            let count: Int
            switch change {
            case .rollingStep: count = ProgrammedNode.rolledPods
            // Each reads all tables.
            case .restart: count = min(sampleCount, 10)
            default: count = sampleCount
            }
            let samples = try node.samples(of: change, count: count) {
                progress.show("\(label): \(change.rawValue)", $0, of: count)
            }
            report.changes.append(ChangeReport(change, samples))
        }
        if checkNft {
            progress.show("\(label): nft")
            report.nft = try NFTCheck.run(manifest: manifest, in: namespace)
        }
        if storm > 0 {
            let weather = Storm(cluster: cluster, rate: Self.stormRate, seconds: storm)
            let count = storm * Self.stormRate
            report.storm = StormReport(
                try await weather.run { progress.show("\(label): storm, change", $0, of: count) },
                rate: Self.stormRate)
        }
        return report
    }
}
