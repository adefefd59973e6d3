import Agent
import ArgumentParser
import KubeProxyFlags
import Logging
import NFTables
import NFTablesKernel

struct CleanupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Remove the tables that Sluice made, and nothing else.",
        discussion: """
            New connections to Services are not served any more. Open ones stay open as long as other rules on the node,
            such as a network plugin's, need connection tracking: when the last such rule goes, the kernel stops
            translating them.
            """)

    @OptionGroup(title: "Logging")
    var log: LogOptions

    func run() throws { try Self.cleanUp(log.makeLogger()) }

    /// Also `sluice run --cleanup`.
    static func cleanUp(_ logger: Logger) throws {
        do {
            let removed = try Cleanup.run(Preflight.connect())
            logger.info(
                removed.isEmpty
                    ? "nothing to remove"
                    : "removed tables \(removed.map(\.description).joined(separator: " and "))")
        } catch let error as PreflightError {
            logger.critical("\(error)")
            throw ExitCode.failure
        } catch let error as KernelError {
            logger.critical("nothing was removed", metadata: ["error": "\(error)"])
            throw ExitCode.failure
        }
    }
}
