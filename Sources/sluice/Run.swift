import Agent
import ArgumentParser
import Conntrack
import Foundation
import HealthChecks
import HostNetwork
import IPAddressing
import KubeProxyFlags
import KubernetesAPI
import Logging
import Manifests
import NFTables
import NFTablesKernel
import ProxyConfiguration
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
              sluice run -f manifests --config /var/lib/kube-proxy/config.conf

            Flags and their forms are kube-proxy's; --help-hidden shows those for its other modes as well.
            """)

    @Option(
        name: .customShort("f"),
        help: ArgumentHelp(
            "A manifest file, a directory of them, or - for standard input. May be given more than once.",
            valueName: "path"))
    var paths: [String] = []

    @Flag(help: "Program the kernel once and exit.")
    var once = false

    @Flag(help: "Print the rule set and exit; touch nothing.")
    var dryRun = false

    @Option(help: "What a dry run prints.")
    var output: OutputFormat?

    @OptionGroup
    var options: KubeProxyOptions

    func validate() throws {
        if output != nil, !dryRun { throw ValidationError("--output goes with --dry-run.") }
        if dryRun, once { throw ValidationError("--dry-run and --once exclude each other.") }
    }

    func run() async throws {
        let (configuration, file) = try loadConfiguration()
        let logger = Logger.standardError(
            format: configuration.logging.format, verbosity: configuration.logging.verbosity)
        for notice in configuration.notices {
            if notice.isWarning {
                logger.warning("\(notice)")
            } else {
                // Of a file that was written for kube-proxy, its author may expect something else.
                logger.log(level: options.config != nil && !dryRun ? .info : .debug, "\(notice)")
            }
        }
        switch options.action {
        case .writeConfiguration(let path): try write(configuration.effective, to: path, logger)
        case .cleanUp: try CleanupCommand.cleanUp(logger)
        case .initialize: try initialize(configuration, logger)
        case nil: try await serve(configuration, file, logger)
        }
    }

    private func serve(
        _ configuration: AgentConfiguration, _ file: KubeProxyConfiguration.File?, _ logger: Logger
    ) async throws {
        // The cluster's API server would be the source here.
        guard !paths.isEmpty else {
            throw ValidationError(
                "Give at least one -f <path>: a manifest file, a directory, or - for standard input.")
        }
        let source = ManifestSource(paths: paths)
        do {
            if dryRun {
                try printRules(source, settings: configuration.proxy, logger: logger)
            } else {
                try await program(source, configuration, file, logger)
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
        let problems = step.newProblems + compiler.update(step.plans).problems.new
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

    private func program(
        _ source: ManifestSource, _ configuration: AgentConfiguration,
        _ file: KubeProxyConfiguration.File?, _ logger: Logger
    ) async throws {
        let configurationChanges = try followConfiguration(file)
        let connection = try Preflight.connect()
        let snapshot = try load(source, logger)
        let metrics = AgentMetrics(version: Version.number)
        let health = ProxyHealthRecord(patience: configuration.syncPeriod * 2)
        let inbox = ChangeInbox(metrics: metrics, health: health)
        let flows = RetryLoop<UDPCleanup>()
        let cleaner = FlowCleaner(
            reconciler: try ConntrackReconciler(), logger: logger, metrics: metrics)
        let checks = RetryLoop<[ObjectName: HealthCheckServers.Check]>()
        let agent = NodeAgent(
            settings: configuration.proxy, kernel: connection, inbox: inbox, logger: logger,
            inForce: { flows.put($0) }, checksChanged: { checks.put($0) })
        let hostAddresses = try HostAddresses.read()
        if once {
            try agent.start(snapshot.objects, hostAddresses: hostAddresses)
            flows.finish()
            await flows.run { await cleaner.clean($0) }
            return
        }
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
            // Behind the first rules: they bring in connection tracking, and its parameters with it.
            _ = setKernelParameters(configuration.conntrack, logger)
            await agent.run()
        }
        let signals = TerminationSignals { name in
            logger.info("\(name): ending, the rules stay")
            work.cancel()
        }
        let cleaning = Task { await flows.run { await cleaner.clean($0) } }
        let reconfigured = Task {
            for await _ in configurationChanges {
                logger.info("the configuration file has changed: ending to be started anew, the rules stay")
                work.cancel()
                return true
            }
            return false
        }
        await work.value
        signals.stop()
        for task in [follower, cleaning, watching, serving] { task.cancel() }
        reconfigured.cancel()
        await serving.value
        // Whoever started it shall start it again, also where only failures are.
        if await reconfigured.value { throw ExitCode.failure }
    }
}

extension Run {
    /// Statement 28: what can't be written is told, and the rest is done.
    /// - Returns: whether all is as it should be.
    func setKernelParameters(_ settings: ConntrackSettings, _ logger: Logger) -> Bool {
        var isRight = true
        for outcome in KernelParameterWriter().apply(
            settings.parameters(cores: KernelParameterWriter.onlineCores))
        {
            switch outcome.result {
            case .failed:
                isRight = false
                logger.warning("\(outcome)")
            default: logger.debug("\(outcome)")
            }
        }
        return isRight
    }

    /// Answers load balancers until the task is cancelled. A port that can't be bound is told once, and tried again.
    private func serveHealthChecks(
        _ checks: RetryLoop<[ObjectName: HealthCheckServers.Check]>, _ health: ProxyHealthRecord,
        _ logger: Logger
    ) async {
        let servers = HealthCheckServers(isProxyHealthy: { health.isHealthy })
        var told: Set<ObjectProblem> = []
        await checks.run { wanted in
            let problems = Set(await servers.update(wanted))
            for problem in problems.subtracting(told) { logger.warning("\(problem)") }
            for problem in told.subtracting(problems) { logger.info("solved: \(problem)") }
            told = problems
            return await !servers.hasUnboundAddresses
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
