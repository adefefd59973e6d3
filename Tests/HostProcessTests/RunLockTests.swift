import Foundation
import Glibc
import Testing

@testable import HostProcess

@Suite("A name that one program has")
struct RunLockTests {
    private let name = "sluice.test.\(UUID())"

    @Test("the first has it, the second is told who, and takes it when the first is gone")
    func two() {
        var first: RunLock? = RunLock(name)
        let second = RunLock(name)
        #expect(first?.take() == nil)
        #expect(first?.take() == nil)
        #expect(second.take() == RunLock.Holder(processID: getpid()))
        first = nil
        while second.take() != nil { usleep(1000) }
        #expect(RunLock(name).take() != nil)
    }

    @Test("whoever asks thousands of times is answered each time")
    func asking() {
        let (first, second) = (RunLock(name), RunLock(name))
        #expect(first.take() == nil)
        for _ in 0..<3000 { #expect(second.take() != nil) }
    }
}
