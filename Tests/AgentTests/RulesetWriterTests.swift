import FakeKernel
import Glibc
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import ServiceModel
import Testing

@testable import Agent

@Suite("The writer of rulesets")
struct RulesetWriterTests {
    private let bench = Bench(FakeNFTables())
    private var kernel: FakeNFTables { bench.kernel }

    /// One Service of two endpoints in force.
    private func begin() throws {
        bench.apply(service("web", "10.96.0.1", "fd00::1"), endpoints("web", "10.244.0.1", "10.244.0.2"))
        try bench.write()
    }

    private func expectInForce(_ location: SourceLocation = #_sourceLocation) {
        #expect(bench.differencesInForce.isEmpty, sourceLocation: location)
    }

    @Test("the first write makes both tables in one transaction")
    func first() throws {
        let report = try {
            try begin()
            return try bench.write()
        }()
        #expect(kernel.transactions.count == 1)
        #expect(kernel.tables.keys.sorted() == [TableID(.ip, "sluice"), TableID(.ip6, "sluice")])
        #expect(report == WriteReport())
        expectInForce()
    }

    @Test("plans that change nothing cost no message")
    func nothing() throws {
        try begin()
        bench.apply(endpoints("web", "10.244.0.2", "10.244.0.1"))
        #expect(try bench.write().messages == 0)
        #expect(kernel.attempts == 1)
    }

    @Test("many changed Services are one transaction")
    func many() throws {
        try begin()
        for index in 0..<200 {
            bench.apply(
                service("s\(index)", "10.96.1.\(index)"),
                endpoints("s\(index)", "10.244.1.\(index)", "10.244.2.\(index)"))
        }
        try bench.write()
        #expect(kernel.attempts == 2)
        expectInForce()
    }

    @Test("a refused transaction is followed by a look at what is there and by what it takes")
    func refused() throws {
        try begin()
        let reads = kernel.reads
        kernel.failCommits([.refused])
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.3"))
        let report = try bench.write()
        #expect(report.compared)
        #expect(report.repairedAfter?.errno == ENOMEM)
        #expect(kernel.reads == reads + 2)
        #expect(kernel.attempts == 3)
        expectInForce()
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.4"))
        #expect(try bench.write().compared == false, "what is there is known again")
    }

    @Test("a transaction and its repair that fail leave the old rules, and their plans for later")
    func refusedTwice() throws {
        try begin()
        let before = kernel.tables
        kernel.failCommits([.refused, .refused])
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.3"))
        #expect(throws: KernelError.self) { try bench.write() }
        #expect(kernel.tables == before)
        bench.apply(service("more", "10.96.0.2"))
        let report = try bench.write()
        #expect(report.compared)
        #expect(report.repairedAfter == nil)
        expectInForce()
    }

    @Test("a write without plans tries again what failed")
    func retry() throws {
        try begin()
        kernel.failCommits([.refused, .refused])
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.3"))
        #expect(throws: KernelError.self) { try bench.write() }
        #expect(try bench.write().messages > 0)
        expectInForce()
        #expect(try bench.write() == WriteReport())
    }

    @Test(
        "an answer that is lost ends in force, whether the transaction was carried out or not",
        arguments: [true, false])
    func lost(isApplied: Bool) throws {
        try begin()
        kernel.failCommits([.lostAnswer(isApplied: isApplied)])
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.3", "10.244.0.4"), service("more", "10.96.0.2"))
        let report = try bench.write()
        #expect(report.compared)
        #expect((report.messages == 0) == isApplied)
        expectInForce()
        let fresh = Bench(FakeNFTables())
        fresh.apply(
            service("web", "10.96.0.1", "fd00::1"), endpoints("web", "10.244.0.1", "10.244.0.2"))
        try fresh.write()
        fresh.apply(endpoints("web", "10.244.0.1", "10.244.0.3", "10.244.0.4"), service("more", "10.96.0.2"))
        try fresh.write()
        #expect(fresh.kernel.tables.mapValues(\.comparable) == kernel.tables.mapValues(\.comparable))
    }

    @Test("a first look that fails loses no plan")
    func unreadableAtFirst() throws {
        let failure = KernelError.read(object: "table ip sluice", errno: ENOMEM)
        kernel.failReads([failure, failure])
        bench.apply(service("web", "10.96.0.1"), endpoints("web", "10.244.0.1", "10.244.0.2"))
        #expect(throws: failure) { try bench.write() }
        bench.apply(service("more", "10.96.0.2"))
        #expect(throws: failure) { try bench.write() }
        #expect(kernel.attempts == 0)
        try bench.write()
        expectInForce()
        let services = kernel.tables[TableID(.ip, "sluice")]?.elements["services"]
        #expect(services?.count == 2)
    }

    @Test("a plan that is taken back while the first look fails is not put in force")
    func takenBack() throws {
        kernel.failReads([.read(object: "table ip sluice", errno: ENOMEM)])
        bench.apply(service("web", "10.96.0.1"))
        #expect(throws: KernelError.self) { try bench.write() }
        bench.remove(.service(name("web")))
        try bench.write()
        #expect(kernel.tables[TableID(.ip, "sluice")]?.elements["services"] == [])
    }

    @Test("a first commit that fails is tried again from what is there then")
    func failedAtFirst() throws {
        kernel.failCommits([.refused])
        bench.apply(service("web", "10.96.0.1"), endpoints("web", "10.244.0.1", "10.244.0.2"))
        #expect(throws: KernelError.self) { try bench.write() }
        try kernel.change([.addTable(TableID(.ip, "sluice"), comment: nil)])
        try bench.write()
        expectInForce()
    }

    @Test("tables that somebody deleted are made again at the first commit that fails for it")
    func deleted() throws {
        try begin()
        try kernel.change([.deleteTable(TableID(.ip, "sluice"))])
        bench.apply(endpoints("web", "10.244.0.1", "10.244.0.3"))
        let report = try bench.write()
        #expect(report.repairedAfter?.errno == ENOENT)
        expectInForce()
    }

    @Test("a chain that somebody put in the place of a base chain is replaced")
    func wrongHook() throws {
        let id = TableID(.ip, "sluice")
        try kernel.change([
            .addTable(id, comment: nil), .addChain(id, Chain("prerouting")), .addChain(id, Chain("theirs")),
            .addRule(id, chain: "theirs", Rule([.jump("prerouting")])),
            .addSet(id, NamedSet("services", key: Shape(.ipv6Address))),
        ])
        try begin()
        expectInForce()
    }

    @Test("other tables are let alone")
    func others() throws {
        let other = TableID(.inet, "sluice")
        try kernel.change([.addTable(other, comment: "theirs"), .addChain(other, Chain("prerouting"))])
        let before = kernel.tables[other]
        try begin()
        #expect(kernel.tables[other] == before)
        for transaction in kernel.transactions { #expect(transaction.allSatisfy { $0.table != other }) }
    }

    @Test("who starts over finds nothing to do, even with names at their limits")
    func restart() throws {
        let long = ObjectName(
            namespace: String(repeating: "n", count: 63), name: String(repeating: "s", count: 63))
        let port = String(repeating: "p", count: 15)
        func objects(_ bench: Bench<FakeNFTables>) {
            var names = [port, "one", "none"]
            names.swapAt(0, 0)
            bench.apply(
                .service(
                    Service(
                        name: long, clusterIPs: [ip("10.96.0.7"), ip("fd00::7")],
                        ports: names.enumerated().map {
                            .init(
                                name: $1 + String(repeating: "x", count: 15 - $1.count), transport: .sctp,
                                port: UInt16(80 + $0))
                        }, affinityTimeout: nil)),
                .service(
                    Service(
                        name: ObjectName(namespace: long.namespace, name: long.name.uppercased()),
                        clusterIPs: [ip("10.96.0.8")],
                        ports: [.init(name: port, transport: .sctp, port: 80)], affinityTimeout: 86_400)),
                .endpointSlice(
                    EndpointSlice(
                        name: long, service: long, family: .ipv4,
                        endpoints: [.init(address: ip("10.244.0.1")), .init(address: ip("10.244.0.2"))],
                        ports: [.init(name: port, transport: .sctp, port: 65535)])),
                .endpointSlice(
                    EndpointSlice(
                        name: name("one"), service: long, family: .ipv6,
                        endpoints: [.init(address: ip("fd00:244::1"))],
                        ports: [.init(name: port, transport: .sctp, port: 65535)])),
                .endpointSlice(
                    EndpointSlice(
                        name: name("other"),
                        service: ObjectName(namespace: long.namespace, name: long.name.uppercased()),
                        family: .ipv4,
                        endpoints: [.init(address: ip("10.244.0.1")), .init(address: ip("10.244.0.2"))],
                        ports: [.init(name: port, transport: .sctp, port: 65535)])))
        }
        objects(bench)
        #expect(try bench.write().problems.isEmpty)
        expectInForce()
        let restarted = Bench(kernel)
        objects(restarted)
        let report = try restarted.write()
        #expect(report.messages == 0)
        #expect(report.compared)
    }

    @Test("the problems of a write that failed are told by the one that goes through")
    func problems() throws {
        try begin()
        kernel.failCommits([.refused, .refused])
        let odd = ObjectName(namespace: "default", name: "under_score")
        bench.apply(
            .service(Service(name: odd, clusterIPs: [ip("10.96.0.9")], ports: [.init(port: 80)])),
            service("more", "10.96.0.2"))
        #expect(throws: KernelError.self) { try bench.write() }
        let report = try bench.write()
        #expect(report.problems.map(\.subject) == [.object(.service(odd))])
        #expect(try bench.write().problems.isEmpty)
    }

    @Test("what can't be programmed is told once, and once when it is over")
    func standingProblem() throws {
        try begin()
        let odd = ObjectName(namespace: "default", name: "under_score")
        func put(_ address: String) {
            bench.apply(
                .service(Service(name: odd, clusterIPs: [ip(address)], ports: [.init(port: 80)])))
        }
        put("10.96.0.9")
        let first = try bench.write()
        #expect(first.problems.map(\.subject) == [.object(.service(odd))])
        #expect(first.pastProblems.isEmpty)
        put("10.96.0.10")
        let second = try bench.write()
        #expect(second.messages > 0)
        #expect(second.problems.isEmpty)
        #expect(second.pastProblems.isEmpty)
        bench.remove(.service(odd))
        let last = try bench.write()
        #expect(last.problems.isEmpty)
        #expect(last.pastProblems == first.problems)
    }

    @Test("a problem that comes and goes while writes fail is none")
    func passingProblem() throws {
        try begin()
        kernel.failCommits([.refused, .refused])
        let odd = ObjectName(namespace: "default", name: "under_score")
        bench.apply(
            .service(Service(name: odd, clusterIPs: [ip("10.96.0.9")], ports: [.init(port: 80)])))
        #expect(throws: KernelError.self) { try bench.write() }
        bench.remove(.service(odd))
        let report = try bench.write()
        #expect(report.problems.isEmpty)
        #expect(report.pastProblems.isEmpty)
    }
}

extension RulesetWriterTests {
    /// The parts that a tamperer touched.
    private func parts(_ sets: Set<String> = [], _ chains: Set<String> = []) -> [TableID: TableScope] {
        [TableID(.ip, "sluice"): TableScope(sets: sets, chains: chains)]
    }

    @Test("what others changed in a part is put right before anything new, and nothing else is read")
    func foreignPart() throws {
        try begin()
        let id = TableID(.ip, "sluice")
        let reads = kernel.reads
        try kernel.change([.flushSet(id, set: "services"), .flushChain(id, chain: "dispatch")])
        bench.writer.doubt(parts(["services"], ["dispatch"]))
        bench.apply(service("more", "10.96.0.2"), endpoints("more", "10.244.0.1", "10.244.0.2"))
        let report = try bench.write()
        #expect(report.undone > 0)
        #expect(report.repairedAfter == nil)
        #expect(!report.compared)
        // The stand-in reads the whole for a part.
        #expect(kernel.reads == reads + 1)
        expectInForce()
        #expect(try bench.write() == WriteReport())
    }

    @Test("where the repair of a part is refused, all is compared")
    func refusedPart() throws {
        try begin()
        let id = TableID(.ip, "sluice")
        try kernel.change([.flushSet(id, set: "services")])
        bench.writer.doubt(parts(["services"]))
        kernel.failCommits([.refused])
        let report = try bench.write()
        #expect(report.compared)
        #expect(report.undone == 0)
        expectInForce()
    }

    @Test("a table that is gone is more than a part")
    func goneTable() throws {
        try begin()
        try kernel.change([.deleteTable(TableID(.ip, "sluice"))])
        bench.writer.doubt(parts(["services"]))
        #expect(try bench.write().compared)
        expectInForce()
    }
}
