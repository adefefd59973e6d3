import Dispatch
import Glibc
import Logging
import ServiceLifecycle
import Synchronization

/// How the program comes to its end: SIGTERM and SIGINT end it, and a new configuration starts it anew.
///
/// Both shut the services down in order. A signal counts even when the other came first: who asked for the end gets it.
final class Termination: Sendable {
    private let trap: SignalTrap?
    private let isEnding = Mutex(false)
    private let logger: Logger

    /// An end takes no longer, whatever hangs: from the signal, or the new configuration, on.
    private static let longest = DispatchTimeInterval.milliseconds(1800)

    /// From here on the signals don't end the process by themselves.
    init(_ logger: Logger) {
        self.logger = logger
        trap = SignalTrap([SIGTERM, SIGINT])
        if trap == nil {
            logger.warning("signals end the program at once: there is no file left to hear of them")
        }
    }

    /// Whether a signal asked for the end.
    var isAskedFor: Bool { isEnding.withLock { $0 } }

    /// Shuts the group down at the first signal, until the task is cancelled.
    ///
    /// - Parameter began: called before.
    func watch(_ group: ServiceGroup, began: () -> Void) async {
        guard let trap else { return }
        for await number in trap.signals {
            let isFirst = isEnding.withLock { isEnding in
                defer { isEnding = true }
                return !isEnding
            }
            guard isFirst else { continue }
            logger.info("\(number == SIGTERM ? "SIGTERM" : "SIGINT"): ending, the rules stay")
            atTheLatest { _exit(EXIT_SUCCESS) }
            began()
            await group.triggerGracefulShutdown()
        }
    }

    /// Leaves what hasn't ended in time as it is: the kernel makes a transaction whole or not at all.
    ///
    /// - Parameter leave: doesn't come back.
    func atTheLatest(_ leave: @escaping @Sendable () -> Never) {
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.longest) { [logger] in
            logger.warning("not everything has ended in time: left as it is")
            leave()
        }
    }
}
