import NFTablesKernel
import Testing

@testable import Agent

@Suite("How often others' changes are put right")
struct RepairPacingTests {
    private let start = ContinuousClock.now
    private let change: ForeignChange = {
        var change = ForeignChange()
        change.count = 1
        return change
    }()

    @Test("at once, ten times in a row; then once a second, and who asks is told when")
    func burst() {
        var pacing = RepairPacing()
        for _ in 0..<10 {
            pacing.add(change)
            #expect(pacing.next(at: start) == .now)
            #expect(pacing.pending == nil)
        }
        pacing.add(change)
        #expect(pacing.next(at: start) == .after(.seconds(1)))
        #expect(pacing.next(at: start + .milliseconds(500)) == .waiting)
        #expect(pacing.pending != nil)
        #expect(pacing.next(at: start + .seconds(1)) == .now)
        pacing.add(change)
        #expect(pacing.next(at: start + .milliseconds(1200)) == .after(.milliseconds(800)))
    }

    @Test("what gathers meanwhile is put right together, and a quiet time gives the haste back")
    func recovery() {
        var pacing = RepairPacing()
        for _ in 0..<10 {
            pacing.add(change)
            _ = pacing.next(at: start)
        }
        pacing.add(change)
        pacing.add(change)
        #expect(pacing.pending?.count == 2)
        #expect(pacing.next(at: start + .seconds(100)) == .now)
        for _ in 0..<9 {
            pacing.add(change)
            #expect(pacing.next(at: start + .seconds(100)) == .now)
        }
        pacing.add(change)
        #expect(pacing.next(at: start + .seconds(100)) == .after(.seconds(1)))
    }

    @Test("against a program that never stops, repairs stay at one a second")
    func fight() {
        var pacing = RepairPacing()
        var repairs = 0
        for millisecond in 0..<60_000 {
            pacing.add(change)
            if pacing.next(at: start + .milliseconds(millisecond)) == .now { repairs += 1 }
        }
        #expect((69...70).contains(repairs))
    }
}
