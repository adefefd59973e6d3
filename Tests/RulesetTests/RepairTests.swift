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
        tables[.ipv6]?.flags = .dormant
        let operations = compiler.repair(tables).operations
        #expect(operations.first == .deleteTable(TableID(.ip6, "sluice")))
        #expect(operations.allSatisfy { $0.table.family == .ip6 })
    }

    @Test("a rule that somebody put in goes, and its anonymous set goes with it")
    func anonymous() {
        var tables = tables
        let set = NamedSet("__set0", key: Shape(.internetService), flags: [.anonymous, .constant])
        tables[.ipv4]?.sets[set.name] = set
        tables[.ipv4]?.elements[set.name] = [Element(RegisterValue([0, 1]))]
        tables[.ipv4]?.chains["prerouting"]?.rules.append(Rule([.drop]))
        let operations = compiler.repair(tables).operations
        #expect(operations.contains(.flushChain(TableID(.ip, "sluice"), chain: "prerouting")))
        #expect(!operations.contains(.deleteSet(TableID(.ip, "sluice"), set: set.name)))
    }
}
