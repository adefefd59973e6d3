import Foundation
import TemporaryFiles
import TestNetwork

/// A firewalld that runs in a namespace, with a message bus of its own.
struct Firewalld {
    /// Where its files are unpacked (scripts/bootstrap), or the root where it is installed; nil where it is neither.
    static let root: String? = [".build/firewalld", ""].map {
        $0.isEmpty ? $0 : FileManager.default.currentDirectoryPath + "/" + $0
    }.first { FileManager.default.fileExists(atPath: "\($0)/usr/sbin/firewalld") }

    static let need = "needs firewalld's files and D-Bus (scripts/bootstrap --firewalld)"

    private let namespace: Namespace
    private let root: String
    private let directory: TemporaryDirectory
    private let bus: ChildProcess
    let process: ChildProcess

    private let environment: [String]

    /// Starts it; when this returns, its rules are in force.
    init(in namespace: Namespace, root: String) throws {
        self.namespace = namespace
        self.root = root
        directory = try TemporaryDirectory()
        environment = [
            "env", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=\(directory.path)/bus",
            "PYTHONPATH=\(root)/usr/lib/python3/dist-packages", "/usr/bin/python3",
        ]
        try directory.write(
            """
            <busconfig>
              <type>system</type>
              <listen>unix:path=\(directory.path)/bus</listen>
              <auth>EXTERNAL</auth>
              <policy context="default">
                <allow send_destination="*" eavesdrop="true"/>
                <allow eavesdrop="true"/>
                <allow own="*"/>
              </policy>
            </busconfig>
            """, to: "bus.conf")
        try directory.write("FirewallBackend=nftables\n", to: "firewalld.conf")
        bus = try namespace.start([
            "dbus-daemon", "--config-file=\(directory.path)/bus.conf", "--nofork", "--nopidfile",
        ])
        let socket = "\(directory.path)/bus"
        guard eventually({ FileManager.default.fileExists(atPath: socket) }) else {
            throw Failure(text: try bus.standardError)
        }
        process = try namespace.start(
            environment + [
                "\(root)/usr/sbin/firewalld", "--nofork", "--nopid", "--default-config",
                "\(root)/usr/lib/firewalld", "--system-config", directory.path, "--log-file",
                "\(directory.path)/log",
            ])
        let isRunning = try eventually { try command("--state").hasPrefix("running") || !process.isRunning }
        guard isRunning, process.isRunning else { throw Failure(text: try process.standardError) }
    }

    struct Failure: Error {
        let text: String
    }

    /// What `firewall-cmd` says to an option.
    @discardableResult
    func command(_ option: String) throws -> String {
        let client = try namespace.start(environment + ["\(root)/usr/bin/firewall-cmd", option])
        _ = client.wait()
        return try client.standardOutput + client.standardError
    }

    /// Ends it, and with it its rules.
    func stop() {
        process.send(SIGTERM)
        _ = process.wait()
        bus.send(SIGTERM)
        _ = bus.wait()
    }
}
