import Dispatch
import Foundation
import Glibc
import Logging
import TemporaryFiles
import TestAPIServer
import Testing

@testable import KubernetesClient

/// A plugin that says when it runs, and answers when it is told to; both by FIFOs.
private struct HeldPlugin {
    private let directory: TemporaryDirectory
    /// Says `started` once for each run, and ends when no process of the runs is left.
    let signs: AsyncStream<String>

    init(in directory: TemporaryDirectory) throws {
        self.directory = directory
        for name in ["signs", "go"] {
            guard mkfifo(directory[name], 0o600) == 0 else { throw POSIXError(.EIO) }
        }
        // The shell's child holds the FIFO, too.
        let script = """
            #!/bin/sh
            cd '\(directory.path)'
            exec 3>signs
            echo started >&3
            (trap '' TERM; cat go)
            """
        let path = try directory.write(script + "\n", to: "login")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        let (signs, sink) = AsyncStream.makeStream(of: String.self)
        self.signs = signs
        let fifo = directory["signs"]
        // Opening and reading block, so not in a task.
        DispatchQueue.global().async {
            let reader = open(fifo, O_RDONLY | O_CLOEXEC)
            defer { sink.finish() }
            guard reader >= 0 else { return }
            defer { close(reader) }
            var bytes = [UInt8](repeating: 0, count: 64)
            while true {
                let count = read(reader, &bytes, bytes.count)
                guard count > 0 else { return }
                for _ in String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n") {
                    sink.yield("started")
                }
            }
        }
    }

    /// Fields of `exec`.
    var exec: String { Self.exec(directory["login"]) }

    private static func exec(_ command: String) -> String {
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: \(command), interactiveMode: Never}"
    }

    func answer(token: String) {
        let text =
            #"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"\#(token)"}}"#
        let fifo = directory["go"]
        DispatchQueue.global().async {
            let writer = open(fifo, O_WRONLY | O_CLOEXEC)
            guard writer >= 0 else { return }
            _ = text.withCString { write(writer, $0, strlen($0)) }
            close(writer)
        }
    }

    /// Until a run has begun.
    func started() async throws {
        _ = try await within("the plugin doesn't run") { [signs] in await signs.first { _ in true } }
    }

    /// Until no process is left of the runs.
    func ended() async throws {
        try await within("the plugin runs on") { [signs] in for await _ in signs {} }
    }

    func plugin() throws -> ExecPlugin { try Self.plugin(running: directory["login"]) }

    static func plugin(running command: String) throws -> ExecPlugin {
        let text = """
            current-context: c
            contexts: [{name: c, context: {cluster: k, user: u}}]
            clusters: [{name: k, cluster: {server: "https://10.0.0.1:6443"}}]
            users: [{name: u, user: {\(exec(command))}}]
            """
        return try #require(try Kubeconfig.access(in: text, file: "config").identity.exec)
    }

    typealias Kubeconfig = KubernetesClient.Kubeconfig
}

@Suite("A credential plugin that runs")
struct PluginRunnerTests {
    private let directory: TemporaryDirectory
    private let held: HeldPlugin
    /// Of a run: longer than anybody waits here, so that it isn't what ends the plugin.
    private static let timeout = Duration.seconds(3_600)

    init() throws {
        directory = try TemporaryDirectory()
        held = try HeldPlugin(in: directory)
    }

    private func waiting(_ count: Int, at runner: PluginRunner) async throws {
        try await within("\(count) wait") {
            while await runner.waiting != count {
                try Task.checkCancellation()
                await Task.yield()
            }
        }
    }

    @Test("who no longer waits leaves at once, and the others get what it says")
    func oneLeaves() async throws {
        let runner = PluginRunner(timeout: Self.timeout)
        let plugin = try held.plugin()
        let impatient = Task { try await runner.run(plugin) }
        let patient = Task { try await runner.run(plugin) }
        try await held.started()
        try await waiting(2, at: runner)
        impatient.cancel()
        await #expect(throws: CredentialError.self) { try await impatient.value }
        try await waiting(1, at: runner)
        held.answer(token: "t")
        #expect(try await patient.value.token?.value == "t")
        try await held.ended()
    }

    @Test("when nobody waits any more it is killed, with what it started")
    func allLeave() async throws {
        let runner = PluginRunner(timeout: Self.timeout)
        let plugin = try held.plugin()
        let tasks = (0..<3).map { _ in Task { try await runner.run(plugin) } }
        try await held.started()
        try await waiting(3, at: runner)
        for task in tasks { task.cancel() }
        for task in tasks { await #expect(throws: CredentialError.self) { try await task.value } }
        try await held.ended()
    }

    @Test("who asks after it was called off gets another run")
    func anew() async throws {
        let runner = PluginRunner(timeout: Self.timeout)
        let path = try directory.write(
            """
            #!/bin/sh
            cd '\(directory.path)'
            if [ -e first ]; then
                echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t"}}'
            else
                echo >first
                exec sleep 3600
            fi

            """, to: "twice")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        let plugin = try HeldPlugin.plugin(running: path)
        let first = Task { try await runner.run(plugin) }
        try await within("the plugin doesn't run") { [directory] in
            while !FileManager.default.fileExists(atPath: directory["first"]) {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        first.cancel()
        await #expect(throws: CredentialError.self) { try await first.value }
        // The same one, at once: the run that was called off may not have ended yet.
        #expect(try await runner.run(plugin).token?.value == "t")
    }

    @Test("a client that is shut down ends it, and requests that wait for it fail")
    func shutDown() async throws {
        let path = try directory.write(
            """
            current-context: c
            contexts: [{name: c, context: {cluster: k, user: u}}]
            clusters: [{name: k, cluster: {server: "https://127.0.0.1:1"}}]
            users: [{name: u, user: {\(held.exec)}}]
            """, to: "config")
        var timeouts = APIClient.Timeouts()
        timeouts.execPlugin = Self.timeout
        let client = APIClient(
            ClientConnection(kubeconfig: path), userAgent: "sluice/test", logger: LogLines().logger,
            timeouts: timeouts)
        let request = APIRequest(
            path: "/api/v1/services", accept: "application/json", verb: "list", resource: "services")
        let asking = Task { try await client.send(request) { _ in } }
        try await held.started()
        await client.shutDown()
        let failure = await #expect(throws: APIClient.Failure.self) { try await asking.value }
        #expect(failure?.failure.message.contains("called off") == true)
        try await held.ended()
    }

    @Test("followers that are cancelled don't wait for it")
    func cancelledFollowers() async throws {
        var setup = FollowedCluster.Setup()
        setup.timeouts.execPlugin = Self.timeout
        let cluster = try await FollowedCluster(
            setup,
            kubeconfig: { [held] kubeconfig, _ in
                kubeconfig.userFields = [held.exec]
            })
        try await cluster.run { cluster in
            cluster.follow()
            try await held.started()
        }
        try await held.ended()
        #expect(cluster.log.complaints.isEmpty)
    }
}
