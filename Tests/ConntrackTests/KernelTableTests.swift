import Conntrack
import Glibc
import IPAddressing
import TestNetwork
import Testing

@Suite(
    "The kernel's table, read and deleted from",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
struct KernelTableTests {
    private let namespace: Namespace
    private let connection: ConntrackConnection

    init() throws {
        let namespace = try Namespace("table")
        self.namespace = namespace
        connection = try namespace.run { try ConntrackConnection() }
    }

    private func create(_ entries: [ConntrackEntry]) throws {
        for start in stride(from: 0, to: entries.count, by: 128) {
            try connection.create(Array(entries[start..<min(start + 128, entries.count)]))
        }
    }

    @Test("entries are read by family, protocol and status")
    func filters() throws {
        let v6 = entry(from: "[fd00::1]:1", to: "[fd00::2]:2", ledTo: "[fd00::3]:3")
        var assured = entry(from: "10.0.0.2:9", to: "10.96.0.1:53", ledTo: "10.0.0.7:53")
        assured.status = [.assured, .seenReply]
        try create([
            entry(from: "10.0.0.1:9", to: "10.96.0.1:53", ledTo: "10.0.0.7:53"), assured, v6,
            entry(.tcp, from: "10.0.0.1:9", to: "10.96.0.1:80"),
        ])
        let udp = try connection.entries(protocol: .udp)
        #expect(
            udp.map(\.description) == [
                "udp 10.0.0.1:9 > 10.96.0.1:53, reply from 10.0.0.7:53",
                "udp 10.0.0.2:9 > 10.96.0.1:53, reply from 10.0.0.7:53",
            ])
        #expect(udp.allSatisfy { $0.id != 0 && (590...600).contains($0.timeout) })
        #expect(udp.map { $0.status.contains(.assured) } == [false, true])
        #expect(try connection.entries().count == 3)
        #expect(try connection.entries(protocol: .tcp).map(\.original.destination.port) == [80])
        #expect(try connection.entries(.ipv6).map(\.reply.source) == [v6.reply.source])
        let filter = StatusFilter(mask: .assured, value: [])
        #expect(
            try connection.entries(protocol: .udp, status: filter).map(\.original.source.address.low)
                == [0x0a00_0001])
    }

    @Test("a deleted entry is gone, and that it had gone is no error")
    func deletion() throws {
        try create([entry(to: "10.96.0.1:53", ledTo: "10.0.0.7:53"), entry(to: "10.96.0.2:53")])
        let all = try connection.entries()
        #expect(try connection.delete(all[0]))
        // Not the whole entries: the time they have left goes down meanwhile.
        #expect(try connection.entries().map(\.original) == [all[1].original])
        #expect(try !connection.delete(all[0]))
        #expect(try connection.delete(all) == .init(deleted: 1, gone: 1))
        #expect(try connection.entries().isEmpty)
    }

    @Test("an entry that took the deleted one's tuple, place and number, but leads elsewhere, stays")
    func reusedTuple() throws {
        let old = entry(to: "10.96.0.1:53", ledTo: "10.0.0.7:53")
        let new = entry(to: "10.96.0.1:53", ledTo: "10.0.0.8:53")
        try create([old])
        let seen = try #require(try connection.entries().first)
        // The allocator gives freed memory out again at once, so most of the time the number is the same.
        for _ in 0..<8 {
            try connection.delete(try #require(try connection.entries().first))
            try create([new])
            #expect(try connection.delete([seen]) == .init(gone: 1))
            #expect(try connection.entries().map(\.reply) == [new.reply])
        }
    }

    @Test(
        "the same tuple in another zone is another entry",
        arguments: [
            ConntrackEntry.Zone(7), .init(7, .original), .init(7, .reply),
        ])
    func zones(_ zone: ConntrackEntry.Zone) throws {
        // Both directions must differ from the entry in zone 0, or the kernel holds them for the same.
        let inZone = entry(from: "10.0.0.5:5", to: "10.96.0.1:53", ledTo: "10.0.0.7:53", zone: zone)
        let plain = entry(
            from: zone.direction == .reply ? "10.0.0.6:6" : "10.0.0.5:5", to: "10.96.0.1:53",
            ledTo: "10.0.0.7:53",
            masqueradedAs: zone.direction == .original ? "192.168.1.1:1" : nil)
        try create([plain, inZone])
        let all = try connection.entries()
        #expect(Set(all.map(\.zone)) == [.default, zone])
        let target = try #require(all.first { $0.zone == zone })
        #expect(try connection.delete(target))
        #expect(try connection.entries().map(\.zone) == [.default])
    }

    @Test("an error in the reader's hands ends the dump, and the connection goes on")
    func readerThrows() throws {
        struct Enough: Error {}
        try create((1...2000).map { entry(from: "10.0.0.1:\($0)", to: "10.96.0.1:53") })
        var count = 0
        #expect(throws: Enough.self) {
            try connection.dump(.ipv4) { _ in
                count += 1
                if count == 10 { throw Enough() }
            }
        }
        #expect(count == 10)
        #expect(try connection.entries().count == 2000)
    }

    @Test("a protocol without ports can't be deleted, and says so")
    func unencodable() throws {
        var ping = entry(to: "10.96.0.1:53")
        ping.transport = 1
        #expect(throws: KernelError.self) { try connection.delete(ping) }
    }

    @Test(
        "half a million entries, or as many as the host lets be, are read and cleaned in the memory of a few")
    func manyEntries() async throws {
        // The host's limit holds in every namespace, and only the host can raise it. Fewer prove the same: what is
        // bounded is the growth, far below the number, and doesn't depend on it.
        let count = min(500_000, try connectionLimit() * 9 / 10)
        try #require(count >= 50_000, "the host tracks too few connections")
        for start in stride(from: 0, to: count, by: 128) {
            try connection.create((start..<min(start + 128, count)).map(Self.numbered))
        }
        let before = try residentBytes()
        var seen = 0
        try connection.dump(.ipv4, protocol: .udp) { _ in seen += 1 }
        #expect(seen == count)
        let afterDump = try residentBytes()
        let reconciler = try namespace.run { try ConntrackReconciler() }
        let live = Set((1...9).map { at("10.0.0.\($0):53") })
        let report = await reconciler.reconcile(
            UDPCleanup(live: [.ipv4: .init(services: [at("10.96.0.1:53"): live])]))
        let afterPass = try residentBytes()
        // Deleting moves the kernel's mark in the table: an entry may be met twice, never skipped for good here.
        #expect(report.deleted == (count + 9) / 10)
        #expect(report.seen >= count)
        #expect(report.isComplete && report.errors.isEmpty)
        // In one piece they would take 170 bytes each: twice the bound and more where they are fewest.
        #expect(afterDump - before < 4 << 20, "the dump took \(afterDump - before) bytes")
        #expect(afterPass - afterDump < 4 << 20, "the pass took \(afterPass - afterDump) bytes")
    }

    /// An entry of a client of its own; one in ten leads to 10.0.0.0, an endpoint that is gone. Without a text on the
    /// way: reading those takes longer than all the rest.
    private static func numbered(_ number: Int) -> ConntrackEntry {
        let client = AddressPort(
            IPAddress(ipv4: 0x0a01_0000 + UInt32(number >> 4)), UInt16(1000 + number & 15))
        let endpoint = AddressPort(IPAddress(ipv4: 0x0a00_0000 + UInt32(number % 10)), 53)
        return ConntrackEntry(
            transport: TransportProtocol.udp.rawValue,
            original: .init(source: client, destination: AddressPort(IPAddress(ipv4: 0x0a60_0001), 53)),
            reply: .init(source: endpoint, destination: client), timeout: 600)
    }

    private func connectionLimit() throws -> Int {
        try #require(try firstLine(of: "/proc/sys/net/netfilter/nf_conntrack_max").first)
    }

    /// The numbers in it.
    private func firstLine(of path: String) throws -> [Int] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        try #require(fgets(&line, Int32(line.count), file) != nil)
        let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
    }

    private func residentBytes() throws -> Int {
        try #require(try firstLine(of: "/proc/self/statm").dropFirst().first) * 4096
    }
}
