import Agent
import FakeKernel
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import Testing

@Suite("Affinity entries of endpoints that left")
struct AffinityPurgeTests {
    private static let table = TableID(.ip, "sluice")
    private static let map = "affinity-pool-default/web/tcp/8080"

    private static func entry(_ client: String, _ endpoint: String, left: UInt64 = 60_000) -> Element {
        Element(
            RegisterValue(ip(client).bytes), data: .value(RegisterValue(ip(endpoint).bytes)),
            timeout: 100_000, expiration: left)
    }

    private static func remember(_ kernel: FakeNFTables, _ entries: Element...) {
        #expect(throws: Never.self) { try kernel.change([.addElements(table, set: map, entries)]) }
    }

    private static func entries(_ kernel: FakeNFTables) throws -> Set<Element> {
        Set(try kernel.elements(of: map, in: table))
    }

    /// A Service of two endpoints, a client on each.
    private static func bench(canDestroyElements: Bool) throws -> Bench<FakeNFTables> {
        let bench = Bench(FakeNFTables(canDestroyElements: canDestroyElements))
        bench.apply(service("web", "10.96.0.1", affinity: 100), endpoints("web", "10.244.0.1", "10.244.0.2"))
        try bench.write()
        remember(bench.kernel, entry("192.0.2.1", "10.244.0.1"), entry("192.0.2.2", "10.244.0.2", left: 70))
        return bench
    }

    @Test("an endpoint that leaves frees its clients and no others", arguments: [true, false])
    func leaving(canDestroyElements: Bool) throws {
        let bench = try Self.bench(canDestroyElements: canDestroyElements)
        bench.apply(endpoints("web", "10.244.0.2", "10.244.0.3"))
        try bench.write()
        #expect(try Self.entries(bench.kernel) == [Self.entry("192.0.2.2", "10.244.0.2", left: 70)])
        #expect(bench.kernel.transactions.count == 2)
        let operations = try #require(bench.kernel.transactions.last)
        let isDestroyed = operations.contains { if case .destroyElements = $0 { true } else { false } }
        let isFlushed = operations.contains(.flushSet(Self.table, set: Self.map))
        #expect(isDestroyed == canDestroyElements)
        #expect(isFlushed != canDestroyElements)
    }

    @Test("the last but one endpoint that leaves frees its clients")
    func toOne() throws {
        let bench = try Self.bench(canDestroyElements: true)
        bench.apply(endpoints("web", "10.244.0.2"))
        try bench.write()
        #expect(try Self.entries(bench.kernel) == [Self.entry("192.0.2.2", "10.244.0.2", left: 70)])
    }

    @Test("an endpoint that comes leaves every client where it is")
    func coming() throws {
        let bench = try Self.bench(canDestroyElements: true)
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.2", "10.244.0.3"))
        try bench.write()
        #expect(try Self.entries(bench.kernel).count == 2)
    }

    @Test(
        "an entry that a packet writes while the transaction runs is found after it",
        arguments: [true, false])
    func late(canDestroyElements: Bool) throws {
        let bench = try Self.bench(canDestroyElements: canDestroyElements)
        bench.kernel.beforeNextCommit { Self.remember($0, Self.entry("192.0.2.9", "10.244.0.1")) }
        bench.apply(endpoints("web", "10.244.0.2"))
        try bench.write()
        let clients = try Self.entries(bench.kernel).map(\.key)
        #expect(clients == [RegisterValue(ip("192.0.2.2").bytes)])
    }

    @Test("who starts over frees the clients of endpoints that left meanwhile")
    func restart() throws {
        let before = try Self.bench(canDestroyElements: true)
        let bench = Bench(before.kernel)
        bench.apply(service("web", "10.96.0.1", affinity: 100), endpoints("web", "10.244.0.2", "10.244.0.3"))
        try bench.write()
        #expect(try Self.entries(bench.kernel) == [Self.entry("192.0.2.2", "10.244.0.2", left: 70)])
    }

    @Test(
        "who starts over finds the entry that a packet writes between the look and the change",
        arguments: [["10.244.0.1", "10.244.0.2"], ["10.244.0.1"]])
    func lateAtRestart(endpointsBefore: [String]) throws {
        let before = Bench(FakeNFTables())
        before.apply(service("web", "10.96.0.1", affinity: 100))
        before.apply([endpoints("web", endpointsBefore)].reduce(into: [:]) { $0[$1.key] = $1 })
        try before.write()
        let bench = Bench(before.kernel)
        bench.apply(service("web", "10.96.0.1", affinity: 100), endpoints("web", "10.244.0.2", "10.244.0.3"))
        bench.kernel.beforeNextCommit { Self.remember($0, Self.entry("192.0.2.9", "10.244.0.1")) }
        try bench.write()
        #expect(try Self.entries(bench.kernel).isEmpty)
    }

    @Test("when entries can't be read everything is compared, and they go all the same")
    func unreadable() throws {
        let bench = try Self.bench(canDestroyElements: true)
        bench.kernel.failReads([.unstable(object: "elements", attempts: 10)])
        bench.apply(endpoints("web", "10.244.0.2"))
        let report = try bench.write()
        #expect(report.compared)
        #expect(report.repairedAfter == .unstable(object: "elements", attempts: 10))
        #expect(try Self.entries(bench.kernel) == [Self.entry("192.0.2.2", "10.244.0.2", left: 70)])
    }

    @Test("a client that comes back without end doesn't hold the writer up")
    func bounded() throws {
        let bench = try Self.bench(canDestroyElements: true)
        @Sendable func again(_ kernel: FakeNFTables) {
            Self.remember(kernel, Self.entry("198.51.100.\(kernel.attempts)", "10.244.0.1"))
            kernel.beforeNextCommit(again)
        }
        bench.kernel.beforeNextCommit(again)
        bench.apply(endpoints("web", "10.244.0.2"))
        try bench.write()
        // The change itself, and three looks.
        #expect(bench.kernel.attempts == 1 + 1 + 3)
    }
}
