import Agent
import FakeKernel
import NFTables
import NFTablesKernel
import TestNetwork
import Testing

/// The same cases against the fake and against the kernel. Where they disagree the kernel is right.
@Suite("The contract of a rule kernel")
struct RuleKernelContract {
    struct Outcome: Equatable {
        var refused: [ContractCase.Refused]
        var messages: Int?
        var tables: [TableID: Table]
    }

    @Test("the fake keeps it", arguments: ContractCase.all)
    func fake(_ contract: ContractCase) throws {
        let outcome = try Self.run(contract, on: FakeNFTables())
        #expect(outcome.refused == contract.refused)
    }

    @Test(
        "the kernel keeps it, and does as the fake does",
        .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)),
        arguments: ContractCase.all)
    func kernel(_ contract: ContractCase) throws {
        let namespace = try Namespace("contract")
        let connection = try namespace.run { try Connection() }
        let outcome = try Self.run(contract, on: connection)
        #expect(outcome.refused == contract.refused)
        let fake = try Self.run(contract, on: FakeNFTables())
        #expect(outcome == fake)
    }

    private static func run(_ contract: ContractCase, on kernel: some RuleKernel) throws -> Outcome {
        for transaction in contract.setup { _ = try kernel.commit(transaction) }
        var outcome = Outcome(refused: [], messages: nil, tables: [:])
        do throws(KernelError) {
            outcome.messages = try kernel.commit(contract.transaction).messages
        } catch {
            guard case .refused(let refusals) = error else { throw error }
            outcome.refused = refusals.map { .init(operation: $0.operation, errno: $0.errno) }
        }
        for id in Set((contract.setup.joined() + contract.transaction).map(\.table)) {
            outcome.tables[id] = try kernel.table(id)?.comparable
        }
        return outcome
    }
}

extension Table {
    /// What two kernels with the same objects agree on: no order of elements, no time that runs.
    var comparable: Table {
        var result = self
        result.elements = elements.mapValues { elements in
            elements.map { element in
                var element = element
                element.expiration = nil
                return element
            }.sorted { ($0.key, $0.isIntervalEnd ? 1 : 0) < ($1.key, $1.isIntervalEnd ? 1 : 0) }
        }
        for set in sets.keys where result.elements[set] == nil { result.elements[set] = [] }
        return result
    }
}
