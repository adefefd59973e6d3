import KubeProxyFlags
import Logging
import ProxyConfiguration
import ServiceLifecycle
import Synchronization

/// Comes to its end when the file that `--config` names holds another configuration, and a right one.
///
/// A wrong one is told and passed over: what runs keeps to the one from before. The program reads the new one when it
/// starts anew, so that no part of it has to change its settings while it works.
struct ConfigurationService: Sendable {
    private let changes: AsyncStream<Void>
    private let run: Run
    private let current: AgentConfiguration
    private let logger: Logger
    private let state = State()
    /// Called when the program is to be started anew, before anything ends.
    private let due: @Sendable () -> Void

    private final class State: Sendable {
        let isDue = Mutex(false)
    }

    init(
        changes: AsyncStream<Void>, from current: AgentConfiguration, run: Run, logger: Logger,
        due: @escaping @Sendable () -> Void
    ) {
        self.changes = changes
        self.current = current
        self.run = run
        self.logger = logger
        self.due = due
    }

    /// Whether the program is to be started anew.
    var isDue: Bool { state.isDue.withLock { $0 } }

    var part: Part {
        Part {
            for await _ in changes {
                guard isToBeUsed else { continue }
                logger.info("the configuration file has changed: starting anew, the rules stay")
                state.isDue.withLock { $0 = true }
                due()
                return
            }
            // Without a file to follow: until the end.
            try? await gracefulShutdown()
        }
    }

    private var isToBeUsed: Bool {
        do throws(ConfigurationError) {
            guard try run.readConfiguration().0 != current else {
                logger.info("the configuration file says what it said before")
                return false
            }
        } catch {
            for problem in error.problems { logger.error("\(problem)") }
            logger.error("the configuration file is wrong: the one from before stays in force")
            return false
        }
        // Its content is gone: what is started anew would find nothing, and take that for the cluster.
        guard !run.paths.contains("-") else {
            logger.warning(
                "the configuration file has changed; standard input can't be read again: start anew")
            return false
        }
        return true
    }
}
