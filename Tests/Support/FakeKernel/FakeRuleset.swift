import Glibc
import NFTables
import NFTablesKernel

/// All tables of a network namespace, and what the kernel does with operations on them.
struct FakeRuleset: Sendable {
    static let missing = ENOENT
    static let outOfMemory = ENOMEM
    /// NFT_NAME_MAXLEN with the terminating zero.
    private static let longestName = 255

    var tables: [TableID: FakeTable] = [:]

    /// An errno; which operation it belongs to knows who carried it out.
    struct Refusal: Error {
        let errno: Int32
        init(_ errno: Int32) { self.errno = errno }
    }

    /// Comments are written in the form that nft can read.
    static func stored(_ comment: String) -> String { Comment.sanitized(comment) }

    // MARK: Reading

    var values: [TableID: Table] { tables.reduce(into: [:]) { $0[$1.key] = $1.value.value(id: $1.key) } }

    func value(of id: TableID) -> Table? { tables[id]?.value(id: id) }

    // MARK: Writing

    /// The ruleset after a transaction: all of it, or an error that names every operation which could not be done.
    func applying(_ operations: [Operation]) throws(KernelError) -> FakeRuleset {
        let (after, refusals) = carryOut(operations, validating: false)
        guard refusals.isEmpty else { throw .refused(refusals) }
        guard after.needsValidation(operations), (try? after.validate(operations)) == nil else {
            return after
        }
        // The kernel looks at the whole at the end. Where that fails it goes through all again and looks after each
        // operation, to name the one to blame.
        let (_, blamed) = carryOut(operations, validating: true)
        guard blamed.isEmpty else { throw .refused(blamed) }
        return after
    }

    private func carryOut(
        _ operations: [Operation], validating: Bool
    ) -> (FakeRuleset, [KernelError.Refusal]) {
        var after = self
        var refusals: [KernelError.Refusal] = []
        for operation in operations {
            do throws(Refusal) {
                try after.apply(operation)
                if validating, Self.isValidated(operation) { try after.validate([operation]) }
            } catch {
                // The kernel goes on, so that it can name all that is wrong.
                refusals.append(.init(operation: "\(operation)", errno: error.errno))
            }
        }
        return (after, refusals)
    }

    private static func isValidated(_ operation: Operation) -> Bool {
        switch operation {
        case .addRule: true
        case .addElements(_, _, let elements):
            elements.contains { if case .verdict = $0.data { true } else { false } }
        default: false
        }
    }

    private func needsValidation(_ operations: [Operation]) -> Bool {
        operations.contains(where: Self.isValidated)
    }

    private func validate(_ operations: [Operation]) throws(Refusal) {
        for id in Set(operations.map(\.table)) { try tables[id]?.validate() }
    }

    private mutating func apply(_ operation: Operation) throws(Refusal) {
        let id = operation.table
        switch operation {
        case .addTable(let id, let comment, _):
            try Self.check(name: id.name)
            if tables[id] == nil { tables[id] = FakeTable(comment: comment.map(Self.stored)) }
        case .deleteTable:
            guard tables.removeValue(forKey: id) != nil else { throw Refusal(ENOENT) }
        default:
            guard var table = tables.removeValue(forKey: id) else { throw Refusal(ENOENT) }
            defer { tables[id] = table }
            try table.apply(operation)
        }
    }

    static func check(name: String) throws(Refusal) {
        guard name.utf8.count <= longestName else { throw Refusal(ERANGE) }
    }
}
