import ArgumentParser
import BenchmarkSupport
import ClusterGenerator
import Foundation
import Glibc
import IPAddressing

/// Runs the contests and reports.
struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure new and established connections through rules for a cluster (needs root).",
        discussion: """
            Every opponent gets a node of its own, in network namespaces that are removed afterwards: no rules at all, \
            one DNAT rule for the one service that is measured (twice, which tells how much the machine can tell), \
            Sluice, and the shapes of kube-proxy's nftables and iptables modes. They take turns, a little at a time, in \
            an order that is turned round after each round. Rates are reported and never judged; the exit status is 1 \
            when traffic failed.
            """)

    @Flag(
        help:
            "All sizes (10, 1000, 10000 and 44128 Services; affinity over 10, 100 and 1000 endpoints), more rounds."
    )
    var full = false

    @Option(help: ArgumentHelp("Services, 2 to 60000; may be given several times.", valueName: "count"))
    var services: [Int] = []

    @Option(help: ArgumentHelp("Endpoints of each Service, 1 to 100.", valueName: "count"))
    var endpoints = 3

    @Option(
        parsing: .upToNextOption,
        help: "What to measure: \(Chapter.allCases.map(\.rawValue).joined(separator: ", ")); default: all.")
    var measure: [Chapter] = []

    @Option(
        parsing: .upToNextOption,
        help: "Rules to compare: \(Rules.allCases.map(\.rawValue).joined(separator: ", ")); default: all.")
    var rules: [Rules] = []

    @Option(
        help: ArgumentHelp(
            "Compare the rules of a script for nft too; may be given several times.", valueName: "name=path"))
    var script: [NamedScript] = []

    @Option(
        help: ArgumentHelp("Compare this kube-proxy, in iptables and in nftables mode.", valueName: "path"))
    var kubeProxy: String?

    @Option(
        help: ArgumentHelp(
            "Accepted, and not run: kube-proxy is served by an API server that the benchmark has.",
            valueName: "path"))
    var kubeApiserver: String?

    @Option(help: ArgumentHelp("Rounds; default 60, with --full 250.", valueName: "count"))
    var rounds: Int?

    @Option(help: ArgumentHelp("Length of each measurement.", valueName: "ms"))
    var slice = 10

    @Option(
        help: ArgumentHelp(
            "Seconds that loading one kind of rules may take; default 15, with --full 300.", valueName: "s"))
    var loadLimit: Int?

    @OptionGroup var result: ResultOptions

    func validate() throws {
        guard services.allSatisfy({ (2...60_000).contains($0) }) else {
            throw ValidationError("--services is 2 to 60000.")
        }
        guard (1...100).contains(endpoints) else { throw ValidationError("--endpoints is 1 to 100.") }
        guard rounds.map({ (1...1_000).contains($0) }) ?? true else {
            throw ValidationError("--rounds is 1 to 1000.")
        }
        guard (2...10_000).contains(slice) else { throw ValidationError("--slice is 2 to 10000.") }
        guard loadLimit.map({ (1...3_600).contains($0) }) ?? true else {
            throw ValidationError("--load-limit is 1 to 3600.")
        }
        if let kubeProxy, access(kubeProxy, X_OK) != 0 {
            throw ValidationError("--kube-proxy \(kubeProxy): \(String(cString: strerror(errno)))")
        }
    }

    private var sizes: [Int] {
        services.isEmpty ? (full ? [10, 1_000, 10_000, 44_128] : [10, 10_000]) : services
    }
    private var affinitySizes: [Int] { full ? [10, 100, 1_000] : [1_000] }
    private var pace: Pace {
        Pace(rounds: rounds ?? (full ? 250 : 60), seconds: Double(slice) / 1_000)
    }
    private func measures(_ chapter: Chapter) -> Bool { measure.isEmpty || measure.contains(chapter) }

    private var compared: [Opponent] {
        (rules.isEmpty ? Rules.allCases : rules).map(\.opponent)
            + script.map { .script(name: $0.name, path: $0.path) }
    }

    private var opponents: [Opponent] {
        [.direct, .oneRule, .oneRuleAgain] + compared
            + (kubeProxy == nil ? [] : [.kubeProxy(mode: "iptables"), .kubeProxy(mode: "nftables")])
    }

    func run() throws {
        try requireRoot()
        if kubeApiserver != nil {
            tell("--kube-apiserver isn't run: kube-proxy is served by the benchmark's own API server")
        }
        // Other programs shall disturb as little as they can. Where that isn't allowed, they do.
        _ = setpriority(Int32(PRIO_PROCESS.rawValue), 0, -20)
        let progress = ProgressLine()
        var report = Report(machine: .here, pace: pace)
        if measures(.connections) || measures(.established) {
            for size in sizes { report.sizes.append(try measure(services: size, progress)) }
        }
        if measures(.affinity) {
            for size in affinitySizes { report.affinity += try affinity(endpoints: size, progress) }
        }
        progress.clear()
        try result.write(
            report, name: "packets", table: report.table,
            charts: report.charts.map { ($0.file, $0.chart.svg) })
        for failure in report.failures { tell(failure) }
        if !report.failures.isEmpty { throw ExitCode.failure }
    }

    private func tell(_ line: String) {
        FileHandle.standardError.write(Data("PacketBenchmark: \(line)\n".utf8))
    }

    /// Nodes with their rules, those that could be loaded.
    private func arenas(
        _ opponents: [Opponent], _ cluster: MeasuredCluster, _ label: String, _ progress: ProgressLine
    ) throws -> (arenas: [Arena], loading: [LoadingReport]) {
        let limit = loadLimit ?? (full ? 300 : 15)
        let loading = RuleLoading(cluster: cluster, limit: limit, kubeProxy: kubeProxy)
        var arenas: [Arena] = []
        var reports: [LoadingReport] = []
        for opponent in opponents {
            progress.show("\(label): rules, \(opponent.name)")
            let arena = try Arena(opponent)
            do {
                let seconds = try loading.load(into: arena)
                try arena.shortenTracking()
                reports.append(LoadingReport(opponent: opponent.name, seconds: seconds))
                arenas.append(arena)
            } catch {
                reports.append(LoadingReport(opponent: opponent.name, leftOut: "\(error)"))
            }
        }
        return (arenas, reports)
    }

    private func measure(services: Int, _ progress: ProgressLine) throws -> SizeReport {
        let cluster = MeasuredCluster(
            generated: GeneratedCluster(services: services, endpoints: endpoints))
        let label = "\(services) Services"
        let (arenas, loading) = try arenas(opponents, cluster, label, progress)
        var trials: [Trial] = []
        if measures(.connections) {
            for traffic in Traffic.allCases where traffic.isNewConnections {
                trials += Position.allCases.map { Trial(traffic: traffic, position: $0) }
            }
        }
        if measures(.established) {
            for traffic in Traffic.allCases where !traffic.isNewConnections {
                trials.append(Trial(traffic: traffic, position: .middle))
            }
        }
        let contest = Contest(cluster: cluster, arenas: arenas, pace: pace)
        let tallies = try contest.run(trials.map { [$0] }) {
            progress.show("\(label): round", $0, of: trials.count * pace.rounds)
        }
        return SizeReport(
            services: services, endpointsPerService: endpoints, loading: loading,
            results: trials.flatMap { trial in
                arenas.map { TrialReport(.init(trial: trial, opponent: $0.opponent), tallies) }
            })
    }

    private func affinity(endpoints: Int, _ progress: ProgressLine) throws -> [AffinityReport] {
        // Of two Services the second has affinity.
        let cluster = MeasuredCluster(
            generated: GeneratedCluster(services: 2, endpoints: endpoints, affinityEvery: 2))
        let label = "affinity, \(endpoints) endpoints"
        let opponents = (rules.isEmpty ? Rules.allCases : rules).map(\.opponent)
        let (arenas, _) = try arenas(opponents, cluster, label, progress)
        let known = try arenas.map {
            try KnownClients(port: cluster.port(.tcp, at: .end)).fill($0)
        }
        let contest = Contest(cluster: cluster, arenas: arenas, pace: pace)
        let trials = [Position.start, .end].map { Trial(traffic: .tcpConnections, position: $0) }
        let tallies = try contest.run([trials]) {
            progress.show("\(label): round", $0, of: pace.rounds)
        }
        return zip(arenas, known).map { arena, known in
            AffinityReport(arena.opponent, endpoints: endpoints, known: known, tallies)
        }
    }
}
