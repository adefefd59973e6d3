import Glibc
import NFTables
import NFTablesKernel
import TestNetwork
import Testing

/// Tables that belong to whoever made them, in the kernel (Linux 6.9).
@Suite(
    "A table can belong to one connection and outlive it",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
struct OwnershipTests {
    private let namespace: Namespace
    private let id = TableID(.ip, "mine")
    private let set = NamedSet("addresses", key: Shape(.ipv4Address))

    init() throws { namespace = try Namespace("owner") }

    private func connect() throws -> Connection { try namespace.run { try Connection() } }

    private func make(_ owner: Connection) throws {
        try owner.commit([
            .addTable(id, comment: "mine", flags: .owned), .addSet(id, set), .addChain(id, Chain("rules")),
        ])
    }

    private func element(_ last: UInt8) -> Element { Element(RegisterValue([192, 0, 2, last])) }

    @Test("others can read it, and not change it")
    func others() throws {
        let (owner, other) = (try connect(), try connect())
        try make(owner)
        let table = try #require(try other.table(id))
        #expect(table.flags == .owned)
        #expect(table.owner == owner.portID)
        for operations: [NFTables.Operation] in [
            [.deleteTable(id)], [.addElements(id, set: "addresses", [element(1)])],
            [.addChain(id, Chain("theirs"))], [.flushChain(id, chain: "rules")],
        ] {
            let error = #expect(throws: KernelError.self) { try other.commit(operations) }
            #expect(error?.errno == EPERM)
        }
        try owner.commit([.addElements(id, set: "addresses", [element(2)])])
        #expect(try other.table(id)?.elements["addresses"]?.count == 1)
    }

    @Test("`nft flush ruleset` passes it over, and takes all others")
    func flush() throws {
        let owner = try connect()
        try make(owner)
        try owner.commit([.addTable(TableID(.ip, "open"), comment: nil)])
        try namespace.command("nft", "flush", "ruleset")
        #expect(try owner.tables() == [id])
    }

    @Test("it stays when its owner ends, and the next takes it over with all that is in it")
    func takeover() throws {
        do {
            let owner = try connect()
            try make(owner)
            try owner.commit([.addElements(id, set: "addresses", [element(1)])])
        }
        let next = try connect()
        // A process that another test starts at this moment has the socket too, until it executes its program.
        let deadline = ContinuousClock.now.advanced(by: .seconds(10))
        while try next.table(id)?.owner != nil, ContinuousClock.now < deadline { usleep(1000) }
        let left = try #require(try next.table(id))
        #expect(left.flags == .persist)
        #expect(left.owner == nil)
        try next.commit([.addTable(id, comment: "mine", flags: .owned)])
        let taken = try #require(try next.table(id))
        #expect(taken.owner == next.portID)
        #expect(taken.elements["addresses"] == [element(1)])
        let error = #expect(throws: KernelError.self) { try connect().commit([.deleteTable(id)]) }
        #expect(error?.errno == EPERM)
    }

    @Test("the owner is named by its process")
    func name() throws {
        let owner = try connect()
        let text = try namespace.run { NetlinkPeer.description(ofPort: owner.portID) }
        #expect(text.hasSuffix("(process \(getpid()))"))
        let nobody = try namespace.run { NetlinkPeer.description(ofPort: 0xffff_fff0) }
        #expect(nobody == "another program (netlink port 4294967280)")
    }

    @Test("a part is read as the whole is, and what isn't there is left out")
    func parts() throws {
        let owner = try connect()
        try make(owner)
        try owner.commit([
            .addElements(id, set: "addresses", [element(1), element(2)]), .addChain(id, Chain("more")),
            .addRule(id, chain: "rules", Rule([.counter, .jump("more")])),
            .addRule(id, chain: "more", Rule([.drop])),
            .addSet(id, NamedSet("ports", key: Shape(.internetService))),
        ])
        let whole = try #require(try owner.table(id))
        for scope in [
            TableScope(sets: ["addresses"]), TableScope(chains: ["rules"]),
            TableScope(sets: ["ports", "nosuch"], chains: ["more", "nosuch"]), TableScope(),
            TableScope(sets: ["addresses", "ports"], chains: ["rules", "more"]),
        ] {
            #expect(try owner.table(id, only: scope) == whole.limited(to: scope))
        }
        #expect(try owner.table(TableID(.ip, "nosuch"), only: TableScope(sets: ["addresses"])) == nil)
    }

    @Test("objects and flowtables in a table are named")
    func objects() throws {
        try namespace.loadRules("table ip mine { counter hits { }; }")
        #expect(try connect().table(id)?.others == ["object hits"])
    }
}
