import FakeKernel
import IPAddressing
import NFTables
import NFTablesKernel
import Testing

@testable import Agent

/// Others who commit so often, to tables of their own, that Sluice's can't be read whole.
@Suite("Tables that can't be read")
struct UnreadableTablesTests {
    private static let id = TableID(.ip, "sluice")
    private static let unstable = KernelError.unstable(object: "table ip sluice", attempts: 10)

    private let bench = Bench(FakeNFTables())
    private var kernel: FakeNFTables { bench.kernel }

    private func begin() throws {
        bench.apply(service("web", "10.96.0.1"), endpoints("web", "10.244.0.1", "10.244.0.2"))
        try bench.write()
    }

    @Test("a comparison that nobody had reason for is given up, and what is new is in force")
    func soft() throws {
        try begin()
        bench.writer.check()
        kernel.failReads([Self.unstable])
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.3"))
        let report = try bench.write()
        #expect(report.uncheckedAfter == Self.unstable)
        #expect(!report.compared && report.repairedAfter == nil)
        #expect(bench.differencesInForce.isEmpty)
        // The next one is asked for by whoever asked for this one.
        #expect(bench.writer.haveOthersCommitted())
        #expect(try bench.write() == WriteReport())
    }

    @Test("a comparison finds what others did, once what is new is in force")
    func found() throws {
        try begin()
        try kernel.change([.flushSet(Self.id, set: "cluster-ips")])
        bench.writer.check()
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.3"))
        let report = try bench.write()
        #expect(report.compared && report.repairedAfter == nil && report.uncheckedAfter == nil)
        #expect(kernel.transactions.count == 3)
        #expect(bench.differencesInForce.isEmpty)
    }

    @Test("what a comparison found and the kernel refuses is tried again")
    func refused() throws {
        try begin()
        try kernel.change([.flushSet(Self.id, set: "cluster-ips")])
        bench.writer.check()
        kernel.failCommits([.refused])
        #expect(throws: KernelError.self) { try bench.write() }
        #expect(!bench.differencesInForce.isEmpty)
        #expect(try bench.write().compared)
        #expect(bench.differencesInForce.isEmpty)
    }

    @Test(
        "tables that must be known are made anew in one transaction after three tries, at the start and later; clients stay with their endpoints",
        arguments: [true, false])
    func unread(isStart: Bool) throws {
        bench.apply(
            service("web", "10.96.0.1", affinity: 100), endpoints("web", "10.244.0.1", "10.244.0.2"))
        try bench.write()
        let map = "affinity-pool-default/web/tcp/8080"
        let client = Element(
            RegisterValue(ip("192.0.2.1").bytes), data: .value(RegisterValue(ip("10.244.0.2").bytes)),
            timeout: 100_000, expiration: 70_000)
        try kernel.change([.addElements(Self.id, set: map, [client]), .flushSet(Self.id, set: "services")])
        let later = isStart ? Bench(kernel) : bench
        later.apply(
            service("web", "10.96.0.1", affinity: 100),
            endpoints("web", "10.244.0.1", "10.244.0.2", "10.244.0.3"))
        if !isStart { later.writer.doubt() }
        kernel.failReads([Self.unstable, Self.unstable, Self.unstable])
        for _ in 0..<2 { #expect(throws: Self.unstable) { try later.write() } }
        #expect(kernel.transactions.count == 1)
        let report = try later.write()
        #expect(report.replacedUnread && report.compared)
        #expect(kernel.transactions.count == 2)
        #expect(later.differencesInForce.isEmpty)
        #expect(try kernel.elements(of: map, in: Self.id) == [client])
        // Read again, nothing is left to do; and it takes three tries once more.
        later.writer.doubt()
        kernel.failReads([Self.unstable])
        #expect(throws: Self.unstable) { try later.write() }
        #expect(try later.write().messages == 0)
    }
}
