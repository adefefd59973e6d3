import Agent
import ArgumentParser
import Conntrack
import Foundation
import HealthChecks
import HostNetwork
import IPAddressing
import KubernetesAPI
import Logging
import Manifests
import NFTables
import NFTablesKernel
import Ruleset
import StatusServers

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case nft
    case json
}

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Program the kernel from Kubernetes objects, and follow them as they change.",
        discussion: """
            Reads Services, EndpointSlices, Endpoints, Nodes and ServiceCIDRs from manifests (YAML or JSON), makes the
            nftables rules that serve them, and follows the files until SIGTERM or SIGINT. The rules stay when it ends.

            With --dry-run it prints the rule set that it would program, and exits; it needs no rights and touches
            nothing. The default output is a script that `nft -f` loads.

            Examples:
              sluice run --dry-run -f services.yaml
              sluice run -f /etc/sluice/manifests --hostname-override node-1
              kubectl get services,endpointslices -A -o json | sluice run --once -f -
            """)

    @Option(
        name: .customShort("f"),
        help: ArgumentHelp(
            "A manifest file, a directory of them, or - for standard input. May be given more than once.",
            valueName: "path"))
    var paths: [String] = []

    @OptionGroup(title: "Proxy")
    var proxy: ProxyOptions

    @Flag(help: "Program the kernel once and exit.")
    var once = false

    @Flag(help: "Print the rule set and exit; touch nothing.")
    var dryRun = false

    @Option(help: "What a dry run prints.")
    var output: OutputFormat?

    @OptionGroup(title: "Logging")
    var log: LogOptions

    func validate() throws {
        if paths.isEmpty {
            throw ValidationError(
                "Give at least one -f <path>: a manifest file, a directory, or - for standard input.")
        }
        if output != nil, !dryRun { throw ValidationError("--output goes with --dry-run.") }
        if dryRun, once { throw ValidationError("--dry-run and --once exclude each other.") }
    }

    func run() async throws {
        let logger = log.makeLogger()
        let settings = try proxy.settings()
        let source = ManifestSource(paths: paths)
        do {
            if dryRun {
                try printRules(source, settings: settings, logger: logger)
            } else {
                try await program(source, settings: settings, logger: logger)
            }
        } catch let error as ManifestSource.PathError {
            logger.critical("\(error)")
            throw ExitCode.failure
        } catch let error as PreflightError {
            logger.critical("\(error)")
            throw ExitCode.failure
        } catch let error as KernelError {
            logger.critical("not in force, the rules from before stay", metadata: ["error": "\(error)"])
            throw ExitCode.failure
        }
    }

    private func load(_ source: ManifestSource, _ logger: Logger) throws -> ManifestSource.Snapshot {
        let snapshot = try source.load()
        for problem in snapshot.problems { logger.warning("\(problem)") }
        if !snapshot.skipped.isEmpty {
            let counts = snapshot.skipped.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            logger.info(
                "passed over objects that a service proxy doesn't read: \(counts.joined(separator: ", "))")
        }
        return snapshot
    }

    // MARK: Dry run

    private func printRules(_ source: ManifestSource, settings: ProxySettings, logger: Logger) throws {
        var planner = Planner(settings: settings)
        var compiler = RulesetCompiler(nodeName: settings.nodeName, settings: settings.ruleset)
        planner.hostAddresses = try? HostAddresses.read()
        planner.apply(try load(source, logger).objects)
        let step = planner.step()
        let problems = step.newProblems + compiler.update(step.plans).problems
        _ = compiler.update(environment: planner.environment)
        for problem in problems { logger.warning("\(problem)") }
        let tables = AddressFamily.allCases.map { compiler.table($0) }
        var standardOutput = StandardOutput()
        switch output ?? .nft {
        case .nft: NFTText.print(tables, replacing: true, to: &standardOutput)
        case .json: NFTJSON.print(tables, replacing: true, to: &standardOutput)
        }
        standardOutput.flush()
    }

    // MARK: The kernel

    private func program(_ source: ManifestSource, settings: ProxySettings, logger: Logger) async throws {
        let connection = try Preflight.connect()
        let snapshot = try load(source, logger)
        let metrics = AgentMetrics(version: Version.number)
        let health = ProxyHealthRecord()
        let inbox = ChangeInbox(metrics: metrics, health: health)
        let (flows, flowsChanged) = AsyncStream.makeStream(
            of: UDPCleanup.self, bufferingPolicy: .bufferingNewest(1))
        let cleaner = FlowCleaner(
            reconciler: try ConntrackReconciler(), logger: logger, metrics: metrics)
        let (checks, checksChanged) = AsyncStream.makeStream(
            of: [ObjectName: HealthCheckServers.Check].self, bufferingPolicy: .bufferingNewest(1))
        let agent = NodeAgent(
            settings: settings, kernel: connection, inbox: inbox, logger: logger,
            inForce: { flowsChanged.yield($0) }, checksChanged: { checksChanged.yield($0) })
        let hostAddresses = try HostAddresses.read()
        if once {
            try agent.start(snapshot.objects, hostAddresses: hostAddresses)
            flowsChanged.finish()
            await cleaner.run(flows)
            return
        }
        setKernelParameters(logger)
        let changes = try source.changes()
        let addresses = try HostAddressWatcher()
        let watching = Task {
            for await list in addresses { inbox.put(hostAddresses: list) }
        }
        let serving = Task { await serveHealthChecks(checks, health, logger) }
        let follower = Task {
            for await update in changes {
                inbox.put(upserted: update.upserted, removed: update.removed, problems: update.problems)
            }
        }
        let work = Task {
            do throws(KernelError) {
                try agent.start(snapshot.objects, hostAddresses: hostAddresses)
            } catch {
                // As after any other failure: what stood stays, and it is tried again.
                logger.error("not in force, the rules from before stay", metadata: ["error": "\(error)"])
                inbox.wake()
            }
            await agent.run()
        }
        let signals = TerminationSignals { name in
            logger.info("\(name): ending, the rules stay")
            work.cancel()
        }
        let cleaning = Task { await cleaner.run(flows) }
        await work.value
        signals.stop()
        for task in [follower, cleaning, watching, serving] { task.cancel() }
        await serving.value
    }
}

extension Run {
    /// Statement 28: what can't be written is told, and the rest is done.
    private func setKernelParameters(_ logger: Logger) {
        let parameters = ConntrackSettings().parameters(cores: KernelParameterWriter.onlineCores)
        for outcome in KernelParameterWriter().apply(parameters) {
            switch outcome.result {
            case .failed: logger.warning("\(outcome)")
            default: logger.debug("\(outcome)")
            }
        }
    }

    /// Answers load balancers until the task is cancelled. A port that can't be bound is told once, and tried again.
    private func serveHealthChecks(
        _ checks: AsyncStream<[ObjectName: HealthCheckServers.Check]>, _ health: ProxyHealthRecord,
        _ logger: Logger
    ) async {
        let servers = HealthCheckServers(isProxyHealthy: { health.isHealthy })
        var told: Set<ObjectProblem> = []
        for await wanted in checks {
            let problems = Set(await servers.update(wanted))
            for problem in problems.subtracting(told) { logger.warning("\(problem)") }
            told = problems
        }
        await servers.shutDown()
    }
}

/// Buffered standard output.
struct StandardOutput: TextOutputStream {
    private var buffer: [UInt8] = []

    mutating func write(_ string: String) {
        buffer += string.utf8
        if buffer.count >= 1 << 16 { flush() }
    }

    mutating func flush() {
        FileHandle.standardOutput.write(Data(buffer))
        buffer.removeAll(keepingCapacity: true)
    }
}
