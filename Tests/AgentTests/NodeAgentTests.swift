import Agent
import FakeKernel
import Glibc
import HealthChecks
import IPAddressing
import KubernetesAPI
import Logging
import NFTables
import NFTablesKernel
import Synchronization
import Testing

/// Keeps what was logged, in order.
private struct MemoryLog: LogHandler {
    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func append(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.append("\(event.level): \(event.message)") }
}

@Suite("The loop", .timeLimit(.minutes(1)))
struct NodeAgentTests {
    private let kernel = FakeNFTables()
    private let inbox = ChangeInbox()
    private let lines = MemoryLog.Lines()
    private let commits: AsyncStream<Bool>

    init() {
        let (commits, continuation) = AsyncStream.makeStream(of: Bool.self)
        self.commits = commits
        kernel.observe { result in continuation.yield((try? result.get()) != nil) }
    }

    private func makeAgent() -> NodeAgent<FakeNFTables> {
        NodeAgent(
            settings: ProxySettings(nodeName: "node"), kernel: kernel, inbox: inbox,
            logger: Logger(label: "test") { [lines] _ in MemoryLog(lines: lines) })
    }

    /// Starts an agent and follows the inbox until `body` is done and the signals have ended.
    private func run(_ body: (inout AsyncStream<Bool>.Iterator) async throws -> Void) async throws {
        let agent = makeAgent()
        try agent.start([service("web", "10.96.0.1"), endpoints("web", "10.244.0.1", "10.244.0.2")])
        let loop = Task { await agent.run() }
        var commits = commits.makeAsyncIterator()
        #expect(await commits.next() == true)
        try await body(&commits)
        inbox.finish()
        await loop.value
    }

    private var servedAddresses: Int {
        kernel.tables[TableID(.ip, "sluice")]?.elements["services"]?.count ?? 0
    }

    @Test("a start puts all in force, in one transaction")
    func start() throws {
        try makeAgent().start([service("web", "10.96.0.1"), service("more", "10.96.0.2")])
        #expect(kernel.transactions.count == 1)
        #expect(servedAddresses == 2)
        #expect(lines.all.contains("info: serving"))
    }

    @Test("a start that the kernel refuses says so")
    func failedStart() {
        kernel.failCommits([.refused])
        let agent = makeAgent()
        #expect(throws: KernelError.self) { try agent.start([service("web", "10.96.0.1")]) }
        #expect(kernel.tables.isEmpty)
    }

    @Test(
        "statement 23: load balancers hear of endpoints once they are in force, and of those that go before")
    func healthChecks() throws {
        let told = Mutex<[[Int]]>([])
        let agent = NodeAgent(
            settings: ProxySettings(nodeName: "node"), kernel: kernel, inbox: inbox,
            logger: Logger(label: "test") { [lines] _ in MemoryLog(lines: lines) },
            checksChanged: { checks in told.withLock { $0.append(checks.values.map(\.localEndpoints)) } })
        func objects(_ addresses: String...) -> [ClusterObject] {
            [
                .service(
                    Service(
                        name: name("web"), kind: .loadBalancer, clusterIPs: [ip("10.96.0.1")],
                        ports: [.init(port: 80)], externalTrafficPolicy: .local,
                        loadBalancerIPs: [ip("192.0.2.1")], healthCheckNodePort: 31_000)),
                .endpointSlice(
                    EndpointSlice(
                        name: name("web-1"), service: name("web"), family: .ipv4,
                        endpoints: addresses.map { .init(address: ip($0), nodeName: "node") },
                        ports: [.init(port: 8080)])),
            ]
        }
        kernel.failCommits([.refused])
        #expect(throws: KernelError.self) { try agent.start(objects("10.244.0.1", "10.244.0.2")) }
        #expect(told.withLock { $0 } == [])
        try agent.start(objects("10.244.0.1", "10.244.0.2"))
        #expect(told.withLock { $0 } == [[2]])
        // One goes: said although it can't be put in force.
        kernel.failCommits([.refused, .refused])
        #expect(throws: KernelError.self) { try agent.start(objects("10.244.0.1")) }
        #expect(told.withLock { $0 } == [[2], [1]])
        kernel.failCommits([.refused])
        #expect(throws: KernelError.self) {
            try agent.start(objects("10.244.0.1", "10.244.0.3", "10.244.0.4"))
        }
        #expect(told.withLock { $0 } == [[2], [1]])
        try agent.start(objects("10.244.0.1", "10.244.0.3", "10.244.0.4"))
        #expect(told.withLock { $0 } == [[2], [1], [3]])
    }

    @Test(
        "statement 26: flows are looked at again when rules had to be repaired, since they may have gone past them"
    )
    func flowsAfterRepair() throws {
        let told = Mutex(0)
        let agent = NodeAgent(
            settings: ProxySettings(nodeName: "node"), kernel: kernel, inbox: inbox,
            logger: Logger(label: "test") { [lines] _ in MemoryLog(lines: lines) },
            inForce: { _ in told.withLock { $0 += 1 } })
        try agent.start([service("web", "10.96.0.1")])
        let before = told.withLock { $0 }
        try kernel.change([.deleteTable(TableID(.ip, "sluice"))])
        try agent.start([service("web", "10.96.0.1"), service("more", "10.96.0.2")])
        #expect(servedAddresses == 2)
        #expect(told.withLock { $0 } == before + 1)
        // TCP alone, and nothing to repair: nothing to look for.
        try agent.start([service("last", "10.96.0.3")])
        #expect(told.withLock { $0 } == before + 1)
    }

    @Test("changes in the inbox come in force")
    func changes() async throws {
        try await run { commits in
            inbox.put(upserted: [service("more", "10.96.0.2")])
            #expect(await commits.next() == true)
            #expect(servedAddresses == 2)
            inbox.put(removed: [.service(name("web"))])
            #expect(await commits.next() == true)
            #expect(servedAddresses == 1)
        }
        #expect(kernel.attempts == 3)
    }

    @Test("what gathers while a commit runs is one transaction")
    func coalescing() async throws {
        try await run { commits in
            kernel.beforeNextCommit { [inbox] _ in
                for index in 1...100 { inbox.put(upserted: [service("s\(index)", "10.96.1.\(index)")]) }
            }
            inbox.put(upserted: [service("more", "10.96.0.2")])
            #expect(await commits.next() == true)
            #expect(await commits.next() == true)
            #expect(servedAddresses == 102)
        }
        #expect(kernel.attempts == 3)
    }

    @Test("failures are tried again until all that was asked for meanwhile is in force")
    func failures() async throws {
        try await run { commits in
            // Two rounds of a commit, or its repair, that fails.
            kernel.failCommits([.refused, .refused, .lostAnswer(isApplied: false)])
            inbox.put(upserted: [service("more", "10.96.0.2")])
            #expect(await commits.next() == false)
            #expect(await commits.next() == false)
            inbox.put(upserted: [service("last", "10.96.0.3")])
            #expect(await commits.next() == false)
            #expect(await commits.next() == true)
            #expect(servedAddresses == 3)
        }
        let errors = lines.all.filter { $0.hasPrefix("error: not in force, the rules from before stay") }
        #expect(errors.count == 2)
    }

    @Test("a change that fails is tried again though nothing else happens")
    func retry() async throws {
        try await run { commits in
            kernel.failCommits([.refused, .refused])
            inbox.put(upserted: [service("more", "10.96.0.2")])
            #expect(await commits.next() == false)
            #expect(await commits.next() == false)
            #expect(await commits.next() == true)
            #expect(servedAddresses == 2)
        }
    }

    @Test("problems are told once, and once that they are over")
    func problems() async throws {
        try await run { commits in
            inbox.put(
                upserted: [service("zwo", "10.96.0.1"), service("more", "10.96.0.2")],
                problems: [ObjectProblem(source: "a.yaml", message: "is no object")])
            #expect(await commits.next() == true)
            inbox.put(upserted: [endpoints("zwo", "10.244.0.9"), endpoints("more", "10.244.0.8")])
            #expect(await commits.next() == true)
            inbox.put(removed: [.service(name("web"))])
            #expect(await commits.next() == true)
        }
        #expect(
            lines.all.filter { $0.contains("belongs to Service default/web") }.map { $0.prefix(12) } == [
                "warning: Ser", "info: solved",
            ])
        #expect(lines.all.contains("warning: a.yaml: is no object"))
    }

    @Test("what the ruleset can't hold is logged once, and once that it is over")
    func compilerProblems() async throws {
        try await run { commits in
            // Its cluster IP is in a set whatever becomes of its ports, so each change is a commit.
            for address in ["10.96.0.9", "10.96.0.10"] {
                inbox.put(upserted: [service("under_score", address)])
                #expect(await commits.next() == true)
            }
            inbox.put(removed: [.service(name("under_score"))])
            #expect(await commits.next() == true)
        }
        let told = lines.all.filter { $0.contains("can't be used in the ruleset") }
        #expect(told.map { $0.prefix(12) } == ["warning: Ser", "info: solved"])
    }

    @Test("a task that is cancelled ends the loop and leaves the rules")
    func cancelled() async throws {
        let agent = makeAgent()
        try agent.start([service("web", "10.96.0.1")])
        let before = kernel.tables
        let loop = Task { await agent.run() }
        loop.cancel()
        inbox.put(upserted: [service("more", "10.96.0.2")])
        await loop.value
        #expect(kernel.tables == before)
    }
}

/// A stand-in for what hears of others.
private final class CountedWatch: RulesetWatch, Sendable {
    private let stopped: @Sendable () -> Void
    init(_ stopped: @escaping @Sendable () -> Void) { self.stopped = stopped }
    func stop() { stopped() }
}

extension NodeAgentTests {
    /// What became of watches.
    private final class Watches: Sendable {
        let begun = Mutex(0)
        let stopped = Mutex(0)
        let tell = Mutex<(@Sendable (ForeignChange) -> Void)?>(nil)
    }

    private func watchingAgent(_ watches: Watches, ownsTables: Bool = false) -> NodeAgent<FakeNFTables> {
        NodeAgent(
            settings: ProxySettings(nodeName: "node", ownsTables: ownsTables), kernel: kernel, inbox: inbox,
            logger: Logger(label: "test") { [lines] _ in MemoryLog(lines: lines) },
            watch: { changed in
                watches.begun.withLock { $0 += 1 }
                watches.tell.withLock { $0 = changed }
                return CountedWatch { watches.stopped.withLock { $0 += 1 } }
            })
    }

    private static let many = (0..<5000).map { "10.245.\($0 / 250).\($0 % 250 + 1)" }

    @Test("what others change is put right; nobody is told of the elements of a large transaction")
    func watching() async throws {
        let watches = Watches()
        let agent = watchingAgent(watches)
        try agent.start([service("web", "10.96.0.1"), endpoints("web", "10.244.0.1", "10.244.0.2")])
        // The first rules needn't be told of at all.
        #expect(watches.begun.withLock { $0 } == 0)
        let loop = Task { await agent.run() }
        var commits = commits.makeAsyncIterator()
        #expect(await commits.next() == true)
        inbox.put(upserted: [service("more", "10.96.0.2")])
        #expect(await commits.next() == true)
        #expect(watches.begun.withLock { $0 } == 1)

        let id = TableID(.ip, "sluice")
        try kernel.change([.flushSet(id, set: "services")])
        var change = ForeignChange()
        change.count = 1
        change.parts = [id: TableScope(sets: ["services"])]
        change.author = .init(processID: 7, name: "nft")
        watches.tell.withLock { $0 }?(change)
        #expect(await commits.next() == true)
        #expect(servedAddresses == 2)
        #expect(lines.all.contains("warning: somebody else changed the tables: putting them right"))

        inbox.put(upserted: [endpoints("web", Self.many)])
        #expect(await commits.next() == true)
        #expect(watches.stopped.withLock { $0 } == 1)
        // Behind it, all is compared, since nobody heard what happened meanwhile.
        inbox.put(upserted: [service("last", "10.96.0.3")])
        #expect(await commits.next() == true)
        inbox.finish()
        await loop.value
        #expect(watches.begun.withLock { $0 } >= 2)
        #expect(servedAddresses == 3)
    }

    @Test("where the kernel refuses what a comparison finds again and again, the tables are replaced")
    func stuck() throws {
        let agent = makeAgent()
        let objects = [service("web", "10.96.0.1"), endpoints("web", "10.244.0.1", "10.244.0.2")]
        try agent.start(objects)
        let id = TableID(.ip, "sluice")
        try kernel.change([.flushSet(id, set: "services")])
        let refused = FakeNFTables.Fault.error(.refused([.init(operation: "delete chain", errno: EBUSY)]))
        let next = makeAgent()
        for attempt in 0..<3 {
            if attempt < 2 {
                kernel.failCommits([refused])
                #expect(throws: KernelError.self) { try next.start(objects) }
            } else {
                try next.start(objects)
            }
        }
        #expect(kernel.transactions.last?.contains(.deleteTable(id)) == true)
        #expect(servedAddresses == 1)
    }
}
