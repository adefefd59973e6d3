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
        while second.take() != nil {}
        #expect(RunLock(name).take() == RunLock.Holder(processID: getpid()))
    }

    @Test("however often it changes hands, nobody goes on without it")
    func relay() {
        for round in 0..<300 {
            let name = "\(name).\(round)"
            var first: RunLock? = RunLock(name)
            #expect(first?.take() == nil)
            let second = RunLock(name)
            first = nil
            while second.take() != nil {}
            #expect(RunLock(name).take() == RunLock.Holder(processID: getpid()))
        }
    }

    @Test(
        "somebody with fewer rights who sits on the name keeps nobody from running",
        .enabled(if: geteuid() == 0))
    func squatter() throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c",
            """
            import os, socket, sys
            os.setgid(65534); os.setuid(65534)
            s = socket.socket(socket.AF_UNIX)
            s.bind("\\0" + sys.argv[1])
            s.listen(8)
            print("sits", flush=True)
            sys.stdin.read()
            """, name,
        ]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        var said = Data()
        while !said.contains(UInt8(ascii: "\n")), case let more = output.fileHandleForReading.availableData,
            !more.isEmpty
        {
            said += more
        }
        #expect(said == Data("sits\n".utf8))
        let lock = RunLock(name)
        #expect(lock.take() == nil)
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        #expect(lock.take() == nil)
        #expect(RunLock(name).take() == RunLock.Holder(processID: getpid()))
    }

    @Test("whoever asks thousands of times is answered each time")
    func asking() {
        let (first, second) = (RunLock(name), RunLock(name))
        #expect(first.take() == nil)
        for _ in 0..<3000 { #expect(second.take() != nil) }
    }
}
