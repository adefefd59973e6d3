import Glibc
import Synchronization

/// Wakes a thread that sleeps in poll(2), from any other, through a pair of sockets.
package final class Canceller: Sendable {
    /// Readable once cancelled; for the thread that calls `close`, and until then.
    let descriptor: CInt
    /// The end to write to; nil when closed, since the number may by then be somebody else's file.
    private let writeEnd: Mutex<CInt?>

    /// - Throws: `FileWatchError` when the process has no file descriptor left.
    package init() throws(FileWatchError) {
        var ends: [CInt] = [-1, -1]
        let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        guard socketpair(AF_UNIX, CInt(type), 0, &ends) == 0 else {
            throw FileWatchError("socketpair", errno)
        }
        descriptor = ends[0]
        writeEnd = Mutex(ends[1])
    }

    deinit { close() }

    package func cancel() {
        writeEnd.withLock { end in
            guard let end else { return }
            // A full socket is readable as well, so that the result doesn't matter.
            _ = send(end, [1 as UInt8], 1, CInt(MSG_NOSIGNAL))
        }
    }

    package func close() {
        writeEnd.withLock { end in
            guard let open = end else { return }
            Glibc.close(open)
            Glibc.close(descriptor)
            end = nil
        }
    }
}
