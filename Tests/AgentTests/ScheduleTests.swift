import Agent
import FakeKernel
import Glibc
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import Ruleset
import SeededRandom
import TestNetwork
import Testing

@Suite("Random schedules of changes and failures")
struct ScheduleTests {
    private static let steps = 40

    /// `SLUICE_TEST_SEED` runs one schedule alone.
    private static func seeds(_ count: UInt64) -> [UInt64] {
        if let text = getenv("SLUICE_TEST_SEED"), let seed = UInt64(String(cString: text)) { return [seed] }
        return (0..<count).map { 1000 + $0 }
    }

    @Test(
        "whatever fails, what was written is what is wanted, and a restart changes nothing",
        arguments: [true, false])
    func schedules(canDestroyElements: Bool) throws {
        for seed in Self.seeds(150) {
            try schedule(seed, FakeNFTables(canDestroyElements: canDestroyElements))
        }
    }

    private func schedule(_ seed: UInt64, _ kernel: FakeNFTables) throws {
        var cluster = RandomCluster(seed: seed)
        let bench = Bench(kernel)
        var isTampered = false
        for step in 0..<Self.steps {
            let place = Testing.Comment(rawValue: "seed \(seed), step \(step)")
            kernel.clearFaults()
            bench.apply(cluster.change())
            if step > 0, cluster.random.once(in: 6) {
                isTampered = tamper(kernel, &cluster.random) || isTampered
            }
            if isTampered || cluster.random.once(in: 5) {
                kernel.failCommits([cluster.fault()?.fault ?? .refused])
            }
            if cluster.random.once(in: 8) { kernel.failReads([.unstable(object: "table", attempts: 10)]) }
            if cluster.random.once(in: 12) { kernel.failCommits([.refused, .lostAnswer(isApplied: true)]) }
            do throws(KernelError) {
                let report = try bench.write()
                if report.compared { isTampered = false }
                guard !isTampered else { continue }
                let differences = bench.differencesInForce
                #expect(differences.isEmpty, place)
                guard differences.isEmpty else { return }
            } catch {
                switch error {
                case .refused(let refusals):
                    let isInjected = refusals.allSatisfy { $0.errno == ENOMEM }
                    #expect(isInjected, "\(place): \(error)")
                    guard isInjected else { return }
                case .lost, .unstable: break
                default:
                    Issue.record("\(place): \(error)")
                    return
                }
            }
        }
        try settle(
            bench, cluster, Testing.Comment(rawValue: "seed \(seed), at the end"), isTampered: isTampered)
    }

    /// When nothing fails any more everything comes in force, and one who starts over finds nothing to do.
    private func settle(
        _ bench: Bench<FakeNFTables>, _ cluster: RandomCluster, _ place: Testing.Comment, isTampered: Bool
    ) throws {
        let kernel = bench.kernel
        kernel.clearFaults()
        if isTampered {
            // The next commit fails and is followed by a look at what is there.
            kernel.failCommits([.refused])
            bench.apply(service("last", "10.96.0.99"))
            _ = try? bench.write()
            bench.remove(.service(name("last")))
        }
        try bench.write()
        #expect(bench.differencesInForce.isEmpty, place)
        let before = kernel.transactions.count
        let restarted = Bench(kernel)
        restarted.apply(cluster.objects.mapValues { $0 })
        let report = try restarted.write()
        #expect(report.messages == 0, place)
        #expect(kernel.transactions.count == before, place)
        #expect(restarted.differencesInForce.isEmpty, place)
        for family in AddressFamily.allCases {
            let (found, left) = (restarted.writer.wantedTable(family), bench.writer.wantedTable(family))
            #expect(found.comparable == left.comparable, place)
        }
    }

    /// Somebody changes our tables. True when anything was changed.
    private func tamper(_ kernel: FakeNFTables, _ random: inout SeededGenerator) -> Bool {
        guard let table = kernel.tables.values.sorted(by: { $0.id < $1.id }).randomElement(using: &random)
        else {
            return false
        }
        let id = table.id
        var operations: [NFTables.Operation] = []
        switch random.number(0...6) {
        case 0: operations = [.deleteTable(id)]
        case 1:
            let full = table.elements.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
            guard let (set, elements) = full.randomElement(using: &random), table.sets[set]?.flags == []
            else {
                return false
            }
            operations = [.deleteElements(id, set: set, [elements[0]])]
        case 2:
            guard let chain = table.chains.keys.sorted().randomElement(using: &random) else { return false }
            operations = [.flushChain(id, chain: chain)]
        case 3:
            guard let chain = table.chains.keys.sorted().randomElement(using: &random) else { return false }
            operations = [.addRule(id, chain: chain, Rule([.counter, .return]))]
        case 4:
            // A chain of theirs, reached from one of ours and through a map of theirs.
            let map = NamedSet("theirs", key: Shape(.internetService), data: .verdict)
            operations = [
                .addSet(id, map), .addChain(id, Chain("a-theirs")), .addChain(id, Chain("b-theirs")),
                .addRule(id, chain: "a-theirs", Rule([.verdictMap(.thDport, name: "theirs")])),
                .addRule(id, chain: "prerouting", Rule([.jump("a-theirs")])),
                .addElements(
                    id, set: "theirs",
                    [Element(RegisterValue(port: 1), data: .verdict(.goto("b-theirs")))]),
            ]
        case 5: operations = [.flushSet(id, set: "services")]
        default:
            operations = [
                .addElements(
                    id, set: "cluster-ips",
                    [Element(RegisterValue((id.family == .ip ? ip("192.0.2.1") : ip("2001:db8::1")).bytes))])
            ]
        }
        return (try? kernel.change(operations)) != nil
    }

    @Test(
        "the kernel agrees",
        .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)))
    func kernel() throws {
        for seed in Self.seeds(10) {
            let namespace = try Namespace("schedule")
            var cluster = RandomCluster(seed: seed)
            let bench = Bench(try namespace.run { try Connection() })
            for step in 0..<Self.steps {
                let place = Testing.Comment(rawValue: "seed \(seed), step \(step)")
                bench.apply(cluster.change())
                let report = try bench.write()
                #expect(report.repairedAfter == nil, place)
                let differences = try bench.differences()
                #expect(differences.isEmpty, place)
                guard differences.isEmpty, report.repairedAfter == nil else { return }
            }
            let restarted = Bench(bench.kernel)
            restarted.apply(cluster.objects.mapValues { $0 })
            #expect(try restarted.write().messages == 0, "seed \(seed), restarted")
        }
    }
}

extension RandomCluster.Mishap {
    fileprivate var fault: FakeNFTables.Fault {
        switch self {
        case .refused, .unreadable: .refused
        case .lost(let isApplied): .lostAnswer(isApplied: isApplied)
        }
    }
}
