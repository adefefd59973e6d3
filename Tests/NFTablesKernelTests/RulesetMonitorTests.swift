import Glibc
import NFTables
import Synchronization
import TestNetwork
import Testing

@testable import NFTablesKernel

/// What others do to tables is heard.
@Suite(
    "Changes that others make are told",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized,
    .timeLimit(.minutes(1)))
struct RulesetMonitorTests {
    private let namespace: Namespace
    private let id = TableID(.ip, "watched")
    private let own: Connection
    private let monitor: RulesetMonitor
    private let changes: AsyncStream<ForeignChange>

    init() throws {
        let namespace = try Namespace("monitor")
        let own = try namespace.run { try Connection() }
        let (changes, continuation) = AsyncStream.makeStream(of: ForeignChange.self)
        monitor = try namespace.run { [id] in
            try RulesetMonitor(of: [id], ignoring: own.portID, receiveBuffer: 4096) { continuation.yield($0) }
        }
        (self.namespace, self.own, self.changes) = (namespace, own, changes)
        try own.commit([
            .addTable(id, comment: nil), .addChain(id, Chain("rules")),
            .addRule(id, chain: "rules", Rule([.drop])),
            .addSet(id, NamedSet("ports", key: Shape(.internetService))),
            .addElements(id, set: "ports", [Element(RegisterValue(port: 80))]),
        ])
    }

    private func next(_ change: String...) async throws -> ForeignChange {
        let process = try namespace.start(["nft"] + change)
        #expect(process.wait() == 0)
        var iterator = changes.makeAsyncIterator()
        let found = try #require(await iterator.next())
        #expect(found.author == .init(processID: UInt32(process.processID), name: "nft"))
        return found
    }

    @Test("elements, rules, chains and sets are told with who changed them; own changes aren't")
    func kinds() async throws {
        var change = try await next("delete element ip watched ports { 80 }")
        #expect(change.parts == [id: TableScope(sets: ["ports"])])
        #expect(change.examples == ["delete element ip watched ports"])
        #expect(change.kinds == ["element": 1])
        try own.commit([.addElements(id, set: "ports", [Element(RegisterValue(port: 80))])])
        change = try await next("flush chain ip watched rules")
        #expect(change.parts == [id: TableScope(chains: ["rules"])])
        #expect(change.examples == ["delete rule ip watched rules"])
        change = try await next("add chain ip watched theirs { type nat hook output priority -90; }")
        #expect(change.parts == [id: TableScope(chains: ["theirs"])])
        change = try await next("add set ip watched more { type ipv4_addr; }")
        #expect(change.parts == [id: TableScope(sets: ["more"])])
        #expect(!change.isWhole)
        change = try await next("add counter ip watched hits")
        #expect(change.isWhole)
        change = try await next("flush ruleset")
        #expect(change.isWhole)
        #expect(change.kinds["table"] == 1)
        withExtendedLifetime(monitor) {}
    }

    @Test("what others do to other tables is nobody's business here")
    func others() async throws {
        try namespace.loadRules("table ip other { chain rules { accept; }; }\ntable ip6 watched { }")
        let change = try await next("delete element ip watched ports { 80 }")
        #expect(change.count == 1)
        withExtendedLifetime(monitor) {}
    }

    @Test("more than can wait to be read: then all is to be compared")
    func overflow() async throws {
        // The reader is held until far more has been sent than its buffer takes.
        let gate = Mutex(())
        let (told, continuation) = AsyncStream.makeStream(of: ForeignChange.self)
        let monitor = try namespace.run {
            try RulesetMonitor(of: [id], ignoring: own.portID, receiveBuffer: 4096) { change in
                gate.withLock { _ in }
                continuation.yield(change)
            }
        }
        try gate.withLock { _ in
            for number in 1...40 {
                let ports = (0..<100).map { "\(number * 100 + $0)" }.joined(separator: ",")
                try namespace.command("nft", "add element ip watched ports { \(ports) }")
            }
        }
        var all = ForeignChange()
        for await change in told {
            all.formUnion(change)
            if all.isWhole { break }
        }
        #expect(all.isWhole)
        withExtendedLifetime(monitor) {}
    }

    @Test("of very many objects, only that all is to be compared is kept")
    func bounds() {
        var all = ForeignChange()
        for number in 0..<2000 {
            var change = ForeignChange()
            change.count = 1
            change.parts = [id: TableScope(chains: ["chain-\(number)"])]
            change.examples = ["add chain \(number)"]
            all.formUnion(change)
        }
        #expect(all.isWhole)
        #expect(all.parts.values.allSatisfy { $0.chains.count <= ForeignChange.partLimit })
        #expect(all.examples.count == 3)
        #expect(all.count == 2000)
    }
}
