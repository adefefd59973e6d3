import Glibc
import HostProcess

/// SIGTERM and SIGINT until the program can end in order.
enum EarlySignals {
    /// What would be lost ends the program: signals that wait since before it was started anew in place, and those that
    /// come while it is a container's first process, for which the kernel has no default action (pid_namespaces(7)).
    ///
    /// To be called before anything that starts a thread.
    static func arm() {
        let isAnew = Restart.hasJustHappened()
        var waiting = sigset_t()
        sigemptyset(&waiting)
        for number in [SIGTERM, SIGINT] {
            sigaddset(&waiting, number)
            // Whoever else blocked it: a program that can't be ended is of use to nobody.
            guard isAnew || getpid() == 1 else { continue }
            var action = sigaction()
            // signal-safety(7). Who was started anew served before: that is an end in order.
            if isAnew {
                action.__sigaction_handler.sa_handler = { _ in _exit(EXIT_SUCCESS) }
            } else {
                action.__sigaction_handler.sa_handler = { number in _exit(128 + number) }
            }
            sigaction(number, &action, nil)
        }
        pthread_sigmask(SIG_UNBLOCK, &waiting, nil)
    }
}
