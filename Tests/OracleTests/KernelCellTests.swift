import Glibc
import IPAddressing
import KubernetesAPI
import Oracle
import SeededRandom
import TestNetwork
import Testing

/// A sample of the cross product as real packets: what the oracle expects, and the endpoint that answered and the
/// source address that it saw.
@Suite(
    "Rules and oracle, with real packets",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
struct KernelCellTests {
    /// What cells are told apart by: the sample has one of each.
    private struct Stratum: Hashable {
        enum Fate { case answered, masqueraded, refused, dropped, untouched }

        let source: SourceKind
        let kind: AddressKind?
        let isOwn: Bool
        let fate: Fate
        let policies: [Bool]

        init(_ cell: Cell, _ answer: Answer) {
            source = cell.source
            kind = cell.kind
            isOwn = cell.client != nil
            fate =
                switch answer.fate {
                case .oneOf: answer.masqueraded.isEmpty ? .answered : .masqueraded
                case .refused: .refused
                case .dropped: .dropped
                case .untouched: .untouched
                }
            let isServed = fate == .answered || fate == .masqueraded
            // Of what is not served it makes no difference why.
            policies =
                isServed
                ? [cell.variant?.externalPolicy == .local, cell.variant?.hasAffinity == true] : []
        }
    }

    /// `SLUICE_TEST_SEED` tells the sample.
    private static let seed: UInt64 = {
        if let text = getenv("SLUICE_TEST_SEED"), let seed = UInt64(String(cString: text)) { return seed }
        return UInt64.random(in: 0..<1 << 32)
    }()

    /// Of each stratum one cell, those that are to be dropped apart.
    private static func sample(_ setting: Setting) -> (answered: [Cell], dropped: [Cell]) {
        var random = SeededGenerator(seed: seed)
        let oracle = setting.oracle
        var met: Set<Stratum> = []
        var (answered, dropped): ([Cell], [Cell]) = ([], [])
        for cell in setting.cells.shuffled(using: &random) {
            let client = cell.client ?? cell.source.address(0, cell.destination.address.family)
            let answer = oracle.answer(cell.question(from: client))
            guard met.insert(Stratum(cell, answer)).inserted else { continue }
            if answer.fate == .dropped { dropped.append(cell) } else { answered.append(cell) }
        }
        return (answered, dropped)
    }

    @Test("a sample of every kind of packet meets the fate that the oracle tells", arguments: [false, true])
    func sample(isBridged: Bool) throws {
        let seed = Self.seed
        let ground = try KernelGround(isBridged: isBridged)
        defer { ground.remove() }
        var (cells, connections) = (0, 0)
        for setting in Setting.all where (setting.mode == .bridgeInterface) == isBridged {
            let (answered, dropped) = Self.sample(setting)
            let servers = try ground.serve(answered, setting.oracle)
            defer { for server in servers { server.stop() } }
            let node = try KernelNode(ground, setting)
            var comparison = Comparison(node, setting)
            for cell in answered where comparison.tally.disagreements.count < 5 { try comparison.run(cell) }
            for text in comparison.tally.disagreements { Issue.record("SLUICE_TEST_SEED=\(seed): \(text)") }
            for (cell, attempt) in try node.undropped(dropped) {
                Issue.record(
                    "SLUICE_TEST_SEED=\(seed): \(cell.label(setting)): to be dropped, and was \(attempt)")
            }
            cells += comparison.tally.cells + dropped.count
            connections += comparison.tally.connections + dropped.count
        }
        #expect(cells > 100)
        print(
            "\(cells) cells as real packets\(isBridged ? ", pods bridged" : ""), \(connections) connections; "
                + "SLUICE_TEST_SEED=\(seed)")
    }
}
