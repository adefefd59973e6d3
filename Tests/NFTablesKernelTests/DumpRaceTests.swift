import Foundation
import NFTables
import NFTablesKernel
import Synchronization
import TestNetwork
import Testing

/// Reading while others write.
@Suite(
    "A table that is read belongs to one moment",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
struct DumpRaceTests {
    @Test("two sets that always change together are never seen apart")
    func together() throws {
        let namespace = try Namespace("race")
        defer { namespace.remove() }
        let id = TableID(.ip, "race")
        let reader = try namespace.run { try Connection() }
        let shape = Shape(.internetService)
        try reader.commit([
            .addTable(id, comment: nil), .addSet(id, NamedSet("left", key: shape)),
            .addSet(id, NamedSet("right", key: shape)),
        ])
        let isStopping = Mutex(false)
        let hasStopped = DispatchSemaphore(value: 0)
        let commits = Mutex(0)
        let thread = Thread {
            defer { hasStopped.signal() }
            guard let writer = try? namespace.run({ try Connection() }) else { return }
            // Bounded, whatever becomes of the reader.
            for number in 0..<100_000 where !isStopping.withLock({ $0 }) {
                let elements = (0..<64).map {
                    Element(RegisterValue(port: UInt16((number * 7 + $0) % 60_000)))
                }
                let committed = try? writer.commit([
                    .flushSet(id, set: "left"), .flushSet(id, set: "right"),
                    .addElements(id, set: "left", elements), .addElements(id, set: "right", elements),
                ])
                if committed != nil { commits.withLock { $0 += 1 } }
                usleep(300)
            }
        }
        thread.start()
        var (whole, unstable) = (0, 0)
        for _ in 0..<300 {
            do throws(KernelError) {
                let table = try reader.table(id)
                let sides = ["left", "right"].map { Set((table?.elements[$0] ?? []).map(\.key)) }
                #expect(sides[0] == sides[1])
                whole += 1
            } catch {
                guard case .unstable = error else { throw error }
                unstable += 1
            }
        }
        isStopping.withLock { $0 = true }
        hasStopped.wait()
        print(
            "dumps under fire: \(whole) whole, \(unstable) given up, beside \(commits.withLock { $0 }) commits"
        )
        #expect(whole > 0)
        #expect(commits.withLock { $0 } > 0)
    }
}
