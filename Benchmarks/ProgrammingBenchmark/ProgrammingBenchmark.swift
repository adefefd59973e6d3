import ArgumentParser
import ClusterGenerator
import Glibc

@main
struct ProgrammingBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ProgrammingBenchmark",
        abstract: "Measure how fast Sluice programs the kernel.",
        subcommands: [Measure.self, AgentMeasure.self, Manifest.self, Footprint.self],
        defaultSubcommand: Measure.self)
}

/// What kept a measurement from being made.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Services × endpoints, as in `5006x50`.
struct ClusterSize: ExpressibleByArgument, Sendable {
    let services: Int
    let endpoints: Int

    static let standard = ClusterSize(services: 5_006, endpoints: 50)
    static let quick = [ClusterSize(services: 1_000, endpoints: 10), standard]
    static let all = [
        ClusterSize(services: 100, endpoints: 10), ClusterSize(services: 1_000, endpoints: 10), standard,
        ClusterSize(services: 44_128, endpoints: 1), ClusterSize(services: 44_128, endpoints: 6),
    ]

    init(services: Int, endpoints: Int) {
        self.services = services
        self.endpoints = endpoints
    }

    init?(argument: String) {
        let numbers = argument.split(separator: "x", omittingEmptySubsequences: false).compactMap { Int($0) }
        guard numbers.count == 2, (100...60_000).contains(numbers[0]), (1...1_000).contains(numbers[1]),
            numbers[0] * numbers[1] <= 1_000_000
        else { return nil }
        self.init(services: numbers[0], endpoints: numbers[1])
    }

    static let help = ArgumentHelp(
        "Services x endpoints of each: 100 to 60000 x 1 to 1000, up to 1000000 endpoints.", valueName: "size")

    var defaultValueDescription: String { "\(services)x\(endpoints)" }
}

struct AffinityOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Give every n-th Service ClientIP affinity (0: none).", valueName: "n"))
    var affinityEvery = 0

    func validate() throws {
        if affinityEvery < 0 || affinityEvery == 1 {
            throw ValidationError(
                "--affinity-every is 0, or 2 or more: the changes are made to Services without.")
        }
    }

    func generated(_ size: ClusterSize) -> GeneratedCluster {
        GeneratedCluster(
            services: size.services, endpoints: size.endpoints,
            affinityEvery: affinityEvery == 0 ? nil : affinityEvery)
    }
}

/// Writes the manifest of a generated cluster, to try it with other programs.
struct Manifest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the generated cluster as a JSON manifest (a List) for `sluice run -f`.")

    @Option(help: ClusterSize.help)
    var cluster: ClusterSize = .standard

    @OptionGroup var options: AffinityOptions

    func run() throws {
        try options.generated(cluster).writeManifest { part in
            try write(part, to: STDOUT_FILENO, "standard output")
        }
    }
}

/// Writes all of the bytes; `name` tells in errors where to.
func write(_ bytes: [UInt8], to descriptor: Int32, _ name: String) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
            throw ValidationError("\(name): \(String(cString: strerror(errno)))")
        }
        rest = rest.dropFirst(count)
    }
}

/// Makes or replaces a file.
func withFile(_ path: String, _ body: (Int32) throws -> Void) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw ValidationError("\(path): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    try body(descriptor)
}
