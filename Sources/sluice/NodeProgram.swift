import Agent
import ArgumentParser
import Conntrack
import Foundation
import HealthChecks
import HostNetwork
import HostProcess
import KubernetesAPI
import KubernetesClient
import Logging
import Manifests
import NFTablesKernel
import PrometheusMetrics
import ProxyConfiguration
import Ruleset
import ServiceLifecycle
import StatusServers

extension Run {
    /// Programs the kernel, once or until the end.
    func program(
        _ source: ManifestSource?, _ configuration: AgentConfiguration,
        _ file: KubeProxyConfiguration.File?, _ logger: Logger
    ) async throws {
        let configurationChanges = try followConfiguration(file)
        let connection = try Preflight.connect()
        if ownTables {
            do throws(KernelError) {
                try RulesetLock.claim()
                try TableOwnership.takeOver(connection)
            } catch {
                logger.debug("the tables are not taken over yet", metadata: ["error": "\(error)"])
            }
        }
        let snapshot = try source.map { try load($0, logger) }
        let program = NodeProgram(
            configuration, fromCluster: source == nil, adoptsFromKubeProxy: adoptFromKubeProxy, logger: logger
        )
        let cleaner = FlowCleaner(
            reconciler: try ConntrackReconciler(), logger: logger, metrics: program.metrics)
        let agent = program.makeAgent(connection)
        let hostAddresses = try HostAddresses.read()
        if once {
            let objects: [ClusterObject]
            if let snapshot {
                objects = snapshot.objects
            } else {
                objects = await read(configuration, logger)
            }
            var first = ChangeInbox.Changes(objects)
            first.hostAddresses = hostAddresses
            try agent.start(first)
            program.flows.finish()
            await program.flows.run { await cleaner.clean($0) }
            return
        }
        adjustOutOfMemoryScore(configuration.oomScoreAdjustment, logger)
        let termination = Termination(logger)
        let restart = ConfigurationService(
            changes: configurationChanges, from: configuration, run: self, logger: logger
        ) {
            termination.atTheLatest { termination.isAskedFor ? _exit(EXIT_SUCCESS) : startAnew(logger) }
        }
        // Health and metrics are answered while anything else runs: the first ends last.
        let parts =
            [
                program.statusServers, program.healthChecks, program.heapKeeper, program.tableCheck,
                program.kubeProxyWatch,
                Part { await program.flows.run { await cleaner.clean($0) } },
                program.hostAddresses(try HostAddressWatcher()),
            ] + (try program.sources(source))
        let loop = program.loop(Handover(agent), snapshot, hostAddresses) {
            _ = setKernelParameters(configuration.conntrack, logger)
        }
        let group = ServiceGroup(parts, endedBy: [loop, restart.part])
        let watching = Task { await termination.watch(group) { program.tell(.stopping) } }
        defer { watching.cancel() }
        try await group.run()
        await program.cluster?.client.shutDown()
        if restart.isDue, !termination.isAskedFor { startAnew(logger) }
    }

    private func startAnew(_ logger: Logger) -> Never {
        SignalTrap.leaveAtOnce()
        do throws(HostProcessError) {
            try Restart.now()
        } catch {
            // Whoever started it shall start it again, also where only failures are.
            logger.critical("can't be started anew in place", metadata: ["error": "\(error)"])
            _exit(EXIT_FAILURE)
        }
    }

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
}

/// The parts of a node's agent, and what goes from one to the other.
struct NodeProgram: Sendable {
    let configuration: AgentConfiguration
    let metrics: AgentMetrics
    /// Nil when manifests are served.
    let cluster: ClusterConnection?
    let flows = RetryLoop<UDPCleanup>(merge: { UDPCleanup.supersede($0, by: $1) })
    private let health: ProxyHealthRecord
    private let inbox: ChangeInbox
    private let checks = RetryLoop<[ObjectName: HealthCheckServers.Check]>()
    private let sync: FirstSync
    private let takeover: KubeProxyTakeover
    /// Much was allocated and freed.
    private let heap = RetryLoop<Void>()
    private let manager = ServiceManager(environment: ProcessInfo.processInfo.environment)
    private let logger: Logger

    init(
        _ configuration: AgentConfiguration, fromCluster: Bool, adoptsFromKubeProxy: Bool, logger: Logger
    ) {
        self.configuration = configuration
        self.logger = logger
        metrics = AgentMetrics(version: Version.number)
        health = ProxyHealthRecord(patience: configuration.syncPeriod * 2)
        inbox = ChangeInbox(metrics: metrics, health: health)
        sync = FirstSync(
            inbox, awaitingPodNetworksOf: configuration.proxy.awaitedNode, logger: logger)
        takeover = KubeProxyTakeover(isAsked: adoptsFromKubeProxy, metrics: metrics, logger: logger)
        cluster =
            fromCluster
            ? ClusterConnection(configuration, metrics: metrics, logger: logger) { [heap] in heap.put(()) }
            : nil
    }

    func makeAgent(_ connection: sending Connection) -> sending NodeAgent<Connection> {
        let port = connection.portID
        return NodeAgent(
            settings: configuration.proxy, kernel: connection, inbox: inbox, logger: logger,
            inForce: { [flows] in flows.put($0) }, checksChanged: { [checks] in checks.put($0) },
            serving: { tell(.ready) }, predecessor: takeover.predecessor,
            claim: { () throws(KernelError) in try RulesetLock.claim() },
            found: { [cluster] in cluster?.report($0, reason: "NotServedAsAsked", action: "Serve") },
            watch: { (changed) throws(KernelError) in
                try RulesetMonitor(of: ObjectNames.tables, ignoring: port, changed: changed)
            })
    }

    // MARK: Services

    /// Health and metrics.
    var statusServers: Part {
        let status = StatusService(
            StatusService.Settings(configuration), health: health,
            content: StatusContent(
                metrics: { [metrics] in metrics.registry.text },
                configz: { [configuration] in configuration.effective.configz() },
                probed: { [metrics] in metrics.probed($0, status: $1) }), logger: logger)
        return Part { try await status.run() }
    }

    /// Answers load balancers. A port that can't be bound is told once, and tried again.
    var healthChecks: Part {
        Part { [checks, health, cluster, logger] in
            let servers = HealthCheckServers(isProxyHealthy: { health.isHealthy })
            var told: Set<ObjectProblem> = []
            await checks.run { wanted in
                let problems = Set(await servers.update(wanted))
                for problem in problems.subtracting(told) {
                    logger.warning("\(problem)")
                    cluster?.report(problem, reason: "FailedToStartServiceHealthcheck", action: "Listen")
                }
                for problem in told.subtracting(problems) { logger.info("solved: \(problem)") }
                told = problems
                return await !servers.hasUnboundAddresses
            }
            await servers.shutDown()
        }
    }

    /// Keeps the process as small as what it knows, whatever has passed through it.
    var heapKeeper: Part {
        Part { [heap] in
            await heap.run { _ in
                // What a list brings is still on its way; and several come together.
                try? await Task.sleep(for: .seconds(1))
                ProcessHeap.giveBack()
                return true
            }
        }
    }

    /// A slow look at whether the tables are still as they should be, beside what the kernel tells by itself.
    var tableCheck: Part {
        Part { [inbox] in
            while !Task.isCancelled {
                do { try await Task.sleep(for: Self.checkInterval) } catch { return }
                inbox.putCheck()
            }
        }
    }

    private static let checkInterval = Duration.seconds(300)

    /// Looks whether kube-proxy's rules go, or come back.
    var kubeProxyWatch: Part {
        Part { [takeover] in await takeover.watch { () throws(KernelError) in try Connection() } }
    }

    func hostAddresses(_ addresses: HostAddressWatcher) -> Part {
        Part { [inbox] in
            for await list in addresses { inbox.put(hostAddresses: list) }
        }
    }

    /// Where objects come from.
    ///
    /// - Throws: when manifests can't be followed.
    func sources(_ manifests: ManifestSource?) throws -> [Part] {
        var services: [Part] = []
        if let changes = try manifests?.changes() {
            services.append(
                Part { [inbox] in
                    for await update in changes {
                        inbox.put(
                            upserted: update.upserted, removed: update.removed, problems: update.problems)
                    }
                })
        }
        if let cluster {
            services.append(Part { await cluster.events.run() })
            services.append(Part { [sync] in await cluster.source.run { sync.take($0) } })
        }
        return services
    }

    /// The loop, from the sources' first word on.
    ///
    /// - Parameters:
    ///   - snapshot: that word, of manifests; nil: the cluster's is waited for.
    ///   - inForce: called behind the first rules, which bring in connection tracking and its parameters with it.
    func loop(
        _ agent: Handover<NodeAgent<Connection>>, _ snapshot: ManifestSource.Snapshot?,
        _ hostAddresses: [HostAddress], inForce: @escaping @Sendable () -> Void
    ) -> Part {
        Part { [sync, inbox, heap, logger] in
            guard let agent = agent.take() else { return }
            var gathered: ChangeInbox.Changes?
            if let snapshot {
                gathered = ChangeInbox.Changes(snapshot.objects)
            } else {
                gathered = await sync.objects()
            }
            guard gathered != nil, !Task.isCancelled else { return }
            gathered?.hostAddresses = hostAddresses
            do throws(KernelError) {
                // Taken, not kept: this goes on for as long as the program.
                try agent.start(gathered.take() ?? ChangeInbox.Changes())
            } catch {
                // As after any other failure: what stood stays, and it is tried again.
                logger.error("not in force, the rules from before stay", metadata: ["error": "\(error)"])
                inbox.wake()
            }
            inForce()
            heap.put(())
            await agent.run()
        }
    }

    /// Tells the service manager, if one listens.
    func tell(_ message: ServiceManager.Message) {
        do throws(HostProcessError) {
            try manager?.tell(message)
        } catch {
            logger.warning("the service manager can't be told", metadata: ["error": "\(error)"])
        }
    }
}

extension ProxySettings {
    /// The Node without whose `podCIDRs` pods of this node can't be told.
    var awaitedNode: String? { localMode == .nodeCIDR ? nodeName : nil }
}
