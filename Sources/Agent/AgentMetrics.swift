import Conntrack
import IPAddressing
public import KubeProxyLeftovers
import KubernetesAPI
import NFTablesKernel
public import PrometheusMetrics
import Ruleset
public import StatusServers
import Synchronization

/// All metrics of the agent, by what happens rather than by name: whoever tells it something needn't know which numbers
/// follow. For any thread.
public final class AgentMetrics: Sendable {
    public let registry: MetricRegistry
    let kubeProxy: KubeProxyMetrics
    let sluice: SluiceMetrics
    private let client: RESTClientMetrics
    private let now: @Sendable () -> Moment

    /// - Parameters:
    ///   - version: this program's, for `sluice_build_info`.
    ///   - registry: takes the metrics; may hold others, and must not hold another agent's.
    ///   - now: the clocks.
    public init(
        version: String = "", registry: MetricRegistry = MetricRegistry(),
        now: @escaping @Sendable () -> Moment = { .now }
    ) {
        self.registry = registry
        self.now = now
        kubeProxy = KubeProxyMetrics(registry)
        sluice = SluiceMetrics(registry, version: version)
        client = RESTClientMetrics(registry)
        registry.collect(ProcessMetrics().families)
    }

    private var seconds: Double { Double(now().wall) / 1e9 }

    // MARK: The inbox

    /// The first change after the inbox was emptied.
    func queued() { for gauge in kubeProxy.lastQueuedTimestamp.all { gauge.set(seconds) } }

    /// - Parameters:
    ///   - seen: changes that came in.
    ///   - pending: objects in the inbox now.
    func received(_ seen: ChangeCounts, pending: ChangeCounts) {
        kubeProxy.serviceChanges.increment(by: seen.services)
        kubeProxy.endpointChanges.increment(by: seen.endpointSlices)
        setPending(pending)
    }

    func setPending(_ pending: ChangeCounts) {
        kubeProxy.serviceChangesPending.set(pending.services)
        kubeProxy.endpointChangesPending.set(pending.endpointSlices)
        sluice.inboxObjects.set(pending.services + pending.endpointSlices + pending.others)
    }

    // MARK: The loop

    /// A commit is in force, or had nothing to do.
    func committed(_ report: WriteReport, took duration: Duration) {
        for family in AddressFamily.allCases {
            kubeProxy.syncDuration[family].observe(duration)
            (report.compared ? kubeProxy.fullSyncDuration : kubeProxy.partialSyncDuration)[family]
                .observe(duration)
            kubeProxy.lastTimestamp[family].set(seconds)
        }
        sluice.commitDuration.observe(duration)
        if report.compared { sluice.comparisons.increment() }
        if report.repairedAfter != nil {
            sluice.repairs.increment()
            countFailure()
        }
        sluice.commitBytes.increment(by: report.bytes)
        guard report.messages > 0 else { return sluice.commitsUnchanged.increment() }
        sluice.commitsChanged.increment()
        sluice.commitMessages.observe(Double(report.messages))
    }

    /// A commit, and the repair after it, failed.
    func failed(took duration: Duration) {
        for family in AddressFamily.allCases { kubeProxy.syncDuration[family].observe(duration) }
        sluice.commitDuration.observe(duration)
        sluice.commitsFailed.increment()
        countFailure()
    }

    private func countFailure() { for counter in kubeProxy.syncFailures.all { counter.increment() } }

    /// From the changes' trigger times to now, when they are in force.
    func programmed(_ triggers: [ProgrammingLatency.Trigger]) {
        let now = now().wall
        for trigger in triggers {
            // A cluster's clocks differ a little: less than nothing is nothing.
            let nanoseconds = max(0, now.subtractingReportingOverflow(trigger.time).partialValue)
            kubeProxy.networkProgrammingDuration[trigger.family].observe(Double(nanoseconds) / 1e9)
        }
    }

    /// - Parameter notInForce: Services whose newest state the kernel has refused so far.
    func describe(_ planner: Planner, notInForce: Int) {
        sluice.services.set(planner.serviceCount)
        sluice.endpoints.set(planner.endpointCount)
        sluice.problems.set(planner.problemCount)
        sluice.servicesNotInForce.set(notInForce)
    }

    func describe(_ gaps: LocalPolicyGaps) {
        for family in AddressFamily.allCases {
            kubeProxy.noLocalEndpointsInternal[family].set(gaps[family].internalPorts)
            kubeProxy.noLocalEndpointsExternal[family].set(gaps[family].externalPorts)
        }
    }

    func describe(_ contents: RulesetContents, of family: AddressFamily) {
        sluice.pools[family].set(contents.pools)
        sluice.slotsUsed[family].set(contents.slotsUsed)
        sluice.slotRegions[family].set(contents.slotRegions)
        sluice.affinityMaps[family].set(contents.affinityMaps)
    }

    // MARK: UDP flows

    /// One pass over the UDP flows is done.
    func cleaned(_ report: ConntrackReconciler.Report) {
        for (family, pass) in report.passes {
            kubeProxy.conntrackDuration[family].observe(pass.duration)
            kubeProxy.conntrackDeletions[family].increment(by: pass.deleted)
        }
        sluice.conntrackPasses[report.isComplete && report.failed == 0 ? "complete" : "incomplete"]
            .increment()
        sluice.conntrackEntriesSeen.increment(by: report.seen)
        sluice.conntrackDeletionFailures.increment(by: report.failed)
    }
}

// MARK: What others tell

extension AgentMetrics {
    /// The health server has answered with a status code.
    public func probed(_ probe: HealthProbe, status: Int) {
        switch probe {
        case .healthz: kubeProxy.healthzAnswers["\(status)"].increment()
        case .livez: kubeProxy.livezAnswers["\(status)"].increment()
        case .readyz: break
        }
    }

    /// What kube-proxy has left on the node now.
    public func found(_ leftovers: Leftovers) {
        for (kind, count) in leftovers.counts { sluice.kubeProxyLeftovers[kind.rawValue].set(count) }
    }

    /// A list of a resource (`services`) is complete, by pages or as a stream.
    public func listed(_ resource: String, took duration: Duration) {
        sluice.lists[resource].increment()
        sluice.listDuration[resource].observe(duration)
    }

    /// A watch of a resource has begun.
    public func watchBegan(_ resource: String) {
        let watches = sluice.watches[resource]
        watches.increment()
        // Those of one resource begin one after the other.
        let restarts = sluice.watchRestarts[resource]
        if watches.current > 1 { restarts.increment() }
    }

    /// Others have changed the tables.
    func othersChanged(_ change: ForeignChange) {
        sluice.foreignTransactions.increment()
        for (kind, count) in change.kinds { sluice.foreignChanges[kind].increment(by: count) }
    }

    /// What others had changed was undone, with so many operations.
    func undid(_ operations: Int) {
        if operations > 0 { sluice.undone.increment(by: operations) }
    }

    /// A list or watch of a resource has failed and is tried again.
    public func sourceFailed(_ resource: String) { sluice.sourceFailures[resource].increment() }

    /// A request to the API server has been answered, or has failed.
    ///
    /// - Parameters:
    ///   - method: of HTTP, `GET`.
    ///   - host: with the port, as in the server's URL.
    ///   - status: nil where no response came.
    public func requested(method: String, host: String, status: Int?, took duration: Duration) {
        client.requests[status.map { "\($0)" } ?? "<error>", method, host].increment()
        client.duration[method, host].observe(duration)
    }

    /// What became of an Event.
    public enum EventOutcome: String, Sendable { case posted, failed, dropped }

    public func event(_ outcome: EventOutcome) { sluice.events[outcome.rawValue].increment() }
}
