import Agent
import ArgumentParser
import KubeProxyFlags
import KubeProxyLeftovers
import Logging
import NFTables
import NFTablesKernel

struct CleanupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Remove the tables that Sluice made, or what kube-proxy left, and nothing else.",
        discussion: """
            New connections to Services are not served any more. Open ones stay open as long as other rules on the node,
            such as a network plugin's, need connection tracking: when the last such rule goes, the kernel stops
            translating them.

            With --kube-proxy, kube-proxy's tables and chains are removed, and Sluice's stay. While kube-proxy runs it
            writes them again: stop it first.
            """)

    @Flag(help: "Remove what kube-proxy left, and leave Sluice's tables alone.")
    var kubeProxy = false

    @OptionGroup(title: "Logging")
    var log: LogOptions

    func run() throws {
        let logger = log.makeLogger()
        if kubeProxy { try Self.removeLeftovers(logger) } else { try Self.cleanUp(logger) }
    }

    /// Also `sluice run --cleanup`.
    static func cleanUp(_ logger: Logger) throws {
        try reporting(logger) {
            let connection = try Preflight.connect()
            try RulesetLock.claim()
            let removed = try Cleanup.run(connection)
            logger.info(
                removed.isEmpty
                    ? "nothing to remove"
                    : "removed tables \(removed.map(\.description).joined(separator: " and "))")
        }
    }

    private static func removeLeftovers(_ logger: Logger) throws {
        try reporting(logger, failed: "not all that kube-proxy left was removed") {
            let connection = try Preflight.connect()
            let removal = try Leftovers.remove(connection)
            removal.tell(logger)
            let left = try Leftovers.find(connection)
            if left.hasIPVS {
                logger.error("what kube-proxy's IPVS mode left is for `kube-proxy --cleanup` to remove")
                throw ExitCode.failure
            }
            if removal.removed.isEmpty, left.isEmpty { logger.info("nothing to remove") }
        }
    }

    private static func reporting(
        _ logger: Logger, failed: Logger.Message = "nothing was removed", _ body: () throws -> Void
    ) throws {
        do {
            try body()
        } catch let error as PreflightError {
            logger.critical("\(error)")
            throw ExitCode.failure
        } catch let error as KernelError {
            logger.critical(failed, metadata: ["error": "\(error)"])
            throw ExitCode.failure
        }
    }
}
