import NFTables
import Testing

/// One thing that `RulesetWriter` relies on the kernel for: what becomes of a transaction over tables in a given state.
struct ContractCase: Sendable, CustomTestStringConvertible {
    struct Refused: Hashable, Sendable, CustomStringConvertible {
        let operation: String
        let errno: Int32
        var description: String { "\(operation): errno \(errno)" }
    }

    let name: String
    /// Transactions that go through.
    var setup: [[Operation]] = []
    let transaction: [Operation]
    /// What the kernel refuses; nothing when it takes all.
    var refused: [Refused] = []

    var testDescription: String { name }

    /// - Parameter refused: by the position in `transaction`, the errno that this operation gets.
    init(
        _ name: String, after setup: [Operation]..., do transaction: [Operation],
        refused: KeyValuePairs<Int, Int32> = [:]
    ) {
        self.name = name
        self.setup = setup
        self.transaction = transaction
        self.refused = refused.map { Refused(operation: "\(transaction[$0.key])", errno: $0.value) }
    }
}
