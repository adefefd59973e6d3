import Agent
import Glibc
import NFTables
import NFTablesKernel
import TestNetwork

/// nf_tables in a namespace, with a clock at its door.
final class MeasuredKernel: RuleKernel {
    /// What one stretch of work took, in seconds.
    struct Usage: Sendable {
        /// Between begin and end, by the clock.
        var wall = 0.0
        /// Of the process's CPUs: encoding and decoding.
        var user = 0.0
        /// Of the process's CPUs: what the kernel did in the process's calls.
        var system = 0.0
    }

    private let connection: Connection
    private(set) var commits = Usage()
    private(set) var reads = Usage()
    /// Operations on rules among those committed.
    private(set) var ruleOperations = 0
    /// The operations of the last transaction, where they are to be kept.
    private(set) var transaction: [Operation] = []
    private let keepsTransaction: Bool

    init(in namespace: Namespace, keepsTransaction: Bool = false) throws {
        self.keepsTransaction = keepsTransaction
        connection = try namespace.run { try Connection() }
    }

    func reset() {
        commits = Usage()
        reads = Usage()
        ruleOperations = 0
    }

    var canDestroyElements: Bool { connection.canDestroyElements }

    func commit(_ operations: [Operation]) throws(KernelError) -> CommitSummary {
        for operation in operations {
            switch operation {
            case .addRule, .deleteRule, .flushChain: ruleOperations += 1
            default: break
            }
        }
        let watch = Stopwatch()
        let summary = try connection.commit(operations)
        watch.add(to: &commits)
        if keepsTransaction { transaction = operations }
        return summary
    }

    func table(_ id: TableID) throws(KernelError) -> Table? {
        let watch = Stopwatch()
        let table = try connection.table(id)
        watch.add(to: &reads)
        return table
    }

    func elements(of set: String, in table: TableID) throws(KernelError) -> [Element] {
        let watch = Stopwatch()
        let elements = try connection.elements(of: set, in: table)
        watch.add(to: &reads)
        return elements
    }
}

/// The time since it was made.
struct Stopwatch {
    private let began = ContinuousClock.now
    private let usage = ProcessUsage()

    /// Seconds, by the clock.
    var seconds: Double { (ContinuousClock.now - began) / .seconds(1) }

    func add(to usage: inout MeasuredKernel.Usage) {
        let spent = self.usage.spent
        usage.wall += seconds
        usage.user += spent.user
        usage.system += spent.system
    }
}

/// CPU time since it was made, of this process or of the thread that asks.
struct ProcessUsage {
    /// `RUSAGE_THREAD` of sys/resource.h, which Swift doesn't see.
    private static let thread: Int32 = 1
    private let who: Int32
    private let before: rusage

    init(ofThread: Bool = false) {
        who = ofThread ? Self.thread : RUSAGE_SELF.rawValue
        before = Self.usage(who)
    }

    /// Seconds in user mode and in the kernel.
    var spent: (user: Double, system: Double) {
        let now = Self.usage(who)
        return (
            Self.seconds(now.ru_utime) - Self.seconds(before.ru_utime),
            Self.seconds(now.ru_stime) - Self.seconds(before.ru_stime)
        )
    }

    private static func usage(_ who: Int32) -> rusage {
        var usage = rusage()
        getrusage(who, &usage)
        return usage
    }

    private static func seconds(_ time: timeval) -> Double {
        Double(time.tv_sec) + Double(time.tv_usec) / 1e6
    }
}
