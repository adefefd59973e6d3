import Glibc

/// Starts this program anew in this process: the same program, arguments and environment, and the same process number,
/// so that whoever watches the process sees no end.
public enum Restart {
    /// Comes back only when it fails. Every file that is to stay behind must be close-on-exec; signals that are
    /// ignored or blocked are put back first, since exec(2) would hand them on.
    ///
    /// - Throws: `HostProcessError` when the program can't be executed.
    public static func now(_ arguments: [String] = CommandLine.arguments) throws(HostProcessError) {
        for number in [SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD] { signal(number, SIG_DFL) }
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        defer { for word in words { free(word) } }
        words.append(nil)
        execv("/proc/self/exe", words)
        throw HostProcessError(call: "execute /proc/self/exe", errno: errno)
    }
}
