import Glibc
public import Netlink

/// The lock that legacy iptables and its callers hold while they change a table: a table is read, changed and put back as
/// a whole, and what another did in between would be undone.
///
/// In a container without the host's /run there is none; then the kernel alone notices that a table has another number of
/// rules by now.
public final class XTablesLock {
    private let descriptor: Int32

    private static let path = "/run/xtables.lock"
    private static let attempts = 100
    private static let pause = UInt32(50_000)

    /// Waits 5 s at most; nil where nobody has ever locked.
    public static func take() throws(KernelError) -> XTablesLock? {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw .read(object: path, errno: errno) }
            return nil
        }
        for _ in 0..<attempts {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return XTablesLock(descriptor) }
            guard errno == EWOULDBLOCK || errno == EINTR else { break }
            usleep(pause)
        }
        let error = errno
        close(descriptor)
        throw .refused([.init(operation: "lock \(path)", errno: error)])
    }

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }
}
