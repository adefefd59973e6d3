import Foundation
import Logging
import Synchronization
import TemporaryFiles
import TestAPIServer
import Testing

@testable import KubernetesClient

/// Keeps the lines that a logger writes.
final class LogLines: LogHandler, Sendable {
    let lines = Mutex<[String]>([])
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        lines.withLock { $0.append("\(event.level): \(event.message)") }
    }

    var logger: Logger { Logger(label: "test", factory: { _ in self }) }
    var all: [String] { lines.withLock { $0 } }
}

@Suite("Credentials")
struct CredentialStoreTests {
    private let directory: TemporaryDirectory
    private let authority: CertificateAuthority
    private let log = LogLines()

    init() throws {
        directory = try TemporaryDirectory()
        authority = try CertificateAuthority()
    }

    private func store(
        kubeconfig: String = "", master: String = "", environment: [String: String] = [:],
        now: @escaping @Sendable () -> Date = { Date() }, age: Duration = .zero,
        execTimeout: Duration = .seconds(20)
    ) -> CredentialStore {
        var surroundings = CredentialStore.Surroundings(environment: environment)
        surroundings.now = now
        surroundings.serviceAccountDirectory = directory.path
        return CredentialStore(
            ClientConnection(kubeconfig: kubeconfig, master: master), surroundings: surroundings, age: age,
            execTimeout: execTimeout, logger: log.logger)
    }

    private func write(_ user: String...) throws -> String {
        try directory.write(
            """
            current-context: c
            contexts: [{name: c, context: {cluster: k, user: u}}]
            clusters: [{name: k, cluster: {server: "https://10.0.0.1:6443", certificate-authority: ca.crt}}]
            users:
            - name: u
              user:
            \(user.map { "    \($0)\n" }.joined())
            """, to: "config")
    }

    @Test(
        "in a pod: the token is sent, and a rotated one is picked up; other connections only for another CA")
    func serviceAccount() async throws {
        try directory.write(authority.certificate, to: "ca.crt")
        try directory.write("one\n", to: "token")
        let store = store(
            environment: ["KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"])
        let first = try await store.credentials()
        #expect(first.authorization?.value == "Bearer one")
        try directory.write("two", to: "token")
        let second = try await store.credentials()
        #expect(second.authorization?.value == "Bearer two")
        #expect(second.endpoint == first.endpoint)
        try directory.write(try CertificateAuthority("new").certificate, to: "ca.crt")
        #expect(try await store.credentials().endpoint != first.endpoint)
    }

    @Test("what was read is good for a while, and no longer once the server refused it")
    func age() async throws {
        try directory.write(authority.certificate, to: "ca.crt")
        try directory.write("one", to: "token")
        let path = try write("tokenFile: token")
        let time = Mutex(Date(timeIntervalSince1970: 1_000_000))
        let clock = { @Sendable in time.withLock { $0 } }
        let store = store(kubeconfig: path, now: clock, age: .seconds(10))
        let first = try await store.credentials()
        try directory.write("two", to: "token")
        #expect(try await store.credentials() == first)
        await store.refuse(first)
        let second = try await store.credentials()
        #expect(second.authorization?.value == "Bearer two")
        try directory.write("three", to: "token")
        // Refused before the second was read, told after.
        await store.refuse(first)
        #expect(try await store.credentials() == second)
        time.withLock { $0 += 11 }
        #expect(try await store.credentials().authorization?.value == "Bearer three")
    }

    @Test("a file that is half written or gone leaves what was read before in force, and is told once")
    func stays() async throws {
        try directory.write(authority.certificate, to: "ca.crt")
        let path = try write("token: one")
        let store = store(kubeconfig: path)
        let first = try await store.credentials()
        try directory.write("current-context: x", to: "config")
        for _ in 0..<3 { #expect(try await store.credentials() == first) }
        #expect(
            log.all == [
                "warning: \(path): current-context: no context is named x; what was read before stays in use"
            ])
        _ = try write("token: two")
        #expect(try await store.credentials().authorization?.value == "Bearer two")
        #expect(log.all.last == "info: credentials can be read again")
    }

    @Test("a client's certificate and key; a changed one makes other connections, the same again doesn't")
    func certificates() async throws {
        try directory.write(authority.certificate, to: "ca.crt")
        let client = try authority.client()
        try directory.write(client.certificate, to: "client.crt")
        try directory.write(client.key, to: "client.key")
        let path = try write("client-certificate: client.crt", "client-key: client.key")
        let store = store(kubeconfig: path)
        let first = try await store.credentials()
        #expect(first.authorization == nil)
        #expect(first.endpoint.tls?.certificates.count == 1)
        try directory.write(client.certificate, to: "client.crt")
        #expect(try await store.credentials() == first)
        let next = try authority.client()
        try directory.write(next.certificate, to: "client.crt")
        try directory.write(next.key, to: "client.key")
        #expect(try await store.credentials().endpoint != first.endpoint)
    }

    @Test(
        "a certificate that is replaced before its key: the pair from before stays, and both files are told")
    func halfReplacedPair() async throws {
        try directory.write(authority.certificate, to: "ca.crt")
        let (client, next) = (try authority.client(), try authority.client())
        try directory.write(client.certificate, to: "client.crt")
        try directory.write(client.key, to: "client.key")
        let path = try write("client-certificate: client.crt", "client-key: client.key")
        let store = store(kubeconfig: path)
        let first = try await store.credentials()
        try directory.write(next.certificate, to: "client.crt")
        for _ in 0..<3 { #expect(try await store.credentials() == first) }
        let problem =
            "\(path): users[0].user.client-certificate: \(directory["client.crt"]): doesn't go with the key, "
            + directory["client.key"]
        #expect(log.all == ["warning: \(problem); what was read before stays in use"])
        let error = await #expect(throws: CredentialError.self) {
            try await self.store(kubeconfig: path).credentials()
        }
        #expect(error?.description == problem)

        try directory.write(next.key, to: "client.key")
        let second = try await store.credentials()
        #expect(second.endpoint.tls?.certificates.first != first.endpoint.tls?.certificates.first)
        #expect(log.all.last == "info: credentials can be read again")
        // The key first, this time.
        try directory.write(client.key, to: "client.key")
        #expect(try await store.credentials() == second)
    }

    @Test("what a named file lacks is told with the field that names it")
    func wrongFiles() async throws {
        let path = try write("token: one")
        let authorityFile = directory["ca.crt"]
        let missing = await #expect(throws: CredentialError.self) {
            try await store(kubeconfig: path).credentials()
        }
        #expect(
            missing?.description
                == "\(path): clusters[0].cluster.certificate-authority: \(authorityFile): No such file or directory"
        )
        try directory.write("rubbish", to: "ca.crt")
        let wrong = await #expect(throws: CredentialError.self) {
            try await store(kubeconfig: path).credentials()
        }
        #expect(
            wrong?.description
                == "\(path): clusters[0].cluster.certificate-authority: \(authorityFile): no certificates in PEM"
        )
        let absent = await #expect(throws: CredentialError.self) {
            try await store(kubeconfig: directory["none"]).credentials()
        }
        #expect(absent?.description == "\(directory["none"]): No such file or directory")
    }

    @Test("--master alone asks without credentials, over plain HTTP unless it says https")
    func master() async throws {
        let plain = try await store(master: "127.0.0.1:8080").credentials()
        #expect(plain == Credentials(endpoint: plain.endpoint, authorization: nil))
        #expect(plain.endpoint.server.description == "http://127.0.0.1:8080")
        #expect(plain.endpoint.tls == nil)
        #expect(try await store(master: "https://a").credentials().endpoint.tls?.trust == .systemRoots)
    }

    // MARK: Plugins

    /// A plugin that writes down that it ran and answers with `status`; returns a kubeconfig file that names it.
    private func plugin(_ script: String, _ fields: String = "") throws -> String {
        try directory.write(authority.certificate, to: "ca.crt")
        let path = try directory.write(
            "#!/bin/sh\necho run >> '\(directory["runs"])'\n\(script)\n", to: "login")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        return try write(
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, interactiveMode: Never\(fields)}"
        )
    }

    private func answer(_ status: String) -> String {
        """
        echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":\(status)}'
        """
    }

    private var runs: Int { ((try? directory.read("runs")) ?? "").split(separator: "\n").count }

    @Test("a plugin's token is used until it expires or is refused; however many ask, it runs once")
    func tokens() async throws {
        let path = try plugin(answer(#"{"token":"t","expirationTimestamp":"2030-01-01T00:00:00Z"}"#))
        let time = Mutex(try #require(ExecCredential.date("2029-12-31T23:00:00Z")))
        let clock = { @Sendable in time.withLock { $0 } }
        let store = store(kubeconfig: path, now: clock, age: .seconds(10))
        try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<8 { group.addTask { try await store.credentials().authorization?.value } }
            for try await value in group { #expect(value == "Bearer t") }
        }
        #expect(runs == 1)
        time.withLock { $0 += 3000 }
        _ = try await store.credentials()
        #expect(runs == 1)
        await store.refuse(try await store.credentials())
        _ = try await store.credentials()
        #expect(runs == 2)
        time.withLock { $0 += 600 }
        _ = try await store.credentials()
        #expect(runs == 3)
    }

    @Test("a plugin gets its arguments, its environment and what it is to be told")
    func surroundings() async throws {
        let path = try plugin(
            #"echo "$1 $ROLE $KUBERNETES_EXEC_INFO" > "$(dirname "$0")/told""# + "\n"
                + answer(#"{"token":"t"}"#),
            ", args: [get], env: [{name: ROLE, value: node}]")
        _ = try await store(kubeconfig: path).credentials()
        #expect(
            try directory.read("told") == """
                get node {"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":\
                {"interactive":false}}

                """)
    }

    @Test("a plugin's certificate")
    func pluginCertificate() async throws {
        let client = try authority.client()
        try directory.write(
            String(
                decoding: try JSONEncoder().encode([
                    "clientCertificateData": client.certificate, "clientKeyData": client.key,
                ]), as: UTF8.self), to: "status")
        let path = try plugin(
            #"printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":'"#
                + #"; cat "$(dirname "$0")/status"; echo '}'"#)
        let credentials = try await store(kubeconfig: path).credentials()
        #expect(credentials.authorization == nil)
        #expect(credentials.endpoint.tls?.certificates.count == 1)
        #expect(credentials.endpoint.tls?.key != nil)
    }

    @Test("a plugin's certificate and key that don't go together are told, and it is asked again")
    func pluginPair() async throws {
        let (client, other) = (try authority.client(), try authority.client())
        func write(key: String) throws {
            let status = ["clientCertificateData": client.certificate, "clientKeyData": key]
            try directory.write(
                String(decoding: try JSONEncoder().encode(status), as: UTF8.self), to: "status")
        }
        try write(key: other.key)
        let path = try plugin(
            #"printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":'"#
                + #"; cat "$(dirname "$0")/status"; echo '}'"#)
        let store = store(kubeconfig: path)
        let error = await #expect(throws: CredentialError.self) { try await store.credentials() }
        #expect(error?.description == "\(path): users[0].user.exec: certificate and key don't go together")
        try write(key: client.key)
        #expect(try await store.credentials().endpoint.tls?.key != nil)
    }

    @Test("what goes wrong with a plugin is told with the field that names it, and never what it said")
    func pluginErrors() async throws {
        let cases: [(script: String, message: String)] = [
            ("exit 3", "exit code 3"), ("kill -9 $$", "ended by signal 9"),
            ("echo hush", "what it says is no ExecCredential in JSON"),
            ("echo '{}'", "what it says is no ExecCredential of client.authentication.k8s.io/v1"),
            (answer("null"), "what it says has no status"),
            (answer("{}"), "what it says has neither a token nor a certificate"),
            (
                answer(#"{"token":"hush","clientKeyData":"hush"}"#),
                "what it says has only one of clientCertificateData and clientKeyData"
            ),
            (
                answer(#"{"token":"hush","expirationTimestamp":"soon"}"#),
                "what it says has an expirationTimestamp that isn't RFC 3339"
            ),
            ("head -c 2000000 /dev/zero", "it says more than 1048576 bytes"),
        ]
        for (script, message) in cases {
            let path = try plugin(script)
            let error = await #expect(throws: CredentialError.self) {
                try await store(kubeconfig: path).credentials()
            }
            #expect(
                error?.description == "\(path): users[0].user.exec: \(directory.path)/./login: \(message)"
            )
        }
    }

    @Test("the end of what a plugin writes to standard error is told, in one line")
    func pluginComplaints() async throws {
        let cases: [(script: String, complaint: String)] = [
            ("echo 'no token: log in first' >&2; exit 1", "exit code 1; it says: no token: log in first"),
            (
                #"printf 'one\ntwo\n\n  three\r\nf\033our\n' >&2; exit 1"#,
                "exit code 1; it says: two | three | f?our"
            ),
            (
                "head -c 2000000 /dev/zero | tr '\\0' x >&2; printf end >&2; exit 1",
                "exit code 1; it says: ..." + String(repeating: "x", count: 294) + "end"
            ),
            ("printf ' \n' >&2; exit 1", "exit code 1"),
            ("echo sorry >&2; echo hush", "what it says is no ExecCredential in JSON; it says: sorry"),
        ]
        for (script, complaint) in cases {
            let path = try plugin(script)
            let error = await #expect(throws: CredentialError.self) {
                try await store(kubeconfig: path).credentials()
            }
            #expect(
                error?.description == "\(path): users[0].user.exec: \(directory.path)/./login: \(complaint)")
        }
    }

    @Test("what a plugin writes to standard error makes no other problem of the same one")
    func changingComplaints() async throws {
        let good = answer(#"{"token":"t","expirationTimestamp":"2000-01-01T00:00:00Z"}"#)
        let path = try plugin(good)
        let store = store(kubeconfig: path)
        let first = try await store.credentials()
        _ = try plugin("wc -l < '\(directory["runs"])' >&2; exit 1")
        for _ in 0..<3 { #expect(try await store.credentials() == first) }
        #expect(log.all.count == 1)
        #expect(log.all.first?.contains("exit code 1; it says: 2; what was read before") == true)
    }

    @Test("a plugin that leaves a process behind with its standard error isn't waited for any longer")
    func lastingPlugin() async throws {
        let path = try plugin(
            "sleep 600 >/dev/null & echo $! > '\(directory["child"])'\n" + answer(#"{"token":"t"}"#))
        let credentials = try await store(kubeconfig: path).credentials()
        #expect(credentials.authorization?.value == "Bearer t")
        kill(try #require(Int32(try directory.read("child").split(separator: "\n")[0])), SIGKILL)
    }

    @Test("a plugin that doesn't end is killed, with what it started")
    func slowPlugin() async throws {
        let path = try plugin("sleep 600 & echo $! > \"$(dirname \"$0\")/child\"; wait")
        let error = await #expect(throws: CredentialError.self) {
            try await store(kubeconfig: path, execTimeout: .milliseconds(500)).credentials()
        }
        #expect(error?.message.contains("killed") == true)
        let child = try #require(Int32(try directory.read("child").split(separator: "\n")[0]))
        // The child has another parent now, whoever reaps it; until then it is a zombie. A signal is sent before it is
        // taken, so the child may still run for a moment.
        var hasEnded = false
        let deadline = ContinuousClock.now.advanced(by: .seconds(10))
        while !hasEnded, ContinuousClock.now < deadline {
            let state = (try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8)) ?? "(sleep) X"
            hasEnded = state.contains("(sleep) Z") || state.contains("(sleep) X")
            if !hasEnded { try await Task.sleep(for: .milliseconds(5)) }
        }
        #expect(hasEnded)
    }

    @Test("a plugin that isn't there: its hint is told")
    func missingPlugin() async throws {
        try directory.write(authority.certificate, to: "ca.crt")
        let path = try write(
            "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: no-such-login, "
                + "installHint: \"install\\nit\"}")
        let error = await #expect(throws: CredentialError.self) {
            try await store(kubeconfig: path).credentials()
        }
        #expect(error?.description == "\(path): users[0].user.exec: no-such-login: not found; install it")
    }
}
