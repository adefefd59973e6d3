internal import Dispatch
import Glibc
public import IPAddressing
public import Netlink
import Synchronization

/// Deletes the entries that `UDPCleanup` finds to be out of date.
///
/// It has connections and a thread of its own: reading half a million entries takes its time, and neither a commit of
/// rules nor Swift's cooperative threads shall wait for it. Passes run one after the other.
public final class ConntrackReconciler: Sendable {
    /// What a pass came to. Counts are of entries.
    public struct Report: Sendable, Equatable {
        /// UDP entries looked at.
        public var seen = 0
        public var deleted = 0
        /// To be deleted, and gone before that.
        public var gone = 0
        /// To be deleted, and not deleted as far as is known.
        public var failed = 0
        /// Each names the operation and the errno; no more than `errorLimit`.
        public var errors: [KernelError] = []
        /// False after an error or when the task was cancelled: try again.
        public var isComplete = true
        /// By the families that were looked at.
        public var passes: [AddressFamily: Pass] = [:]

        /// One family's part.
        public struct Pass: Sendable, Equatable {
            public var duration = Duration.zero
            public var deleted = 0
        }

        /// Errors kept of one pass: after that, they repeat each other.
        public static let errorLimit = 8

        public init() {}

        mutating func add(_ error: KernelError) {
            isComplete = false
            if errors.count < Self.errorLimit { errors.append(error) }
        }
    }

    private let connections: Mutex<Connections>
    private let queue = DispatchQueue(label: "conntrack", qos: .utility)
    private let pause: @Sendable () -> Void

    /// The kernel allows one dump at a time on a socket, and answers to deletions would mix with it.
    private struct Connections {
        let reading: ConntrackConnection
        let deleting: ConntrackConnection
    }

    /// Opens the connections, in the network namespace of the calling thread.
    ///
    /// - Parameter pause: called after each 128 deletions and each 4,096 entries; otherwise the thread yields.
    /// - Throws: `KernelError.socket` when netlink can't be used.
    public init(pause: (@Sendable () -> Void)? = nil) throws(KernelError) {
        connections = Mutex(
            Connections(reading: try ConntrackConnection(), deleting: try ConntrackConnection()))
        self.pause = pause ?? { sched_yield() }
    }

    /// One pass over the table. Entries that appear meanwhile may be missed, so a pass that follows a change must
    /// start after the rules are in force: then what is missed is right by itself.
    ///
    /// A cancelled task ends the pass at the next pause.
    public func reconcile(_ cleanup: UDPCleanup) async -> Report {
        let isCancelled = Flag()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                queue.async { continuation.resume(returning: self.pass(cleanup, isCancelled)) }
            }
        } onCancel: {
            isCancelled.raise()
        }
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isRaised: Bool { value.load(ordering: .relaxed) }
        func raise() { value.store(true, ordering: .relaxed) }
    }

    private static let entriesAtOnce = 4096

    private func pass(_ cleanup: UDPCleanup, _ isCancelled: Flag) -> Report {
        connections.withLock { connections in
            var report = Report()
            for family in cleanup.families {
                guard !isCancelled.isRaised else {
                    report.isComplete = false
                    break
                }
                var batch: [ConntrackEntry] = []
                let (began, deletedBefore) = (ContinuousClock.now, report.deleted)
                do {
                    try connections.reading.dump(family, protocol: .udp) { entry in
                        report.seen += 1
                        if cleanup.decision(for: entry).deletes { batch.append(entry) }
                        let isFull = batch.count >= ConntrackConnection.deletionsAtOnce
                        guard isFull || report.seen % Self.entriesAtOnce == 0 else { return }
                        if isFull { Self.delete(&batch, connections.deleting, &report) }
                        pause()
                        if isCancelled.isRaised { throw CancellationError() }
                    }
                } catch let error as KernelError {
                    report.add(error)
                } catch {
                    report.isComplete = false
                }
                Self.delete(&batch, connections.deleting, &report)
                report.passes[family] = .init(
                    duration: ContinuousClock.now - began, deleted: report.deleted - deletedBefore)
            }
            return report
        }
    }

    private static func delete(
        _ batch: inout [ConntrackEntry], _ connection: ConntrackConnection, _ report: inout Report
    ) {
        guard !batch.isEmpty else { return }
        do throws(KernelError) {
            let result = try connection.delete(batch)
            report.deleted += result.deleted
            report.gone += result.gone
            report.failed += result.refusals.count
            for refusal in result.refusals { report.add(.refused([refusal])) }
        } catch {
            report.failed += batch.count
            report.add(error)
        }
        batch.removeAll(keepingCapacity: true)
    }
}
