import CTestNetwork
import Glibc
import Synchronization

/// A command that could not run or ended with something other than 0.
public struct CommandError: Error, CustomStringConvertible {
    public let arguments: [String]
    /// The exit status, or 128 + the signal that ended it, as a shell counts.
    public let status: Int32
    public let standardError: String

    public var description: String {
        "`\(arguments.joined(separator: " "))` ended with status \(status): \(standardError)"
    }
}

/// Runs `arguments` (the first one is looked up in PATH) in the calling thread's network namespace, gives
/// it `input` on standard input, and returns what it wrote to standard output.
///
/// Throws `CommandError` on an exit status other than 0, `SystemError` when it can't be started.
@discardableResult
package func runCommand(_ arguments: [String], input: String = "") throws -> String {
    let process = try ChildProcess(arguments, input: input)
    let status = process.wait()
    guard status == 0 else {
        throw CommandError(arguments: arguments, status: status, standardError: try process.standardError)
    }
    return try process.standardOutput
}

/// A child process in a namespace, whose output is kept in memory files: nobody has to read
/// for it to make progress, however much it says.
///
/// It is killed (SIGKILL) when the last reference goes.
public final class ChildProcess: Sendable {
    public let arguments: [String]
    public let processID: Int32
    private let output: Descriptor
    private let error: Descriptor
    private let status = Mutex<Int32?>(nil)

    init(_ arguments: [String], input: String = "") throws {
        let stdin = try Descriptor.memoryFile()
        try stdin.write(all: Array(input.utf8))
        guard lseek(stdin.raw, 0, SEEK_SET) == 0 else { throw SystemError("lseek") }
        output = try Descriptor.memoryFile()
        error = try Descriptor.memoryFile()
        self.arguments = arguments
        var pid: Int32 = 0
        var cArguments: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        let result = ctest_spawn(&pid, &cArguments, stdin.raw, output.raw, error.raw)
        for argument in cArguments { free(argument) }
        guard result == 0 else {
            throw SystemError("start `\(arguments.joined(separator: " "))`", number: result)
        }
        processID = pid
    }

    deinit {
        send(SIGKILL)
        _ = wait()
    }

    /// What the process has written to standard output until now.
    public var standardOutput: String { get throws { try output.contents() } }

    /// What the process has written to standard error until now.
    public var standardError: String { get throws { try error.contents() } }

    /// True until the process has ended.
    public var isRunning: Bool { collect(options: WNOHANG) == nil }

    /// Sends a signal, e.g. SIGTERM; does nothing when the process has ended.
    public func send(_ signal: Int32) {
        status.withLock { if $0 == nil { kill(processID, signal) } }
    }

    /// Longer than any command of a test takes.
    public static let patience = Duration.seconds(180)

    /// Waits for the end; returns the exit status, or 128 + the signal that ended the process.
    ///
    /// One that is still there after `patience` has failed: where it stands is told on standard error, and it is killed.
    public func wait(atMost patience: Duration = patience) -> Int32 {
        let deadline = ContinuousClock.now.advanced(by: patience)
        // Whether it has ended is seen without collecting it: until then its id stays its own and `send` cannot hit a
        // stranger.
        if let handle = try? Descriptor(ctest_pidfd(processID), "pidfd_open"),
            (try? handle.wait(for: POLLIN, until: deadline)) == false
        {
            tellWhereItStands(after: patience)
            send(SIGKILL)
        }
        while true {
            if let status = collect(options: 0) { return status }
        }
    }

    private func tellWhereItStands(after patience: Duration) {
        let backtrace = ["gdb", "-p", "\(processID)", "-batch", "-ex", "thread apply all backtrace 30"]
        let stacks = try? ChildProcess(["timeout", "60"] + backtrace)
        _ = stacks?.wait()
        let text = """
            `\(arguments.joined(separator: " "))` has not ended in \(patience); it stands at:
            \((try? stacks?.standardOutput) ?? "no debugger is here")
            and has said:
            \((try? standardError) ?? "")

            """
        _ = Array(text.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private func collect(options: Int32) -> Int32? {
        status.withLock { status in
            if let status { return status }
            var raw: Int32 = 0
            guard waitpid(processID, &raw, options) == processID else { return nil }
            let signal = raw & 0x7f
            status = signal == 0 ? (raw >> 8) & 0xff : 128 + signal
            return status
        }
    }
}
