import IPAddressing
import NFTables
import Testing

@testable import Ruleset

@Suite("Repair")
struct RepairTests {
    private let compiler = RulesetCompiler(nodeName: "node")
    private var tables: [AddressFamily: Table] {
        [.ipv4: compiler.table(.ipv4), .ipv6: compiler.table(.ipv6)]
    }

    @Test("tables that are as they are to be need nothing")
    func nothing() {
        #expect(compiler.repair(tables).isEmpty)
    }

    @Test("a table that somebody switched off is made anew")
    func dormant() {
        var tables = tables
        tables[.ipv6]?.flags = 0x1
        let operations = compiler.repair(tables).operations
        #expect(operations.first == .deleteTable(TableID(.ip6, "sluice")))
        #expect(operations.allSatisfy { $0.table.family == .ip6 })
    }
}
