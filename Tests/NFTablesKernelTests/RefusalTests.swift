import Glibc
import NFTables
import NFTablesKernel
import TestNetwork
import Testing

@Suite(
    "What the kernel refuses is told by operation, object and errno, and leaves no trace",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
struct RefusalTests {
    let connection: Connection
    let id = TableID(.ip6, "refused")
    private let namespace: Namespace

    init() throws {
        let namespace = try Namespace("refusal")
        self.namespace = namespace
        connection = try namespace.run { try Connection() }
        try connection.commit([
            .addTable(id, comment: nil),
            .addSet(id, NamedSet("ports", key: Shape(.internetService))),
            .addChain(id, Chain("a")), .addChain(id, Chain("b")),
            .addRule(id, chain: "a", Rule([.jump("b")])),
            .addElements(id, set: "ports", [Element(RegisterValue(port: 80))]),
        ])
    }

    private func refusals(_ operations: [Operation]) throws -> [KernelError.Refusal] {
        let before = try connection.table(id)
        do {
            try connection.commit(operations)
            Issue.record("the kernel took it")
            return []
        } catch {
            #expect(try connection.table(id) == before)
            guard case .refused(let refusals) = error else { throw error }
            return refusals
        }
    }

    @Test("one bad operation undoes the good ones before it")
    func allOrNothing() throws {
        let refusals = try refusals([
            .addChain(id, Chain("c")), .addRule(id, chain: "nowhere", Rule([.accept])),
        ])
        #expect(refusals.map(\.operation) == ["add rule ip6 refused nowhere"])
        #expect(refusals.map(\.errno) == [ENOENT])
    }

    @Test("an element that isn't there can't be deleted, but it can be destroyed")
    func missingElement() throws {
        let missing = [Element(RegisterValue(port: 81))]
        let refusals = try refusals([.deleteElements(id, set: "ports", missing)])
        #expect(refusals.first?.operation == "delete element ip6 refused ports (1 elements)")
        #expect(refusals.first?.errno == ENOENT)
        try connection.commit([
            .destroyElements(id, set: "ports", missing + [Element(RegisterValue(port: 80))])
        ])
        #expect(try connection.elements(of: "ports", in: id).isEmpty)
    }

    @Test("a chain that others jump to can't be deleted")
    func chainInUse() throws {
        let refusals = try refusals([.deleteChain(id, chain: "b")])
        #expect(refusals.first?.operation == "delete chain ip6 refused b")
        #expect(refusals.first?.errno == EBUSY)
    }

    @Test("several bad operations are all named")
    func several() throws {
        let refusals = try refusals([
            .deleteSet(id, set: "none"), .deleteChain(id, chain: "none"),
        ])
        #expect(
            refusals.map(\.operation) == ["delete set ip6 refused none", "delete chain ip6 refused none"])
    }

    @Test("an error reads as a sentence")
    func description() {
        let error = KernelError.refused([
            .init(operation: "add rule ip sluice pool", errno: ENOENT, detail: "why")
        ])
        #expect(error.description == "add rule ip sluice pool: ENOENT (No such file or directory) (why)")
        #expect(error.errno == ENOENT)
    }

    @Test("reading a set that isn't there fails with its name")
    func missingSet() throws {
        #expect(throws: KernelError.read(object: "elements of ip6 refused none", errno: ENOENT)) {
            try connection.elements(of: "none", in: id)
        }
    }

    @Test("a connection goes on after a refusal")
    func goesOn() throws {
        _ = try refusals([.deleteSet(id, set: "none")])
        try connection.commit([.addChain(id, Chain("later"))])
        #expect(try connection.table(id)?.chains["later"] != nil)
    }

    @Test("the generation counts transactions, and nothing else")
    func generation() throws {
        let before = try connection.generation()
        #expect(try connection.generation() == before)
        try connection.commit([.addChain(id, Chain("later"))])
        #expect(try connection.generation() == before + 1)
        try connection.commit([])
        #expect(try connection.generation() == before + 1)
    }
}
