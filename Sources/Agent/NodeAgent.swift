public import Conntrack
public import HealthChecks
import IPAddressing
public import KubernetesAPI
public import Logging
public import NFTablesKernel
import Ruleset
import StatusServers

/// The loop: changes in, plans, one transaction, and again.
///
/// One task runs it and owns the writer. Sources put changes into the inbox from wherever they are.
public final class NodeAgent<Kernel: RuleKernel> {
    private var planner: Planner
    private let writer: RulesetWriter<Kernel>
    private let inbox: ChangeInbox
    private let logger: Logger
    private var pacing: CommitPacing
    private var flows = ServedFlows()
    private var isFlowChangeUntold = false
    private let inForce: @Sendable (UDPCleanup) -> Void
    private var checks = ServedChecks()
    private var gaps = LocalPolicyGaps()
    private var latency: ProgrammingLatency
    private var notInForce: Set<ObjectName> = []
    private var hasSeenNode = false
    private let checksChanged: @Sendable ([ObjectName: HealthCheckServers.Check]) -> Void
    private var isServing = false
    private let serving: @Sendable () -> Void
    private let predecessor: Predecessor<Kernel>?
    private let found: @Sendable (ObjectProblem) -> Void
    private let watch:
        (@escaping @Sendable (ForeignChange) -> Void) throws(KernelError) -> (any RulesetWatch)?
    /// Hears of what others do to the tables for as long as it is held.
    private var watcher: (any RulesetWatch)?
    private var isWatchFailing = false
    private var repairs = RepairPacing()
    private let clock = ContinuousClock()
    /// How many of the Services that a commit changes are logged by name.
    private static var namesLogged: Int { 10 }

    /// Metrics and health are the inbox's own.
    ///
    /// - Parameters:
    ///   - inForce: told, once rules are in force, which UDP flows are right, whenever that changes.
    ///   - checksChanged: told what load balancers shall hear of this node, whenever that changes.
    ///   - serving: told once, when the first rules are in force.
    ///   - predecessor: the proxy that served until now; retired once, behind `serving`.
    ///   - found: told of each problem with an object, once.
    ///   - watch: begins to tell of what others do to the tables, until its result is let go; nil where nothing can.
    public init(
        settings: ProxySettings, kernel: Kernel, inbox: ChangeInbox, logger: Logger,
        inForce: @escaping @Sendable (UDPCleanup) -> Void = { _ in },
        checksChanged: @escaping @Sendable ([ObjectName: HealthCheckServers.Check]) -> Void = { _ in },
        serving: @escaping @Sendable () -> Void = {},
        predecessor: Predecessor<Kernel>? = nil,
        claim: @escaping @Sendable () throws(KernelError) -> Void = {},
        found: @escaping @Sendable (ObjectProblem) -> Void = { _ in },
        watch:
            @escaping (@escaping @Sendable (ForeignChange) -> Void) throws(KernelError) -> (any RulesetWatch)? =
            {
                _ in nil
            }
    ) {
        self.watch = watch
        self.serving = serving
        self.predecessor = predecessor
        self.found = found
        self.checksChanged = checksChanged
        self.inForce = inForce
        pacing = CommitPacing(minimumPause: settings.minSyncPeriod)
        planner = Planner(settings: settings)
        writer = RulesetWriter(settings: settings, kernel: kernel)
        writer.claim = claim
        writer.clientsLed = predecessor?.clients
        self.inbox = inbox
        latency = ProgrammingLatency(start: Moment.now.wall)
        self.logger = logger
    }

    /// Puts the sources' first word in force: tables that stand are read, and only what differs is changed.
    ///
    /// - Parameter first: all that the sources know. It is of no more use here once it is planned, and it is much.
    /// - Throws: the kernel's word when it could not be done; what stood before stands.
    public func start(_ first: consuming ChangeInbox.Changes) throws(KernelError) {
        // Not by way of the inbox: what is in there already is newer.
        inbox.began(first.objects.keys)
        apply(first)
        let began = clock.now
        _ = try commit(began: began)
    }

    /// Follows the inbox until its signals end or the task is cancelled. The rules stay.
    public func run() async {
        writer.beforeLarge = { [weak self] in self?.stopWatching() }
        watchOthers()
        for await _ in inbox.signals {
            if Task.isCancelled { return }
            apply(inbox.take())
            doubtWhatOthersChanged()
            let began = clock.now
            do throws(KernelError) {
                let isWritten = try commit(began: began)
                watchOthers()
                guard isWritten else {
                    // Against a program that changes the tables without end, this needn't go round for each change.
                    if repairs.pending != nil { try? await Task.sleep(for: Self.attention, clock: clock) }
                    continue
                }
                // While this waits, changes gather in the inbox.
                await pause(for: pacing.succeeded(took: clock.now - began))
            } catch {
                let isOwned = if case .owned = error { true } else { false }
                let time = pacing.failed(chance: Double.random(in: 0...1), isOwned: isOwned)
                // What goes on for long is told less and less often.
                let isTold = pacing.failures & (pacing.failures - 1) == 0
                logger.log(
                    level: isTold ? .error : .debug,
                    "not in force, the rules from before stay; trying again in \(time.milliseconds) ms",
                    metadata: ["error": "\(error)"])
                await pause(for: time)
                inbox.wake()
            }
        }
    }

    /// How soon what others change is noticed in a pause.
    private static var attention: Duration { .milliseconds(20) }

    /// Waits; not as long when others change the tables meanwhile, which is put right at once.
    private func pause(for time: Duration) async {
        guard watcher != nil, repairs.pending == nil else {
            try? await Task.sleep(for: time, clock: clock)
            return
        }
        let end = clock.now + time
        while !Task.isCancelled, !inbox.holdsForeignChange, clock.now < end {
            try? await Task.sleep(for: min(Self.attention, end - clock.now), clock: clock)
        }
    }

    // MARK: Others

    /// Hears of what others do to tables that they can change, once the first rules are in force: of those the kernel
    /// needn't tell.
    private func watchOthers() {
        guard watcher == nil, isServing, !writer.ownsTables, !isWatchFailing else { return }
        do throws(KernelError) {
            watcher = try watch { [inbox] in inbox.put(foreign: $0) }
        } catch {
            isWatchFailing = true
            logger.warning(
                "what others do to the tables is noticed with a delay", metadata: ["error": "\(error)"])
        }
        guard watcher != nil, writer.haveOthersCommitted() else { return }
        // Between the comparison and this, somebody may have changed what is compared.
        writer.check()
        inbox.wake()
    }

    private func stopWatching() {
        watcher?.stop()
        watcher = nil
    }

    private func doubtWhatOthersChanged() {
        guard let change = repairs.pending else { return }
        switch repairs.next(at: clock.now) {
        case .now:
            logger.warning(
                change.count == 0
                    ? "what others did to the tables was more than could be told: all is compared"
                    : "somebody else changed the tables: putting them right", metadata: Self.metadata(change))
            if !change.isWhole {
                writer.doubt(change.parts)
            } else if change.count > 0 {
                writer.doubt()
            } else {
                // Most likely it was other tables that they changed.
                writer.check()
            }
        case .after(let pause):
            logger.warning(
                "others keep changing the tables: put right again in \(pause.milliseconds) ms, and no more often",
                metadata: Self.metadata(change))
            Task { [inbox] in
                try? await Task.sleep(for: pause)
                inbox.wake()
            }
        case .waiting: break
        }
    }

    private static func metadata(_ change: ForeignChange) -> Logger.Metadata {
        [
            "by": "\(change.author?.description ?? "unknown")", "changes": "\(change.count)",
            "such as": "\(change.examples.joined(separator: ", "))",
        ]
    }

    private func take(_ change: ForeignChange) {
        guard !change.isEmpty else { return }
        repairs.add(change)
        inbox.metrics.othersChanged(change)
    }

    private func apply(_ changes: consuming ChangeInbox.Changes) {
        take(changes.foreign)
        // What is owned, nobody else can have changed.
        if changes.isCheckDue, !writer.ownsTables, writer.haveOthersCommitted() { writer.check() }
        for problem in changes.problems { logger.warning("\(problem)") }
        planner.apply(changes.objects)
        latency.add(changes.triggerTimes, of: changes.objects)
        if let addresses = changes.hostAddresses { planner.hostAddresses = addresses }
        // A source may know no Nodes at all; but one that was there and isn't any more is gone.
        let node = planner.node
        hasSeenNode = hasSeenNode || node != nil
        inbox.health.setNodeEligible(node?.isEligible ?? !hasSeenNode)
    }

    /// Commits, and tells metrics and health what came of it.
    ///
    /// - Returns: whether the kernel had anything to do.
    private func commit(began: ContinuousClock.Instant) throws(KernelError) -> Bool {
        do throws(KernelError) {
            let report = try commitPlans(began: began)
            notInForce = []
            inbox.metrics.committed(report, took: clock.now - began)
            inbox.metrics.programmed(latency.inForce())
            inbox.health.updated()
            describe()
            if !isServing {
                isServing = true
                serving()
                predecessor?.retire(writer)
                logger.info(
                    "serving",
                    metadata: [
                        "services": "\(planner.serviceCount)", "endpoints": "\(planner.endpointCount)",
                    ])
            }
            inbox.metrics.undid(report.undone)
            return report.messages > 0 || report.compared
        } catch {
            inbox.metrics.failed(took: clock.now - began)
            describe()
            throw error
        }
    }

    /// Tells metrics how things stand.
    private func describe() {
        let metrics = inbox.metrics
        metrics.describe(gaps)
        for family in AddressFamily.allCases { metrics.describe(writer.contents(family), of: family) }
        metrics.describe(planner, notInForce: notInForce.count)
    }

    /// Plans what has changed, for the writer to put in force.
    ///
    /// - Returns: the node's environment, how many Services were planned, and some of them for the log.
    private func plan() -> (
        environment: NodeEnvironment, count: Int, some: [(name: ObjectName, isGone: Bool)]
    ) {
        let step = planner.step()
        for problem in step.newProblems {
            logger.warning("\(problem)")
            found(problem)
        }
        for problem in step.pastProblems { logger.info("solved: \(problem)") }
        let environment = planner.environment
        // Kept whatever becomes of the commit: the plans are handed over once.
        let names = step.plans.map(\.name)
        latency.plan(names)
        gaps.update(step.plans)
        notInForce.formUnion(names)
        isFlowChangeUntold =
            flows.update(step.plans, nodeAddresses: environment.nodePortAddresses) || isFlowChangeUntold
        if let fewer = checks.update(step.plans) { checksChanged(fewer) }
        writer.take(step.plans)
        return (
            environment, names.count,
            step.plans.prefix(Self.namesLogged).map { (name: $0.name, isGone: $0.plan == nil) }
        )
    }

    private func commitPlans(began: ContinuousClock.Instant) throws(KernelError) -> WriteReport {
        let planned = plan()
        let report = try writer.write(environment: planned.environment)
        if let all = checks.inForce() { checksChanged(all) }
        // Where rules were gone, flows went past them.
        let wasRepaired = report.corrections > 0 || report.undone > 0
        if isFlowChangeUntold || wasRepaired {
            inForce(flows.cleanup)
            isFlowChangeUntold = false
        }
        for problem in report.problems {
            logger.warning("\(problem)")
            found(problem)
        }
        for problem in report.pastProblems { logger.info("solved: \(problem)") }
        if let error = report.repairedAfter {
            logger.warning(
                "a transaction failed; the tables were read and put right", metadata: ["error": "\(error)"])
        }
        guard report.messages > 0 || report.compared else { return report }
        // Commits that follow a change are everyday; the first, and those that compare, tell where things stand.
        logger.log(
            level: report.compared || report.undone > 0 ? .info : .debug,
            report.operations > report.takenOver ? "in force" : "in force: nothing to change",
            metadata: [
                "services": "\(planned.count)", "messages": "\(report.messages)",
                "bytes": "\(report.bytes)",
                "ms": "\((clock.now - began).milliseconds)",
            ])
        for (name, isGone) in planned.some where !report.compared {
            logger.debug(isGone ? "Service \(name) is gone" : "Service \(name) changed")
        }
        return report
    }
}

extension Duration {
    /// In milliseconds, to the microsecond.
    public var milliseconds: Double {
        let (seconds, attoseconds) = components
        let microseconds = Double(seconds) * 1e6 + (Double(attoseconds) / 1e12).rounded()
        return microseconds / 1000
    }
}
