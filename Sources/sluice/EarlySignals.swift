import Glibc

/// SIGTERM and SIGINT until the program can end in order.
enum EarlySignals {
    /// What would be lost ends the program: signals that wait since before the program was started anew in place, and
    /// those that come while it is a container's first process, for which the kernel has no default action
    /// (pid_namespaces(7)).
    ///
    /// To be called before anything that starts a thread.
    static func arm() {
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &before)
        for number in [SIGTERM, SIGINT] {
            let isHandedOn = sigismember(&before, number) == 1
            guard isHandedOn || getpid() == 1 else { continue }
            var action = sigaction()
            // signal-safety(7). Who was started anew served before: that is an end in order.
            if isHandedOn {
                action.__sigaction_handler.sa_handler = { _ in _exit(EXIT_SUCCESS) }
            } else {
                action.__sigaction_handler.sa_handler = { number in _exit(128 + number) }
            }
            sigaction(number, &action, nil)
            var one = sigset_t()
            sigemptyset(&one)
            sigaddset(&one, number)
            pthread_sigmask(SIG_UNBLOCK, &one, nil)
        }
    }
}
