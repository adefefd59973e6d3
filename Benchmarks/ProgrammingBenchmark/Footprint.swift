import Agent
import ArgumentParser
import BenchmarkSupport
import ClusterGenerator
import Foundation
import HostProcess
import Manifests
import NFTablesKernel
import TestNetwork

/// Programs a manifest in a process of its own, as `sluice run` does, and tells what that took.
///
/// A process of its own, since the highest memory use of a process is that of all it ever did.
struct Footprint: ParsableCommand {
    static let configuration = CommandConfiguration(shouldDisplay: false)

    @Argument var manifest: String

    /// What one start from a manifest took.
    struct Figures: Codable {
        var manifestBytes = 0
        /// Seconds to read and parse the manifest.
        var parse = 0.0
        /// Seconds from there until the rules were in force.
        var program = 0.0
        /// The most memory that was resident at any time, in bytes.
        var peak = 0
        /// The memory that is resident in the end, in bytes.
        var resident = 0
    }

    func run() throws {
        var figures = Figures()
        let connection = try Connection()
        let parseWatch = Stopwatch()
        let source = ManifestSource(paths: [manifest])
        let planner = try Self.plan(source, parseWatch, &figures)
        let programWatch = Stopwatch()
        var running = planner
        let step = running.step()
        let writer = RulesetWriter(
            settings: ProxySettings(nodeName: GeneratedCluster.nodeName(0)), kernel: connection)
        _ = try writer.write(step.plans, environment: running.environment)
        figures.program += programWatch.seconds
        figures.peak = MemoryStatus.bytes("VmHWM:")
        // As the program does behind its start.
        ProcessHeap.giveBack()
        figures.resident = MemoryStatus.bytes("VmRSS:")
        try withExtendedLifetime((source, running, writer)) {
            print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
        }
    }

    /// The parsed objects end with this call, as they do in `sluice run`.
    private static func plan(
        _ source: ManifestSource, _ watch: Stopwatch, _ figures: inout Figures
    ) throws -> Planner {
        let snapshot = try source.load()
        figures.parse = watch.seconds
        let programWatch = Stopwatch()
        var planner = Planner(settings: ProxySettings(nodeName: GeneratedCluster.nodeName(0)))
        planner.apply(snapshot.objects)
        figures.program = programWatch.seconds
        return planner
    }

    /// Runs this program anew in a fresh namespace.
    static func inChild(manifest: String) throws -> Figures {
        let namespace = try Namespace("memory")
        let output = try namespace.command("/proc/self/exe", "footprint", manifest)
        var figures = try JSONDecoder().decode(Figures.self, from: Data(output.utf8))
        let attributes = try FileManager.default.attributesOfItem(atPath: manifest)
        figures.manifestBytes = (attributes[.size] as? NSNumber)?.intValue ?? 0
        return figures
    }
}
