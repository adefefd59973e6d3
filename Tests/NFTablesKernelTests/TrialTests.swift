import Glibc
import NFTables
import NFTablesKernel
import TestNetwork
import Testing

/// Operations that are only looked at, and tables that belong to a connection.
@Suite("Trials", .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)))
struct TrialTests {
    private let table = TableID(.ip, "t")

    @Test("what is checked is refused as in a commit, and never in force")
    func check() throws {
        let namespace = try Namespace("trial")
        let connection = try namespace.run { try Connection() }
        let before = try connection.generation()
        let good: [NFTables.Operation] = [
            .addTable(table, comment: nil), .addChain(table, Chain("c")),
            .addRule(table, chain: "c", Rule([.accept])),
        ]
        try connection.check(good)
        #expect(try connection.tables() == [])
        let bad =
            good + [
                .addRule(table, chain: "none", Rule([.accept])), .deleteSet(table, set: "none"),
            ]
        let error = #expect(throws: KernelError.self) { try connection.check(bad) }
        guard case .refused(let refusals)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        // Each of them, not the first alone.
        #expect(refusals.map(\.operation) == ["add rule ip t none", "delete set ip t none"])
        #expect(refusals.map(\.errno) == [ENOENT, ENOENT])
        #expect(try connection.tables() == [])
        #expect(try connection.generation() == before)
        // The connection is as good as before.
        try connection.commit(good)
        #expect(try connection.tables() == [table])
    }

    /// Linux 6.9 can.
    private static let canOwnTables: Bool = {
        let connection = try? Namespace("trial").run { try Connection() }
        return (try? connection?.check([.addTable(TableID(.ip, "t"), comment: nil, flags: .owned)])) != nil
    }()

    @Test(
        "an owned table is closed to others while its owner is there, and can be taken over afterwards",
        .enabled(if: canOwnTables, "needs Linux 6.9"))
    func ownership() throws {
        let namespace = try Namespace("trial")
        let other = try namespace.run { try Connection() }
        try other.check([.addTable(table, comment: nil, flags: .owned)])
        #expect(try other.tables() == [])
        var owner: Connection? = try namespace.run { try Connection() }
        try owner?.commit([.addTable(table, comment: nil, flags: .owned)])
        let owned = try #require(try other.listedTables().first)
        #expect(owned.id == table)
        #expect(owned.flags == .owned)
        #expect(owned.owner != nil)
        #expect(throws: KernelError.self) { try other.commit([.deleteTable(table)]) }
        #expect(throws: KernelError.self) {
            try other.commit([.addTable(table, comment: nil, flags: .owned)])
        }
        owner = nil
        // A process that another test starts at this moment has the socket too, until it executes its program.
        let deadline = ContinuousClock.now.advanced(by: .seconds(10))
        while try other.listedTables().first?.owner != nil, ContinuousClock.now < deadline { usleep(1000) }
        #expect(try other.listedTables() == [ListedTable(table, flags: .persist)])
        try other.commit([.addTable(table, comment: nil, flags: .owned)])
        #expect(try other.listedTables().first?.flags == .owned)
        try other.commit([.deleteTable(table)])
        #expect(try other.listedTables() == [])
    }

    @Test("chains are listed without their rules, with type, hook and priority where they have any")
    func chains() throws {
        let namespace = try Namespace("trial")
        try namespace.loadRules(
            """
            table inet t {
                chain plain { accept; };
                chain in { type nat hook input priority 100; policy accept; };
                chain through { type filter hook forward priority -5; policy drop; };
            }
            table netdev n { chain ingress { type filter hook ingress device lo priority 0; }; }
            """)
        let chains = try namespace.run { try Connection() }.listedChains()
        let inet = TableID(.inet, "t")
        #expect(
            Set(chains) == [
                ListedChain(inet, "plain"),
                ListedChain(inet, "in", base: BaseChain(.nat, hook: .input, priority: 100)),
                ListedChain(
                    inet, "through", base: BaseChain(.filter, hook: .forward, priority: -5, policy: .drop)
                ),
                ListedChain(TableID(.netdev, "n"), "ingress"),
            ])
    }
}
