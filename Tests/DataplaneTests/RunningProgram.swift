import Foundation
import TemporaryFiles
import TestNetwork
import Testing

/// A `sluice run` on the first node of a cluster, that follows a directory of manifests.
struct RunningProgram {
    let cluster: TestCluster
    let directory: TemporaryDirectory
    let process: ChildProcess

    /// Starts it; when this returns, the first rules are in force.
    ///
    /// - Parameters:
    ///   - files: the first manifests, by file name.
    ///   - options: further options of `sluice run`.
    ///   - wrapper: a command that runs the one behind it.
    init(
        on cluster: TestCluster, _ files: [String: String], options: [String] = [], wrapper: [String] = []
    ) throws {
        let directory = try TemporaryDirectory()
        for (name, text) in files { try directory.write(text, to: name) }
        try self.init(on: cluster, directory, options: options, wrapper: wrapper)
    }

    init(
        on cluster: TestCluster, _ directory: TemporaryDirectory, options: [String] = [],
        wrapper: [String] = []
    ) throws {
        self.cluster = cluster
        self.directory = directory
        let command = [
            try SluiceProgram.path.get(), "run", "-f", directory.path, "--hostname-override",
            cluster.node.name,
        ]
        process = try cluster.node.namespace.start(wrapper + command + options)
        try waitForLog("serving")
        try #require(process.isRunning)
    }

    func waitForLog(_ text: String) throws { try process.waitForLog(text) }

    /// Ends it by SIGTERM; its exit status.
    func terminate() -> Int32 {
        process.send(SIGTERM)
        return process.wait()
    }
}
