internal import CNetfilter
import Glibc
import Synchronization

/// Wakes a thread that sleeps in poll(2), from any other, by an eventfd(2).
final class Wakeup: Sendable {
    /// Readable once `signal` was called; for the thread that calls `close`, and until then.
    let descriptor: Int32
    /// Nil when closed, since the number may by then be somebody else's file.
    private let open: Mutex<Int32?>

    init() throws(HostNetworkError) {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard descriptor >= 0 else { throw .call("eventfd", errno: errno) }
        open = Mutex(descriptor)
    }

    deinit { close() }

    func signal() {
        open.withLock { open in
            guard let open else { return }
            // A counter that is full is readable as well, so that the result doesn't matter.
            _ = eventfd_write(open, 1)
        }
    }

    func close() {
        open.withLock { open in
            guard let descriptor = open else { return }
            Glibc.close(descriptor)
            open = nil
        }
    }
}
