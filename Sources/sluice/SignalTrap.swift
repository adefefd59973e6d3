import Dispatch
import Glibc
import Synchronization

/// Signals as a sequence, each one that arrives from the moment on at which this is made.
///
/// With a handler of its own, since between the decision to start the program anew and exec(2) nobody reads such a
/// sequence any more: from `leaveAtOnce` on, the handler itself ends the process. The first process of a container would
/// otherwise lose the signal for good.
final class SignalTrap: Sendable {
    /// What the handler writes to; -1 for nothing.
    private static let writer = Atomic<Int32>(-1)
    private static let isLeaving = Atomic(false)

    private static let hasArrived = Atomic(false)

    /// From here on, a signal ends the process where it stands, with success; so does one that has arrived before,
    /// whether or not anybody has read it.
    static func leaveAtOnce() {
        isLeaving.store(true, ordering: .sequentiallyConsistent)
        if hasArrived.load(ordering: .sequentiallyConsistent) { _exit(EXIT_SUCCESS) }
    }

    let signals: AsyncStream<Int32>
    private let source: DispatchSource

    /// To be made once in a process.
    ///
    /// - Returns: nil when the process has no file left.
    init?(_ numbers: [Int32]) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { return nil }
        let (reader, writer) = (ends[0], ends[1])
        let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
        guard
            let source = DispatchSource.makeReadSource(
                fileDescriptor: reader, queue: DispatchQueue(label: "signals")) as? DispatchSource
        else {
            close(reader)
            close(writer)
            return nil
        }
        source.setEventHandler {
            var number = UInt8(0)
            while recv(reader, &number, 1, 0) == 1 { continuation.yield(Int32(number)) }
        }
        source.activate()
        self.signals = signals
        self.source = source
        Self.writer.store(writer, ordering: .releasing)
        for number in numbers {
            var action = sigaction()
            action.sa_flags = SA_RESTART
            action.__sigaction_handler.sa_handler = { number in
                // signal-safety(7): nothing but a write, and errno as it was.
                if SignalTrap.isLeaving.load(ordering: .sequentiallyConsistent) { _exit(EXIT_SUCCESS) }
                SignalTrap.hasArrived.store(true, ordering: .sequentiallyConsistent)
                let error = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(SignalTrap.writer.load(ordering: .acquiring), &byte, 1)
                errno = error
            }
            sigaction(number, &action, nil)
        }
    }
}
