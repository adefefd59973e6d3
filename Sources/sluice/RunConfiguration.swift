import Agent
import ArgumentParser
import Conntrack
import FileWatching
import Foundation
import HostProcess
import IPAddressing
import KubeProxyFlags
import Logging
import ProxyConfiguration
import StatusServers

extension Run {
    /// The configuration from the file, if one is named, and the flags. What is wrong in it is told, all of it.
    func loadConfiguration() throws -> (AgentConfiguration, KubeProxyConfiguration.File?) {
        do throws(ConfigurationError) {
            return try readConfiguration()
        } catch {
            let logger = options.log.makeLogger()
            for problem in error.problems { logger.critical("\(problem)") }
            throw ExitCode.failure
        }
    }

    /// The same, for those who tell what is wrong themselves.
    func readConfiguration() throws(ConfigurationError) -> (
        AgentConfiguration, KubeProxyConfiguration.File?
    ) {
        var (configuration, file) = try options.load()
        configuration.proxy.ownsTables = ownTables
        return (configuration, file)
    }

    /// One element when the file that `--config` names has other content; none without such a file.
    func followConfiguration(_ file: KubeProxyConfiguration.File?) throws -> AsyncStream<Void> {
        guard let file, let path = options.config else { return AsyncStream { $0.finish() } }
        do throws(FileWatchError) {
            return try ConfigurationWatcher(path: path, contents: file.contents).changes()
        } catch {
            options.log.makeLogger().critical("\(error)")
            throw ExitCode.failure
        }
    }

    /// `--write-config-to`.
    func write(_ configuration: KubeProxyConfiguration, to path: String, _ logger: Logger) throws {
        do {
            try Data(configuration.yaml().utf8).write(to: URL(fileURLWithPath: path))
            logger.info("wrote the configuration", metadata: ["file": "\(path)"])
            if configuration.healthzBindAddress.isEmpty || configuration.metricsBindAddress.isEmpty {
                logger.warning("no file can turn a server off: read back, it has its default address")
            }
        } catch {
            logger.critical("\(path): cannot be written", metadata: ["error": "\(error)"])
            throw ExitCode.failure
        }
    }

    /// `--init-only`. What can't be set is told: were it a failure, a node would have no proxy for want of a limit.
    func initialize(_ configuration: AgentConfiguration, _ logger: Logger) {
        loadConnectionTracking(logger)
        if setKernelParameters(configuration.conntrack, logger) { logger.info("connection tracking is set") }
    }

    /// Before anything has used it, its parameters aren't there. A question brings in the modules that answer it.
    private func loadConnectionTracking(_ logger: Logger) {
        do {
            // What is seldom there: only the question counts.
            try ConntrackConnection().dump(.ipv4, protocol: .sctp) { _ in }
        } catch {
            logger.warning("connection tracking can't be asked", metadata: ["error": "\(error)"])
        }
    }

    /// `oomScoreAdj`. A container has its own from the kubelet and may not lower it: no reason for a warning.
    func adjustOutOfMemoryScore(_ value: Int, _ logger: Logger) {
        do throws(HostProcessError) {
            try OutOfMemoryScore.adjust(value)
        } catch {
            logger.info("the out-of-memory score stays as it is", metadata: ["error": "\(error)"])
        }
    }
}

extension StatusService.Settings {
    init(_ configuration: AgentConfiguration) {
        self.init(
            healthz: configuration.healthzAddress.map { BindAddress($0) },
            metrics: configuration.metricsAddress.map { BindAddress($0) },
            bindAddressHardFail: configuration.bindAddressHardFail)
    }
}
