public import Agent
public import NFTables
public import NFTablesKernel
import Synchronization

/// An nf_tables of values that refuses what the kernel refuses, with the same errno for the same operation, and that
/// fails on purpose when told to.
///
/// `RuleKernelContract` keeps it honest: the same cases run against it and against the kernel.
public final class FakeNFTables: Sendable {
    /// What becomes of a commit instead of what would have.
    public enum Fault: Sendable {
        /// Fails with this error and changes nothing.
        case error(KernelError)
        /// The answer is lost; the transaction itself was carried out, or wasn't.
        case lostAnswer(isApplied: Bool)

        /// Refused for want of memory, whatever the transaction holds.
        public static let refused = Fault.error(
            .refused([.init(operation: "transaction", errno: FakeRuleset.outOfMemory)]))
    }

    fileprivate struct State {
        var ruleset = FakeRuleset()
        var faults: [Fault?] = []
        var readErrors: [KernelError?] = []
        var transactions: [[Operation]] = []
        var attempts = 0
        var reads = 0
        var beforeCommit: [@Sendable (FakeNFTables) -> Void] = []
        var observer: (@Sendable (Result<CommitSummary, KernelError>) -> Void)?
    }

    private let state = Mutex(State())
    public let canDestroyElements: Bool

    public init(canDestroyElements: Bool = true) {
        self.canDestroyElements = canDestroyElements
    }

    // MARK: What happened

    /// The transactions that are in force, oldest first; not what `change` did.
    public var transactions: [[Operation]] { state.withLock { $0.transactions } }
    /// How often a commit was tried.
    public var attempts: Int { state.withLock { $0.attempts } }
    /// How often a table was read whole.
    public var reads: Int { state.withLock { $0.reads } }
    /// Every table as it stands, without what only reads can fail at.
    public var tables: [TableID: Table] { state.withLock { $0.ruleset.values } }

    /// Called after each commit, outside of any lock.
    public func observe(_ observer: (@Sendable (Result<CommitSummary, KernelError>) -> Void)?) {
        state.withLock { $0.observer = observer }
    }

    // MARK: Faults

    /// What becomes of the next commits, in order; nil lets one be.
    public func failCommits(_ faults: [Fault?]) { state.withLock { $0.faults += faults } }

    /// Makes the next reads fail, in order; nil lets one be.
    public func failReads(_ errors: [KernelError?]) { state.withLock { $0.readErrors += errors } }

    /// Forgets the faults that are still to come.
    public func clearFaults() {
        state.withLock {
            $0.faults = []
            $0.readErrors = []
        }
    }

    /// Runs once, when the next commit has been asked for and isn't carried out yet: what packets and others do
    /// meanwhile.
    public func beforeNextCommit(_ body: @escaping @Sendable (FakeNFTables) -> Void) {
        state.withLock { $0.beforeCommit.append(body) }
    }

    /// Changes tables as somebody else would, behind the back of whoever commits.
    public func change(_ operations: [Operation]) throws(KernelError) {
        try state.withLock { (state) throws(KernelError) in
            state.ruleset = try state.ruleset.applying(operations)
        }
    }

    /// Messages that these operations take, the begin and end of the batch among them.
    public static func messageCount(_ operations: [Operation]) -> Int { MessageCount.messages(operations) }
}

extension FakeNFTables: RuleKernel {
    public func commit(_ operations: [Operation]) throws(KernelError) -> CommitSummary {
        let hooks = state.withLock { state in
            defer { state.beforeCommit = [] }
            return state.beforeCommit
        }
        for hook in hooks { hook(self) }
        let (result, observer) = state.withLock { state in (state.commit(operations), state.observer) }
        observer?(result)
        return try result.get()
    }

    public func table(_ id: TableID) throws(KernelError) -> Table? {
        try state.withLock { (state) throws(KernelError) in
            state.reads += 1
            try state.failRead()
            return state.ruleset.value(of: id)
        }
    }

    public func elements(of set: String, in table: TableID) throws(KernelError) -> [Element] {
        try state.withLock { (state) throws(KernelError) in
            try state.failRead()
            guard let elements = state.ruleset.tables[table]?.sets[set]?.elements else {
                throw .read(object: "elements of \(table) \(set)", errno: FakeRuleset.missing)
            }
            return Array(elements.values)
        }
    }
}

extension FakeNFTables.State {
    fileprivate mutating func failRead() throws(KernelError) {
        guard !readErrors.isEmpty, let error = readErrors.removeFirst() else { return }
        throw error
    }

    fileprivate mutating func commit(_ operations: [Operation]) -> Result<CommitSummary, KernelError> {
        attempts += 1
        let fault = faults.isEmpty ? nil : faults.removeFirst()
        if case .error(let error) = fault { return .failure(error) }
        do throws(KernelError) {
            let after = try ruleset.applying(operations)
            if case .lostAnswer(false) = fault { return .failure(.lost("the answer was lost on purpose")) }
            ruleset = after
            transactions.append(operations)
            if case .lostAnswer(true) = fault { return .failure(.lost("the answer was lost on purpose")) }
            return .success(MessageCount.summary(operations))
        } catch {
            return .failure(error)
        }
    }
}
