import Agent
import FakeKernel
import Glibc
import IPAddressing
import NFTables
import NFTablesKernel
import SeededRandom
import Testing

/// Each error that the kernel or the way to it can give, at any place of random schedules.
@Suite("Whatever the kernel says")
struct KernelErrorTests {
    /// An errno, as something that tests are repeated for.
    struct ErrorNumber: Sendable, CustomTestStringConvertible {
        let errno: Int32
        var testDescription: String { KernelError.text(errno) }
    }

    static let numbers = [
        ENOBUFS, EINTR, EAGAIN, EBUSY, ENOENT, EEXIST, ENOMEM, EPERM, E2BIG, EMSGSIZE, ENFILE, ENOSPC, EINVAL,
        ERANGE, EOPNOTSUPP,
    ].map(ErrorNumber.init)
    private static let seeds: UInt64 = 12
    private static let steps = 25

    /// Virtual addresses and ports that something answers at.
    private func answered(_ table: Table?) -> Set<RegisterValue> {
        Set(["services", "direct"].flatMap { table?.elements[$0] ?? [] }.map(\.key))
    }

    private func answered(_ kernel: FakeNFTables, _ family: AddressFamily) -> Set<RegisterValue> {
        answered(kernel.tables[TableID(family == .ipv4 ? .ip : .ip6, "sluice")])
    }

    private func inject(_ number: Int32, _ kernel: FakeNFTables, _ random: inout SeededGenerator) {
        let refused = KernelError.refused([.init(operation: "add element", errno: number)])
        switch random.number(0...7) {
        case 0: kernel.failCommits([.error(refused)])
        case 1: kernel.failCommits([.error(.socket(call: "send", errno: number))])
        case 2: kernel.failCommits([.lostAnswer(isApplied: random.once(in: 2))])
        // Again and again, then behind a look at what is there.
        case 3: kernel.failCommits([.error(refused), .error(refused)])
        case 4: kernel.failCommits([.error(refused), nil, .error(refused)])
        case 5:
            kernel.failCommits([.error(refused)])
            kernel.failReads([.read(object: "table ip sluice", errno: number)])
        case 6:
            kernel.failCommits([.error(refused)])
            kernel.failReads([nil, .socket(call: "receive", errno: number)])
        default:
            kernel.failCommits([.error(refused)])
            kernel.failReads([.unstable(object: "table ip sluice", attempts: 10)])
        }
    }

    @Test(
        "at any place, it ends with what is wanted, and what shall be answered always is",
        arguments: numbers)
    func anywhere(number: ErrorNumber) throws {
        var faults = 0
        for seed in 0..<Self.seeds {
            let kernel = FakeNFTables(canDestroyElements: seed % 2 == 0)
            var cluster = RandomCluster(seed: seed)
            let bench = Bench(kernel)
            for step in 0..<Self.steps {
                let place = Testing.Comment(rawValue: "seed \(seed), step \(step)")
                let before = AddressFamily.allCases.map { answered(kernel, $0) }
                bench.apply(cluster.change())
                if cluster.random.once(in: 2) { inject(number.errno, kernel, &cluster.random) }
                let attempts = kernel.attempts
                let transactions = kernel.transactions.count
                do throws(KernelError) {
                    try bench.write()
                    #expect(bench.differencesInForce.isEmpty, place)
                } catch {
                    // Only what was put in: nothing of Sluice's own is refused.
                    switch error {
                    case .lost, .unstable: break
                    default: #expect(error.errno == number.errno, "\(place): \(error)")
                    }
                }
                faults += (kernel.attempts - attempts) - (kernel.transactions.count - transactions)
                for (family, before) in zip(AddressFamily.allCases, before) {
                    let wanted = answered(bench.writer.wantedTable(family))
                    #expect(before.intersection(wanted).isSubset(of: answered(kernel, family)), place)
                }
                kernel.clearFaults()
            }
            try bench.write()
            #expect(bench.differencesInForce.isEmpty, "seed \(seed)")
            let restarted = Bench(kernel)
            restarted.apply(cluster.objects.mapValues { $0 })
            #expect(try restarted.write().messages == 0, "seed \(seed)")
        }
        print("faults, \(number.testDescription): \(faults) transactions that did not go through")
        #expect(faults > 50)
    }

    @Test("whoever finds that the tables belong to another keeps asking, at most two seconds apart")
    func owned() {
        var pacing = CommitPacing()
        let pauses = (0..<20).map { _ in pacing.failed(chance: 0, isOwned: true) }
        #expect(pauses.first == .milliseconds(100))
        #expect(pauses.last == .seconds(2))
    }
}
