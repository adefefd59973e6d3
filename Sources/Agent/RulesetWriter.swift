import Glibc
package import IPAddressing
public import KubernetesAPI
public import NFTables
public import NFTablesKernel
public import Ruleset
public import ServiceModel

/// What one write did.
public struct WriteReport: Sendable, Equatable {
    /// What can't be programmed as asked, where it wasn't before: each is told once. Those found by failed writes before
    /// this one are among them.
    public var problems: [ObjectProblem] = []
    /// Problems told before that are over.
    public var pastProblems: [ObjectProblem] = []
    public var operations = 0
    /// Netlink messages, those that begin and end a batch among them.
    public var messages = 0
    public var bytes = 0
    /// The kernel's tables were read and compared.
    public var compared = false
    /// A transaction was refused or lost, and the kernel was put right afterwards.
    public var repairedAfter: KernelError?
    /// Operations that took tables over as they were from a program that has ended.
    public var takenOver = 0
    /// Operations that undid what others had done.
    public var undone = 0
    /// Operations that a comparison with the kernel's tables asked for.
    public var corrections = 0
}

/// Brings the kernel to what plans of Services ask for: the one writer of Sluice's tables.
///
/// What the kernel holds is known from what was committed. Where that is in doubt (at the start, after any error), the
/// tables are read and the difference is committed. A transaction is whole or nothing, so whatever fails, the rules
/// that stood before stay.
public final class RulesetWriter<Kernel: RuleKernel> {
    private(set) var compiler: RulesetCompiler
    let kernel: Kernel
    private var isInDoubt = true
    /// Parts that others have changed, beside which all is as it should be.
    private var doubtfulParts: [TableID: TableScope] = [:]
    /// All is to be looked at once what is new is in force: nothing speaks against what the kernel is thought to hold.
    private var isCheckDue = false
    /// How often in a row the kernel has refused what a comparison found.
    private var refusedRepairs = 0
    /// How often in a row tables that could only be read in a crowd weren't as they should be once they were put right.
    private var tornReadings = 0
    /// Called before anything is written; throws while another program has the tables.
    var claim: () throws(KernelError) -> Void = {}
    /// Called before a transaction so large that the kernel had better not tell anybody of each of its elements.
    var beforeLarge: (() -> Void)?
    private var isFirst = true
    /// The kernel's count of transactions when all was compared, or since found to be without those of others; nil
    /// where it isn't known.
    private var baseGeneration: UInt32?
    /// Own transactions since.
    private var ownTransactions: UInt32 = 0
    /// Asked once, for clients that another proxy led, when the first tables are about to be made.
    var clientsLed: ((Kernel) -> [ServicePortID: [LedClient]])?
    /// Plans that came before the kernel's tables could be read.
    private var pending: [ObjectName: ServicePlan?] = [:]
    /// What writes that failed found: a plan is compiled once, whatever becomes of its commit.
    private var untold = CompilerProblems()
    /// Operations of commits behind which a write failed.
    private var (untoldCorrections, untoldUndone) = (0, 0)

    /// Elements of a transaction that is large.
    private static var largeCount: Int { 4096 }

    /// How often affinity maps are looked at after a commit that changes what they may hold.
    private static var affinityRounds: Int { 3 }

    public init(settings: ProxySettings, kernel: Kernel) {
        compiler = RulesetCompiler(nodeName: settings.nodeName, settings: settings.ruleset)
        if settings.ownsTables, kernel.canOwnTables { compiler.tableFlags = .owned }
        self.kernel = kernel
    }

    /// Whether nobody else can change the tables once they are in force.
    public var ownsTables: Bool { compiler.tableFlags.contains(.owner) }

    /// What the kernel holds is to be read and compared at the next `write`.
    public func doubt() { isInDoubt = true }

    /// What the kernel holds is to be looked at behind the next `write`, and compared where it isn't as it should be.
    public func check() { isCheckDue = true }

    /// Some of it is.
    public func doubt(_ parts: [TableID: TableScope]) {
        for (table, scope) in parts { doubtfulParts[table, default: TableScope()].formUnion(scope) }
    }

    /// Whether there were transactions that this writer knows nothing of, since all was compared or since this was
    /// asked last; true where the kernel doesn't say.
    public func haveOthersCommitted() -> Bool {
        guard let base = baseGeneration, let now = (try? kernel.currentGeneration()) ?? nil else {
            return true
        }
        guard now == base &+ ownTransactions else { return true }
        (baseGeneration, ownTransactions) = (now, 0)
        return false
    }

    /// Takes new plans (nil: nothing to serve any more) for the next `write`.
    public func take(_ plans: [(name: ObjectName, plan: ServicePlan?)]) {
        for (name, plan) in plans { pending.updateValue(plan, forKey: name) }
    }

    /// Takes new plans and commits what they change, as `take` and `write` do.
    public func write(
        _ plans: [(name: ObjectName, plan: ServicePlan?)], environment: NodeEnvironment
    ) throws(KernelError) -> WriteReport {
        take(plans)
        return try write(environment: environment)
    }

    /// Takes the node's environment, and commits what it and the plans change.
    ///
    /// - Throws: the kernel's last word when the change is not in force. The plans are kept: the next call, even one
    ///   without plans, tries to put all of it in force.
    public func write(environment: NodeEnvironment) throws(KernelError) -> WriteReport {
        var report = WriteReport()
        repairParts(&report)
        // The slots that pools have in the kernel must be known before any are given out.
        var actual: Reading?
        if isFirst {
            try claim()
            let first = try readStanding()
            compiler.adopt(first.tables)
            actual = first
        }
        if isInDoubt {
            untold.append(compiler.updateBeforeRepair(takePending()))
            _ = compiler.update(environment: environment)
        } else {
            var (delta, problems) = compiler.update(takePending())
            untold.append(problems)
            let environmentDelta = compiler.update(environment: environment)
            delta.operations += environmentDelta.operations
            delta.affinity += environmentDelta.affinity
            do throws(KernelError) {
                try commit(delta, &report)
                isInDoubt = isCheckDue && (try? glance())?.isEmpty != true
            } catch {
                report.repairedAfter = error
                isInDoubt = true
            }
            guard isInDoubt else { return told(report, compared: isCheckDue) }
        }
        if isFirst {
            compiler.endAdoption()
            isFirst = false
        }
        let standing = if let actual { actual } else { try readStanding() }
        let isReplacing = isReplacing
        try commit(repair(of: standing.tables), ofComparison: standing.tables, &report)
        refusedRepairs = 0
        let isRight = standing.isOfOneMoment ? true : try glance().operations.isEmpty
        // What was replaced as a whole is right, whatever a look in a crowd finds.
        guard isRight || isReplacing else {
            tornReadings += 1
            throw .unstable(object: "the tables, after they were put right", attempts: 1)
        }
        if !isRight { baseGeneration = nil }
        (isInDoubt, tornReadings) = (false, 0)
        return told(report, compared: true)
    }

    /// Tables that were read.
    private struct Reading {
        let tables: [AddressFamily: Table]
        /// False where others committed all the while, so that the kernel vouches for nothing.
        let isOfOneMoment: Bool
    }

    /// The tables as they stand.
    private func readStanding() throws(KernelError) -> Reading {
        var isOfOneMoment = true
        let tables = try readTables { (id) throws(KernelError) in
            do throws(KernelError) {
                return try kernel.table(id)
            } catch {
                guard case .unstable = error else { throw error }
                isOfOneMoment = false
                return try kernel.glance(at: id)
            }
        }
        return Reading(tables: tables, isOfOneMoment: isOfOneMoment)
    }

    /// What one look at the tables finds to be put right. Others who commit meanwhile, to tables of their own, don't keep
    /// it from finding nothing; what it finds may be their doing.
    func glance() throws(KernelError) -> RulesetDelta {
        compiler.repair(try readTables { (id) throws(KernelError) in try kernel.glance(at: id) })
    }

    private func readTables(
        _ read: (TableID) throws(KernelError) -> Table?
    ) throws(KernelError) -> [AddressFamily: Table] {
        countAnew()
        // First, since reading may take long.
        for id in ObjectNames.tables { try kernel.checkOwner(of: id) }
        var tables: [AddressFamily: Table] = [:]
        for family in AddressFamily.allCases { tables[family] = try read(ObjectNames.tableID(family)) }
        return tables
    }

    /// Whether tables that stand are to be replaced as a whole: putting them right didn't do.
    private var isReplacing: Bool { refusedRepairs >= 2 || tornReadings >= 2 }

    /// What a comparison found. Where the kernel refuses it again and again, there is something in the tables that Sluice
    /// knows no way around: then they are replaced as a whole, and, if need be, without what clients keep.
    private func repair(of tables: [AddressFamily: Table]) -> RulesetDelta {
        var repair = compiler.repair(tables, isReplacing: isReplacing)
        if refusedRepairs >= 4 { repair.affinity = [] }
        repair.operations += clientsOfPredecessor(tables)
        return repair
    }

    private func commit(
        _ repair: RulesetDelta, ofComparison tables: [AddressFamily: Table], _ report: inout WriteReport
    ) throws(KernelError) {
        do throws(KernelError) {
            try commit(repair, &report)
        } catch {
            // Rights and memory are not for want of another way.
            if case .refused = error, ![EPERM, ENOMEM, ENOBUFS].contains(error.errno) { refusedRepairs += 1 }
            throw error
        }
        untoldCorrections += repair.operations.count
        report.takenOver = repair.operations.count { operation in
            guard case .addTable(let id, _, _) = operation else { return false }
            return tables.values.contains { $0.id == id }
        }
    }

    private func countAnew() {
        baseGeneration = (try? kernel.currentGeneration()) ?? nil
        ownTransactions = 0
    }

    /// Puts parts right that others have changed, before anything new comes. Where that doesn't do, all is compared.
    private func repairParts(_ report: inout WriteReport) {
        guard !doubtfulParts.isEmpty else { return }
        defer { doubtfulParts = [:] }
        guard !isInDoubt else { return }
        do throws(KernelError) {
            var parts: [AddressFamily: (scope: TableScope, table: Table?)] = [:]
            for family in AddressFamily.allCases {
                let id = ObjectNames.tableID(family)
                guard let scope = doubtfulParts[id] else { continue }
                try kernel.checkOwner(of: id)
                parts[family] = (scope, try kernel.table(id, only: scope))
            }
            guard let operations = compiler.repair(parts: parts) else {
                isInDoubt = true
                return
            }
            try commit(operations, &report)
            untoldUndone += operations.count
        } catch {
            isInDoubt = true
            report.repairedAfter = error
        }
    }

    /// The plans are handed on, not kept: what is compiled holds the same endpoints in another order.
    private func takePending() -> [(name: ObjectName, plan: ServicePlan?)] {
        defer { pending = [:] }
        return pending.map { (name: $0.key, plan: $0.value) }
    }

    private func told(_ report: WriteReport, compared: Bool) -> WriteReport {
        defer {
            untold = CompilerProblems()
            (untoldCorrections, untoldUndone) = (0, 0)
            isCheckDue = false
        }
        var report = report
        report.compared = compared
        (report.corrections, report.undone) = (untoldCorrections, untoldUndone)
        report.problems = untold.new
        report.pastProblems = untold.past
        return report
    }

    /// How much the table of a family shall hold once everything that was handed over is in force.
    package func contents(_ family: AddressFamily) -> RulesetContents { compiler.contents(family) }

    /// What the table of a family shall hold once everything that was handed over is in force.
    package func wantedTable(_ family: AddressFamily) -> Table { compiler.table(family) }

    private func commit(_ delta: RulesetDelta, _ report: inout WriteReport) throws(KernelError) {
        var operations = delta.operations
        for change in delta.affinity { operations += try self.operations(change, isInForce: false) }
        try commit(operations, &report)
        // A packet that arrived since the look, or while the kernel worked through the transaction, may have written
        // an entry by the old rules. Packets that meet the new rules can't, so this ends after one look that finds
        // nothing.
        for _ in 0..<Self.affinityRounds {
            var late: [Operation] = []
            for change in delta.affinity { late += try self.operations(change, isInForce: true) }
            guard !late.isEmpty else { return }
            try commit(late, &report)
        }
    }

    private func commit(_ operations: [Operation], _ report: inout WriteReport) throws(KernelError) {
        guard !operations.isEmpty else { return }
        let elements = operations.reduce(0) { count, operation in
            switch operation {
            case .addElements(_, _, let elements), .deleteElements(_, _, let elements),
                .destroyElements(_, _, let elements):
                count + elements.count
            default: count
            }
        }
        if elements > Self.largeCount { beforeLarge?() }
        let summary = try kernel.commit(operations)
        if summary.messages > 0 { ownTransactions &+= 1 }
        report.operations += operations.count
        report.messages += summary.messages
        report.bytes += summary.bytes
    }

    /// What an affinity map as it is now needs.
    ///
    /// - Parameter isInForce: whether the change of rules is behind: what it makes is there, what it unmakes isn't.
    private func operations(
        _ change: AffinityChange, isInForce: Bool
    ) throws(KernelError) -> [Operation] {
        let change = isInForce ? change.inForce : change
        let entries =
            change.isNew && !isInForce ? [] : try kernel.elements(of: change.map, in: change.table)
        var others: [Element] = []
        if let source = change.source, source.stays || !isInForce {
            others = try kernel.elements(of: source.map, in: change.table)
        }
        var operations: [Operation] = []
        // Where the kernel can't remove what may be gone, both stay: the map of the lower port is asked first.
        if !others.isEmpty, kernel.canDestroyElements {
            for sibling in change.siblings {
                let entries = try kernel.elements(of: sibling, in: change.table)
                if let removal = change.operation(onSibling: sibling, entries, from: others) {
                    operations.append(removal)
                }
            }
        }
        return operations
            + change.operations(entries, from: others, canDestroy: kernel.canDestroyElements)
    }
}
