import Agent
import BenchmarkSupport
import ClusterGenerator
import Foundation
import HostProcess
import IPAddressing
import KubernetesAPI
import Logging
import NFTables
import NFTablesKernel
import Synchronization
import TestNetwork

/// The agent's own loop under a steady flow of changes: one pod each, eight of ten replaced, one come, one gone.
///
/// Each change has an address of its own, so when it was in force is known from the transaction that has it.
struct Storm {
    /// What came of it.
    struct Figures {
        /// From the change's object in the inbox to the transaction in force, for each change; seconds.
        var delays: [Double] = []
        /// Changes that another one to the same Service overtook before a transaction.
        var overtaken = 0
        /// Changes that were never in force, and should have been.
        var lost = 0
        /// By the clock, from the first change until the last was in force.
        var seconds = 0.0
        /// CPU time in that time, without that of who makes the changes.
        var user = 0.0
        var system = 0.0
        var transactions = 0
        var messages = 0
        var bytes = 0
        /// By how much the memory of the process has grown, bytes.
        var growth = 0
    }

    let cluster: GeneratedCluster
    /// Changes a second.
    let rate: Int
    let seconds: Int

    private var count: Int { rate * seconds }

    /// What one change does, told by the address that comes or goes.
    private struct Step {
        let slice: EndpointSlice
        let address: IPAddress
        /// Whether it leaves.
        var isLeaving = false
    }

    func run(_ isAt: @escaping @Sendable (Int) -> Void) async throws -> Figures {
        let namespace = try Namespace("storm")
        let connection = try namespace.run { try Connection() }
        let log = ForceLog()
        let inbox = ChangeInbox()
        let agent = NodeAgent(
            settings: ProxySettings(nodeName: GeneratedCluster.nodeName(0)),
            kernel: LoggingKernel(connection: connection, log: log), inbox: inbox,
            logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() })
        try agent.start(ChangeInbox.Changes(cluster.objects))
        log.reset()
        let (steps, standing) = makeSteps()
        let loop = Task { await agent.run() }
        ProcessHeap.giveBack()
        let resident = MemoryStatus.bytes("VmRSS:")
        let usage = ProcessUsage()
        let feeder = Feeder(rate: rate, inbox: inbox)
        let fed = await feeder.feed(steps.map(\.slice), isAt)
        // What is late by more than this is as good as lost.
        let deadline = ContinuousClock.now + .seconds(10)
        while let last = steps.last, log.time(of: last.address, isLeaving: last.isLeaving) == nil,
            ContinuousClock.now < deadline
        {
            try await Task.sleep(for: .milliseconds(5))
        }
        let spent = usage.spent
        inbox.finish()
        await loop.value

        var figures = Figures()
        var end: UInt64 = 0
        for (step, put) in zip(steps, fed.times) {
            guard let time = log.time(of: step.address, isLeaving: step.isLeaving), time >= put else {
                // Of what came and went between two transactions, there is nothing to be seen.
                let isWanted =
                    step.isLeaving
                    ? log.time(of: step.address, isLeaving: false) != nil : standing.contains(step.address)
                if isWanted { figures.lost += 1 } else { figures.overtaken += 1 }
                continue
            }
            end = max(end, time)
            figures.delays.append(Double(time) / 1e9 - Double(put) / 1e9)
        }
        figures.seconds = Double(end - min(end, fed.times.first ?? end)) / 1e9
        // How the kernel splits a thread's time in two, and a process's, isn't quite the same.
        figures.user = max(0, spent.user - fed.user)
        figures.system = max(0, spent.system - fed.system)
        (figures.transactions, figures.messages, figures.bytes) = log.totals
        ProcessHeap.giveBack()
        figures.growth = MemoryStatus.bytes("VmRSS:") - resident
        return figures
    }

    /// - Returns: the changes, and the newcomers that are there in the end.
    private func makeSteps() -> (steps: [Step], standing: Set<IPAddress>) {
        var endpoints: [Int: [EndpointSlice.Endpoint]] = [:]
        var added: [(service: Int, address: IPAddress)] = []
        let steps = (0..<count).map { index -> Step in
            // An endpoint leaves three seconds after it came: with both in one transaction, neither would be seen.
            if index % 10 == 9, added.count > 3 * rate / 10 {
                let (service, address) = added.removeFirst()
                let list = endpoints[service] ?? []
                // Where Services are few, it may have gone as the oldest.
                if list.contains(where: { $0.address == address }) {
                    endpoints[service] = list.filter { $0.address != address }
                    return Step(
                        slice: cluster.slice(service, endpoints: endpoints[service] ?? []), address: address,
                        isLeaving: true)
                }
            }
            let service = index * 97 % cluster.serviceCount
            var list = endpoints[service] ?? cluster.slices(service).first?.endpoints ?? []
            let newcomer = cluster.newcomer(index)
            if index % 10 == 8 {
                list.append(newcomer)
                added.append((service, newcomer.address))
            } else {
                // The oldest goes, as in a rolling update.
                list.removeFirst()
                list.append(newcomer)
            }
            endpoints[service] = list
            return Step(slice: cluster.slice(service, endpoints: list), address: newcomer.address)
        }
        return (steps, Set(endpoints.values.joined().map(\.address)))
    }
}

/// Puts changes into an inbox at a steady rate, from a thread of its own, whose CPU time is told.
private struct Feeder {
    let rate: Int
    let inbox: ChangeInbox

    struct Fed {
        /// When each change was put, nanoseconds of CLOCK_MONOTONIC.
        var times: [UInt64] = []
        var user = 0.0
        var system = 0.0
    }

    func feed(_ slices: [EndpointSlice], _ isAt: @escaping @Sendable (Int) -> Void) async -> Fed {
        let (inbox, interval) = (inbox, 1_000_000_000 / UInt64(rate))
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var fed = Fed()
                fed.times.reserveCapacity(slices.count)
                let usage = ProcessUsage(ofThread: true)
                let began = MonotonicTime.now()
                for (index, slice) in slices.enumerated() {
                    let due = began + UInt64(index) * interval
                    var time = timespec(tv_sec: Int(due / 1_000_000_000), tv_nsec: Int(due % 1_000_000_000))
                    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
                    fed.times.append(MonotonicTime.now())
                    inbox.put(upserted: [.endpointSlice(slice)])
                    if index % 500 == 0 { isAt(index) }
                }
                let spent = usage.spent
                (fed.user, fed.system) = (spent.user, spent.system)
                continuation.resume(returning: fed)
            }
        }
    }
}

/// When the kernel had which endpoint put in or taken out.
private final class ForceLog: Sendable {
    private struct State {
        var came: [IPAddress: UInt64] = [:]
        var left: [IPAddress: UInt64] = [:]
        /// What came into each set: one that goes takes all along.
        var members: [String: Set<IPAddress>] = [:]
        var transactions = 0
        var messages = 0
        var bytes = 0
    }

    private let state = Mutex(State())

    func reset() { state.withLock { $0 = State() } }

    func add(_ operations: [NFTables.Operation], _ summary: CommitSummary) {
        let now = MonotonicTime.now()
        state.withLock { state in
            for operation in operations {
                switch operation {
                case .addElements(_, let set, let elements):
                    for address in elements.compactMap(Self.endpoint) {
                        // Some move from one slot to another in between.
                        if state.came[address] == nil { state.came[address] = now }
                        state.members[set, default: []].insert(address)
                    }
                case .deleteElements(_, let set, let elements):
                    for address in elements.compactMap(Self.endpoint) {
                        state.left[address] = now
                        state.members[set]?.remove(address)
                    }
                case .deleteSet(_, let set):
                    for address in state.members.removeValue(forKey: set) ?? [] { state.left[address] = now }
                default: break
                }
            }
            state.transactions += 1
            state.messages += summary.messages
            state.bytes += summary.bytes
        }
    }

    /// The address of the endpoint in a slot, or behind a port with only one.
    private static func endpoint(_ element: Element) -> IPAddress? {
        guard case .value(let value) = element.data else { return nil }
        return IPAddress(bytes: value.bytes.prefix(4))
    }

    /// When it came first or left last, in nanoseconds of CLOCK_MONOTONIC.
    func time(of address: IPAddress, isLeaving: Bool) -> UInt64? {
        state.withLock { isLeaving ? $0.left[address] : $0.came[address] }
    }

    var totals: (transactions: Int, messages: Int, bytes: Int) {
        state.withLock { ($0.transactions, $0.messages, $0.bytes) }
    }
}

/// nf_tables, and a log of what is in force.
private struct LoggingKernel: RuleKernel {
    let connection: Connection
    let log: ForceLog

    func commit(_ operations: [NFTables.Operation]) throws(KernelError) -> CommitSummary {
        let summary = try connection.commit(operations)
        log.add(operations, summary)
        return summary
    }

    func table(_ id: TableID) throws(KernelError) -> Table? { try connection.table(id) }

    func elements(of set: String, in table: TableID) throws(KernelError) -> [Element] {
        try connection.elements(of: set, in: table)
    }

    var canDestroyElements: Bool { connection.canDestroyElements }
}
