import Agent
import ArgumentParser
import Conntrack
import Foundation
import HealthChecks
import HostProcess
import IPAddressing
import KubeProxyFlags
import KubernetesAPI
import KubernetesClient
import Logging
import Manifests
import NFTables
import NFTablesKernel
import PrometheusMetrics
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
            Reads Services, EndpointSlices, Nodes and ServiceCIDRs from the cluster's API server (--kubeconfig, --master,
            --config, or the service account of the pod it runs in) or, with -f, from manifests (YAML or JSON), makes the
            nftables rules that serve them, and follows changes until SIGTERM or SIGINT. The rules stay when it ends.

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

    @Flag(
        inversion: .prefixedNo,
        help: """
            Keep others from changing the tables, `nft flush ruleset` included, while this runs (Linux 6.9; before that \
            what others change is put right). Counts with --config as well.
            """)
    var ownTables = true

    @Flag(
        help:
            "Take over from kube-proxy: once Sluice's rules are in force, remove those that it left; clients keep their endpoints."
    )
    var adoptFromKubeProxy = false

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
        case .initialize: initialize(configuration, logger)
        case nil: try await serve(configuration, file, logger)
        }
    }

    private func serve(
        _ configuration: AgentConfiguration, _ file: KubeProxyConfiguration.File?, _ logger: Logger
    ) async throws {
        let client = configuration.client
        guard
            !paths.isEmpty || client.kubeconfig != nil || client.master != nil
                || ProcessInfo.processInfo.environment["KUBERNETES_SERVICE_HOST"]?.isEmpty == false
        else {
            throw ValidationError(
                """
                Nothing says where the cluster's objects are: give --kubeconfig, --master or a --config with a kubeconfig, \
                or -f <path> for manifests. (This isn't a pod: KUBERNETES_SERVICE_HOST isn't set.)
                """)
        }
        let source: ManifestSource? = paths.isEmpty ? nil : ManifestSource(paths: paths)
        do {
            if dryRun {
                let objects: [ClusterObject]
                if let source {
                    objects = try load(source, logger).objects
                } else {
                    objects = await read(configuration, logger)
                }
                printRules(objects, settings: configuration.proxy, logger: logger)
            } else {
                try await program(source, configuration, file, logger)
            }
        } catch let error as StatusService.BindError {
            logger.critical("\(error)")
            throw ExitCode.failure
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

    func load(_ source: ManifestSource, _ logger: Logger) throws -> ManifestSource.Snapshot {
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

    private func printRules(_ objects: [ClusterObject], settings: ProxySettings, logger: Logger) {
        var planner = Planner(settings: settings)
        var compiler = RulesetCompiler(nodeName: settings.nodeName, settings: settings.ruleset)
        planner.hostAddresses = hostAddresses(objects, settings, logger)
        planner.apply(objects)
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

    /// The cluster's objects as its API server has them now.
    func read(_ configuration: AgentConfiguration, _ logger: Logger) async -> [ClusterObject] {
        let cluster = ClusterConnection(configuration, metrics: AgentMetrics(), logger: logger)
        let sync = FirstSync(
            ChangeInbox(), awaitingPodNetworksOf: dryRun ? nil : configuration.proxy.awaitedNode,
            logger: logger)
        let following = Task { await cluster.source.run { sync.take($0) } }
        let first = await sync.objects()
        following.cancel()
        await following.value
        await cluster.client.shutDown()
        return first.map { $0.objects.values.compactMap { $0 } } ?? []
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
