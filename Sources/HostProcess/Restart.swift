import Glibc

/// Starts this program anew in this process: the same program, arguments and environment, and the same process number,
/// so that whoever watches the process sees no end.
public enum Restart {
    /// In the environment of a program that was started anew in place: its process's number, which it had before.
    private static let mark = "SLUICE_STARTED_ANEW"

    /// Whether this program was started anew in place, in this very process; true once, since what it starts itself is
    /// another program.
    public static func hasJustHappened() -> Bool {
        guard let number = getenv(mark) else { return false }
        let isOwn = String(cString: number) == "\(getpid())"
        unsetenv(mark)
        // The kernel has called the process by the path that was executed.
        if isOwn, let path = CommandLine.arguments.first, let name = path.split(separator: "/").last {
            let file = open("/proc/self/comm", O_WRONLY | O_CLOEXEC)
            _ = write(file, String(name), min(name.utf8.count, 15))
            close(file)
        }
        return isOwn
    }

    /// Comes back only when it fails. No file goes along but the standard ones; signals that are ignored or blocked are
    /// put back first, since exec(2) would hand them on. SIGTERM and SIGINT alone are handed on blocked, so that one that
    /// comes between the old program's handlers and the new one's waits: the new one is to unblock them.
    ///
    /// - Throws: `HostProcessError` when the program can't be executed.
    public static func now(_ arguments: [String] = CommandLine.arguments) throws(HostProcessError) -> Never {
        for number in [SIGHUP, SIGPIPE, SIGCHLD] { signal(number, SIG_DFL) }
        var waiting = sigset_t()
        sigemptyset(&waiting)
        for number in [SIGTERM, SIGINT] { sigaddset(&waiting, number) }
        pthread_sigmask(SIG_SETMASK, &waiting, nil)
        leaveFilesBehind()
        setenv(mark, "\(getpid())", 1)
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        defer { for word in words { free(word) } }
        words.append(nil)
        execv("/proc/self/exe", words)
        throw HostProcessError(call: "execute /proc/self/exe", errno: errno)
    }

    /// Marks all files but the standard ones close-on-exec: whoever opened it, a socket that went along would stay bound.
    private static func leaveFilesBehind() {
        guard let folder = opendir("/proc/self/fd") else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let descriptor = Int32(name), descriptor > STDERR_FILENO else { continue }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
    }
}
