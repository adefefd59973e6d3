import Testing

@Suite("Rules and oracle")
struct CrossProductTests {
    @Test("every kind of packet meets the fate that the oracle tells")
    func crossProduct() async throws {
        let tallies = try await withThrowingTaskGroup(of: Tally.self) { group in
            for setting in Setting.all { group.addTask { try Self.compare(setting) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let disagreements = tallies.flatMap(\.disagreements)
        for text in disagreements.prefix(20) { Issue.record("\(text)") }
        let cells = tallies.reduce(0) { $0 + $1.cells }
        let connections = tallies.reduce(0) { $0 + $1.connections }
        #expect(cells > 50_000)
        let differing = disagreements.isEmpty ? "" : ", with \(disagreements.count) disagreements"
        print(
            "\(cells) cells \(disagreements.isEmpty ? "agree" : "ran")\(differing); \(connections) connections"
        )
    }

    private static func compare(_ setting: Setting) throws -> Tally {
        let node = CompiledNode(
            Setting.objects, mode: setting.mode, masqueradeAll: setting.masqueradeAll)
        #expect(node.problems.isEmpty)
        var comparison = Comparison(node, setting)
        for cell in setting.cells { try comparison.run(cell) }
        return comparison.tally
    }
}
