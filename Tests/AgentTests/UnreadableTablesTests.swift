import FakeKernel
import Glibc
import IPAddressing
import NFTables
import NFTablesKernel
import Testing

@testable import Agent

/// Others who commit so often, to tables of their own, that the kernel calls every reading of Sluice's unstable.
@Suite("Tables in a crowd")
struct UnreadableTablesTests {
    private static let id = TableID(.ip, "sluice")
    private static let unstable = KernelError.unstable(object: "table ip sluice", attempts: 5)

    private let bench = Bench(FakeNFTables())
    private var kernel: FakeNFTables { bench.kernel }

    private func begin() throws {
        bench.apply(service("web", "10.96.0.1"), endpoints("web", "10.244.0.1", "10.244.0.2"))
        try bench.write()
    }

    private static let map = "affinity-pool-default/web/tcp/8080"
    private static let client = Element(
        RegisterValue(ip("192.0.2.1").bytes), data: .value(RegisterValue(ip("10.244.0.2").bytes)),
        timeout: 100_000, expiration: 70_000)

    /// As `begin`, with affinity, and a client who is remembered.
    private func beginSticky() throws {
        bench.apply(
            service("web", "10.96.0.1", affinity: 100), endpoints("web", "10.244.0.1", "10.244.0.2"))
        try bench.write()
        try kernel.change([.addElements(Self.id, set: Self.map, [Self.client])])
    }

    @Test("a look that finds nothing costs one reading of each table, behind what is new")
    func found() throws {
        try begin()
        bench.writer.check()
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.3"))
        let reads = kernel.reads
        let report = try bench.write()
        #expect(report.compared && report.repairedAfter == nil && report.corrections == 0)
        #expect(kernel.transactions.count == 2)
        #expect(kernel.reads == reads + 2)
        #expect(bench.differencesInForce.isEmpty)
        #expect(try bench.write() == WriteReport())
    }

    @Test("what a look finds is compared and put right at once")
    func damaged() throws {
        try begin()
        try kernel.change([.flushSet(Self.id, set: "cluster-ips")])
        bench.writer.check()
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.3"))
        let report = try bench.write()
        #expect(report.compared && report.repairedAfter == nil && report.corrections > 0)
        #expect(kernel.transactions.count == 3)
        #expect(bench.differencesInForce.isEmpty)
    }

    @Test("a look that fails is no look: all is compared, again and again until it can be")
    func failed() throws {
        try begin()
        try kernel.change([.flushSet(Self.id, set: "cluster-ips")])
        let error = KernelError.read(object: "table ip sluice", errno: ENOBUFS)
        bench.writer.check()
        kernel.failReads([error, error])
        #expect(throws: error) { try bench.write() }
        #expect(!bench.differencesInForce.isEmpty)
        #expect(try bench.write().compared)
        #expect(bench.differencesInForce.isEmpty)
    }

    @Test("what the look found and the kernel refuses is tried again")
    func refused() throws {
        try begin()
        try kernel.change([.flushSet(Self.id, set: "cluster-ips")])
        bench.writer.check()
        kernel.failCommits([.refused])
        #expect(throws: KernelError.self) { try bench.write() }
        #expect(try bench.write().compared)
        #expect(bench.differencesInForce.isEmpty)
    }

    @Test(
        "tables that must be known are taken as they were read, at the start and later, and looked at again",
        arguments: [true, false])
    func loose(isStart: Bool) throws {
        try beginSticky()
        try kernel.change([.flushSet(Self.id, set: "services")])
        let later = isStart ? Bench(kernel) : bench
        later.apply(
            service("web", "10.96.0.1", affinity: 100),
            endpoints("web", "10.244.0.1", "10.244.0.2", "10.244.0.3"))
        if !isStart { later.writer.doubt() }
        kernel.failReads([Self.unstable, nil, Self.unstable])
        let reads = kernel.reads
        let report = try later.write()
        #expect(report.compared && report.corrections > 0)
        // Each table in vain, then as it is, and once more at the end.
        #expect(kernel.reads == reads + 6)
        #expect(later.differencesInForce.isEmpty)
        #expect(try kernel.elements(of: Self.map, in: Self.id) == [Self.client])
        later.writer.doubt()
        #expect(try later.write().messages == 0)
    }

    @Test(
        "where a reading in a crowd was wrong, the tables are replaced in the end, and clients stay with their endpoints"
    )
    func wrong() throws {
        try beginSticky()
        bench.writer.doubt()
        for other in ["services", "protocols"] {
            // While what was read is put right, somebody changes something else.
            kernel.failReads([Self.unstable])
            try kernel.change([.flushSet(Self.id, set: "cluster-ips")])
            kernel.beforeNextCommit { kernel in
                #expect(throws: Never.self) { try kernel.change([.flushSet(Self.id, set: other)]) }
            }
            #expect(throws: KernelError.self) { try bench.write() }
        }
        kernel.failReads([Self.unstable])
        #expect(try bench.write().compared)
        #expect(bench.differencesInForce.isEmpty)
        let isReplaced = kernel.transactions.last?.contains(.deleteTable(Self.id)) == true
        #expect(isReplaced)
        #expect(try kernel.elements(of: Self.map, in: Self.id) == [Self.client])
    }
}
