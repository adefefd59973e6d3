import Glibc

/// How readily the kernel ends this process when memory runs out (proc_pid_oom_score_adj(5)).
public enum OutOfMemoryScore {
    /// -1000, never, to 1000, first of all.
    public static let range = -1000...1000

    /// Sets the adjustment of this process. To lower it takes CAP_SYS_RESOURCE.
    ///
    /// - Throws: `HostProcessError`, EINVAL when it is out of range.
    public static func adjust(_ value: Int, path: String = "/proc/self/oom_score_adj")
        throws(HostProcessError)
    {
        guard range.contains(value) else { throw HostProcessError(call: "\(path) \(value)", errno: EINVAL) }
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw HostProcessError(call: "open \(path)", errno: errno) }
        defer { close(file) }
        let text = Array("\(value)\n".utf8)
        guard write(file, text, text.count) == text.count else {
            throw HostProcessError(call: "write \(value) to \(path)", errno: errno)
        }
    }
}
