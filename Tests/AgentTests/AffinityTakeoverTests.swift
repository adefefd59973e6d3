import Agent
import FakeKernel
import IPAddressing
import KubernetesAPI
import Logging
import NFTables
import NFTablesKernel
import ServiceModel
import Synchronization
import Testing

@Suite("Clients that another proxy led")
struct AffinityTakeoverTests {
    private static let table = TableID(.ip, "sluice")
    private static let map = "affinity-pool-default/web/tcp/8080"
    private static let web = ServicePortID(service: name("web"), transport: .tcp, port: "")

    private static func entry(_ client: String, _ endpoint: String, left: UInt64) -> Element {
        Element(
            RegisterValue(ip(client).bytes), data: .value(RegisterValue(ip(endpoint).bytes)),
            timeout: 100_000, expiration: left)
    }

    private static func led(_ client: String, _ endpoint: String, port: UInt16 = 8080, left: UInt64)
        -> LedClient
    {
        LedClient(client: ip(client), endpoint: AddressPort(ip(endpoint), port), remaining: left)
    }

    private static func bench() throws -> Bench<FakeNFTables> {
        let bench = Bench(FakeNFTables())
        bench.apply(
            service("web", "10.96.0.1", affinity: 100), service("plain", "10.96.0.2"),
            endpoints("web", "10.244.0.1", "10.244.0.2"), endpoints("plain", "10.244.0.1"))
        try bench.write()
        return bench
    }

    private static func entries(_ bench: Bench<FakeNFTables>) throws -> Set<Element> {
        Set(try bench.kernel.elements(of: map, in: table))
    }

    @Test(
        "they keep their endpoints for the time they have left, or the Service's timeout where that is less")
    func remembered() throws {
        let bench = try Self.bench()
        let count = try bench.writer.remember([
            Self.web: [
                Self.led("192.0.2.1", "10.244.0.1", left: 70),
                Self.led("192.0.2.2", "10.244.0.2", left: 200_000),
            ]
        ])
        #expect(count == 2)
        #expect(
            try Self.entries(bench) == [
                Self.entry("192.0.2.1", "10.244.0.1", left: 70),
                Self.entry("192.0.2.2", "10.244.0.2", left: 100_000),
            ])
        #expect(try bench.writer.isInForce())
    }

    @Test("what Sluice knows of a client counts, and endpoints that are gone don't")
    func known() throws {
        let bench = try Self.bench()
        try bench.kernel.change([
            .addElements(Self.table, set: Self.map, [Self.entry("192.0.2.1", "10.244.0.2", left: 5)])
        ])
        let count = try bench.writer.remember([
            Self.web: [
                Self.led("192.0.2.1", "10.244.0.1", left: 70), Self.led("192.0.2.2", "10.244.0.9", left: 70),
                Self.led("192.0.2.3", "10.244.0.1", port: 8081, left: 70),
            ],
            ServicePortID(service: name("plain"), transport: .tcp, port: ""): [
                Self.led("192.0.2.4", "10.244.0.1", left: 70)
            ],
            ServicePortID(service: name("gone"), transport: .tcp, port: ""): [
                Self.led("192.0.2.5", "10.244.0.1", left: 70)
            ],
            ServicePortID(service: name("web"), transport: .udp, port: ""): [
                Self.led("192.0.2.6", "10.244.0.1", left: 70)
            ],
        ])
        #expect(count == 0)
        #expect(try Self.entries(bench) == [Self.entry("192.0.2.1", "10.244.0.2", left: 5)])
    }

    @Test(
        "a packet that writes an entry at the same moment is in the right, and the others come all the same")
    func race() throws {
        let bench = try Self.bench()
        bench.kernel.beforeNextCommit { kernel in
            #expect(throws: Never.self) {
                try kernel.change([
                    .addElements(Self.table, set: Self.map, [Self.entry("192.0.2.1", "10.244.0.2", left: 5)])
                ])
            }
        }
        let count = try bench.writer.remember([
            Self.web: [
                Self.led("192.0.2.1", "10.244.0.1", left: 70), Self.led("192.0.2.2", "10.244.0.1", left: 70),
            ]
        ])
        #expect(count == 1)
        #expect(
            try Self.entries(bench) == [
                Self.entry("192.0.2.1", "10.244.0.2", left: 5),
                Self.entry("192.0.2.2", "10.244.0.1", left: 70),
            ])
    }

    @Test("a kernel that refuses again and again is told")
    func refused() throws {
        let bench = try Self.bench()
        bench.kernel.failCommits([.refused, .refused, .refused])
        #expect(throws: KernelError.self) {
            try bench.writer.remember([Self.web: [Self.led("192.0.2.1", "10.244.0.1", left: 70)]])
        }
    }

    @Test("tables that somebody has changed are not in force")
    func notInForce() throws {
        let bench = try Self.bench()
        #expect(try bench.writer.isInForce())
        try bench.kernel.change([.flushChain(Self.table, chain: "dispatch")])
        #expect(try !bench.writer.isInForce())
        try bench.kernel.change([.deleteTable(TableID(.ip6, "sluice"))])
        #expect(try !bench.writer.isInForce())
    }

    /// What happened, in order.
    private final class Calls: Sendable {
        private let calls = Mutex<[String]>([])
        var all: [String] { calls.withLock { $0 } }
        func add(_ call: String) { calls.withLock { $0.append(call) } }
    }

    /// An agent that comes after another proxy, and how often that one was asked for its clients and retired.
    private func agent(
        on kernel: FakeNFTables, _ asked: Calls
    ) -> NodeAgent<FakeNFTables> {
        NodeAgent(
            settings: ProxySettings(nodeName: "node"), kernel: kernel, inbox: ChangeInbox(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            predecessor: Predecessor(
                clients: { _ in
                    asked.add("asked after \(kernel.transactions.count)")
                    return [Self.web: [Self.led("192.0.2.1", "10.244.0.2", left: 70)]]
                },
                retire: { _ in asked.add("retired after \(kernel.transactions.count)") }))
    }

    private static let objects = [
        service("web", "10.96.0.1", affinity: 100), endpoints("web", "10.244.0.1", "10.244.0.2"),
    ]

    @Test("they come with the tables, in one transaction, and then the other proxy is retired")
    func together() throws {
        let (kernel, asked) = (FakeNFTables(), Calls())
        let agent = agent(on: kernel, asked)
        try agent.start(Self.objects)
        #expect(kernel.transactions.count == 1)
        #expect(
            try kernel.elements(of: Self.map, in: Self.table) == [
                Self.entry("192.0.2.1", "10.244.0.2", left: 70)
            ])
        try agent.start([service("more", "10.96.0.2")])
        #expect(asked.all == ["asked after 0", "retired after 1"])
    }

    @Test("a first transaction that fails is tried again without them, and nobody is retired before")
    func failing() throws {
        let (kernel, asked) = (FakeNFTables(), Calls())
        let agent = agent(on: kernel, asked)
        kernel.failCommits([.refused])
        #expect(throws: KernelError.self) { try agent.start(Self.objects) }
        #expect(asked.all == ["asked after 0"])
        try agent.start([])
        #expect(asked.all == ["asked after 0", "retired after 1"])
        #expect(try kernel.elements(of: Self.map, in: Self.table) == [])
    }

    @Test("tables that stand aren't touched for their sake")
    func standing() throws {
        let (bench, asked) = (try Self.bench(), Calls())
        let agent = agent(on: bench.kernel, asked)
        try agent.start(Self.objects + [service("plain", "10.96.0.2"), endpoints("plain", "10.244.0.1")])
        #expect(bench.kernel.transactions.count == 1)
        #expect(asked.all == ["retired after 1"])
    }
}
