import Foundation
import Glibc
import ProxyConfiguration
import TemporaryFiles
import TestNetwork
import Testing

/// The program with a secret wherever one can stand, and all that it says searched for it.
@Suite(
    "Secrets", .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)),
    .timeLimit(.minutes(2)))
struct SecretTests {
    private static let secret = "hunter2SECRET"

    /// A way for a secret to get in: the user's and the cluster's fields, and flags.
    struct Way: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var user = ""
        var cluster = ""
        var server = "https://127.0.0.1:1"
        var flags: [String] = []
        var environment: [String] = []
        /// Whether a dry run is looked at as well, and the configuration that is written: they read the same files.
        var isWrittenOut = false
    }

    static let ways = [
        Way(testDescription: "token", user: "token: \(secret)", isWrittenOut: true),
        Way(testDescription: "a token that YAML can't read", user: "token: *\(secret)"),
        Way(testDescription: "a token with a line break", user: "token: \"\(secret)\\n\(secret)\""),
        Way(testDescription: "token file", user: "tokenFile: DIRECTORY/token"),
        Way(testDescription: "password", user: "username: u\n    password: \(secret)", isWrittenOut: true),
        Way(
            testDescription: "key",
            user: "client-certificate-data: \(base64(secret))\n    client-key-data: \(base64(secret))"),
        Way(testDescription: "key that is no base64", user: "client-key-data: '\(secret)!'"),
        Way(
            testDescription: "proxy",
            cluster: "proxy-url: http://u:\(secret)@127.0.0.1:1\n    tls-server-name: k"),
        Way(testDescription: "wrong proxy", cluster: "proxy-url: 'http://u:\(secret)@[127.0.0.1'"),
        Way(testDescription: "user in the URL", server: "https://u:\(secret)@127.0.0.1:1"),
        Way(testDescription: "user in --master", flags: ["--master=https://u:\(secret)@127.0.0.1:1"]),
        Way(
            testDescription: "plugin",
            user: """
                exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/false, args: ["\(secret)"],
                      env: [{name: A, value: "\(secret)"}], interactiveMode: Never, provideClusterInfo: true}
                """, cluster: "proxy-url: http://u:\(secret)@127.0.0.1:1\n    tls-server-name: k"),
        Way(
            testDescription: "a plugin's token",
            user: """
                exec: {apiVersion: client.authentication.k8s.io/v1, command: DIRECTORY/plugin, interactiveMode: Never}
                """),
        Way(
            testDescription: "a proxy of the environment",
            environment: [
                "HTTPS_PROXY=http://u:\(secret)@127.0.0.1:1", "https_proxy=http://u:\(secret)@127.0.0.1:1",
            ]),
    ]

    private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    private static func kubeconfig(_ way: Way) -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: c
        contexts: [{name: c, context: {cluster: k, user: u}}]
        clusters:
        - name: k
          cluster:
            server: \(way.server)
            \(way.cluster)
        users:
        - name: u
          user:
            \(way.user.isEmpty ? "token: t" : way.user)
        """
    }

    @Test(
        "no secret is in the log, in any answer, in the configuration that is written or in a dry run",
        arguments: ways)
    func nowhere(way: Way) throws {
        let directory = try TemporaryDirectory()
        try directory.write(Self.secret, to: "token")
        let status =
            #"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"\#(Self.secret)"}}"#
        try directory.write("#!/bin/sh\necho '\(status)'\n", to: "plugin")
        chmod(directory["plugin"], 0o755)
        let file = try directory.write(
            Self.kubeconfig(way).replacing("DIRECTORY", with: directory.path), to: "kubeconfig")
        let namespace = try Namespace("secrets")
        let program = try BuiltProgram.find("sluice").get()
        let arguments =
            ["env"] + way.environment
            + [program, "run", "--kubeconfig", file, "--hostname-override", "n", "-v=10"] + way.flags
        var said: [String] = []

        // The agent, until it has told what it can't reach, and what its servers answer meanwhile.
        let agent = try namespace.start(
            arguments + ["--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249"])
        let deadline = ContinuousClock.now.advanced(by: .seconds(20))
        while agent.isRunning, ContinuousClock.now < deadline,
            try !agent.standardError.contains("127.0.0.1:1"),
            try !agent.standardError.contains(file)
        {
            usleep(20_000)
        }
        for (port, path) in [
            (10249, "/configz"), (10249, "/metrics"), (10249, "/proxyMode"), (10249, "/healthz"),
            (10256, "/healthz"),
            (10256, "/livez"), (10256, "/readyz"),
        ] {
            let ask =
                "exec 3<>/dev/tcp/127.0.0.1/\(port) && printf 'GET \(path) HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
            let answer = (try? namespace.command("timeout", "5", "bash", "-c", ask)) ?? ""
            if agent.isRunning, path == "/configz" {
                #expect(answer.contains("KubeProxyConfiguration"), "\(answer)")
            }
            said.append(answer)
        }
        agent.send(SIGTERM)
        _ = agent.wait()
        said += [try agent.standardOutput, try agent.standardError]
        #expect(try !agent.standardError.isEmpty)

        if way.isWrittenOut {
            let written = try namespace.start(arguments + ["--write-config-to", directory["written"]])
            _ = written.wait()
            said += [try written.standardOutput, try written.standardError, try directory.read("written")]
            let dry = try namespace.start(["timeout", "1"] + arguments + ["--dry-run"])
            _ = dry.wait()
            said += [try dry.standardOutput, try dry.standardError]
        }

        for text in said {
            #expect(!text.contains(Self.secret), "\(text)")
            #expect(!text.contains(Self.base64(Self.secret)), "\(text)")
        }
    }
}
