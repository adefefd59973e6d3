import TestAPIServer
import Testing

@testable import KubernetesClient

/// A kubeconfig file as kubeadm writes it, with these lines in its parts.
private func config(
    cluster: [String] = [], user: [String] = [], server: String = "https://10.0.0.1:6443"
) -> String {
    func lines(_ lines: [String]) -> String { lines.map { "    \($0)\n" }.joined() }
    return """
        apiVersion: v1
        kind: Config
        preferences: {}
        clusters:
        - name: other
          cluster: {server: "https://other:6443"}
        - name: default
          cluster:
            server: \(server)
        \(lines(cluster))
        contexts:
        - name: default
          context: {cluster: default, namespace: default, user: default}
        users:
        - name: default
          user:
            ignored: yes
        \(lines(user))
        current-context: default

        """
}

private func access(_ text: String, master: String = "") throws -> ServerAccess {
    try KubernetesClient.Kubeconfig.access(in: text, file: "/etc/kube/config", master: master)
}

@Suite("kubeconfig files")
struct KubeconfigTests {
    @Test("the file that kubeadm writes for kube-proxy: server, authority's file, token's file")
    func kubeadm() throws {
        let access = try access(
            config(
                cluster: ["certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt"],
                user: ["tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token"],
                server: "https://api.example.com:6443"))
        #expect(access.server.description == "https://api.example.com:6443")
        guard case .authority(let authority) = access.verification else {
            Issue.record("no authority: \(access)")
            return
        }
        #expect(authority.place == .file("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"))
        #expect(authority.origin.field == "clusters[1].cluster.certificate-authority")
        #expect(
            access.identity.tokenFile?.place == .file("/var/run/secrets/kubernetes.io/serviceaccount/token"))
    }

    @Test("relative paths start from the file's directory, and data wins over a file")
    func paths() throws {
        let access = try access(
            config(
                cluster: ["certificate-authority: pki/ca.crt", "certificate-authority-data: Y2E="],
                user: [
                    "client-certificate: ../client.crt", "client-key: /keys/client.key", "tokenFile: token",
                ]))
        guard case .authority(let authority) = access.verification else {
            Issue.record("no authority: \(access)")
            return
        }
        #expect(authority.place == .data(Secret(Array("ca".utf8))))
        #expect(access.identity.certificate?.place == .file("/etc/kube/../client.crt"))
        #expect(access.identity.key?.place == .file("/keys/client.key"))
        #expect(access.identity.tokenFile?.place == .file("/etc/kube/token"))
    }

    @Test("tls-server-name, proxy-url, insecure-skip-tls-verify, username and password")
    func rest() throws {
        let access = try access(
            config(
                cluster: [
                    "insecure-skip-tls-verify: true", "tls-server-name: kubernetes.default.svc",
                    "proxy-url: http://user:p%40ss@proxy:3128",
                ], user: ["username: admin", "password: secret"]))
        #expect(access.verification == .none)
        #expect(access.serverName == "kubernetes.default.svc")
        #expect(access.proxy?.host == "proxy")
        #expect(access.proxy?.port == 3128)
        #expect(access.proxy?.basic?.value == ["user", "p@ss"])
        #expect(access.identity.basic?.value == ["admin", "secret"])
    }

    @Test("a file in JSON is read as well")
    func json() throws {
        let access = try access(
            """
            {"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":
            {"cluster":"k","user":"u"}}],"clusters":[{"name":"k","cluster":{"server":"https://[fd00::1]:6443/p/"}}],
            "users":[{"name":"u","user":{"token":"t"}}]}
            """)
        #expect(access.server == ServerURL(scheme: .https, host: "fd00::1", port: 6443, prefix: "/p"))
        #expect(access.identity.token?.value == "t")
    }

    @Test("--master wins over the file's server")
    func master() throws {
        let text = config(cluster: ["certificate-authority-data: Y2E="])
        #expect(try access(text, master: "[fd00::2]:6443").server.description == "https://[fd00::2]:6443")
        #expect(
            try access(text, master: "http://127.0.0.1:8080").server.description == "http://127.0.0.1:8080")
        #expect(throws: CredentialError(field: "--master", message: "the URL names no host")) {
            try access(text, master: "https://")
        }
    }

    @Test("the exec plugin: arguments, environment, its place, and what it is told of the cluster")
    func exec() throws {
        let access = try access(
            config(
                cluster: [
                    "certificate-authority-data: Y2E=", "extensions:",
                    "- {name: client.authentication.k8s.io/exec, extension: {audience: a, n: 1, on: true}}",
                ],
                user: [
                    "exec:", "  apiVersion: client.authentication.k8s.io/v1", "  command: ./bin/login",
                    "  args: [get, --quiet]", "  env: [{name: ROLE, value: node}]",
                    "  interactiveMode: IfAvailable",
                    "  provideClusterInfo: true",
                ]))
        let exec = try #require(access.identity.exec)
        #expect(exec.command == "/etc/kube/./bin/login")
        #expect(exec.arguments.value == ["get", "--quiet"])
        #expect(exec.environment.value == ["ROLE": "node"])
        #expect(
            try exec.info() == """
                {"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"cluster":{\
                "certificate-authority-data":"Y2E=","config":{"audience":"a","n":1,"on":true},\
                "server":"https://10.0.0.1:6443"},"interactive":false}}
                """)
    }

    @Test(
        "what is wrong is named by file and field",
        arguments: [
            ("", "the file is empty"),
            ("- a", "not a mapping of fields"),
            ("a: b: c", "not YAML: line 1: mapping values are not allowed in this context"),
            ("kind: Pod", "kind: 'Config' is expected"),
            ("apiVersion: v2", "apiVersion: 'v1' is expected"),
            ("kind: Config", "current-context: is missing or empty"),
            ("current-context: x", "current-context: no context is named x"),
            (
                "current-context: x\ncontexts: [{name: x, context: {cluster: y}}]",
                "contexts[0].context.cluster: no cluster is named y"
            ),
            (
                "current-context: x\ncontexts: [{name: x, context: {cluster: y, user: z}}]\n"
                    + "clusters: [{name: y, cluster: {server: s}}]",
                "contexts[0].context.user: no user is named z"
            ),
            ("current-context: x\ncontexts: {}", "contexts: not a list"),
            ("current-context: x\ncontexts: [x]", "contexts[0]: not a mapping of fields"),
            ("current-context: [x]", "current-context: not a text"),
        ])
    func wrongFiles(text: String, message: String) {
        #expect(throws: CredentialError.self) { try access(text) }
        do { _ = try access(text) } catch { #expect("\(error)" == "/etc/kube/config: \(message)") }
    }

    @Test(
        "a wrong cluster is named by file and field",
        arguments: [
            (["server: ftp://x"], "clusters[1].cluster.server", "a URL of scheme https or http is needed"),
            (["server: https://u@x"], "clusters[1].cluster.server", nil),
            (
                ["server: https://x:0"], "clusters[1].cluster.server",
                "the port is not a number from 1 to 65535"
            ),
            (["server: https://[1::2::3]"], "clusters[1].cluster.server", nil),
            (["server: https://x/a?b"], "clusters[1].cluster.server", nil),
            (["server:"], "clusters[1].cluster.server", "is missing or empty"),
            (
                ["certificate-authority-data: '*'"], "clusters[1].cluster.certificate-authority-data",
                "not base64"
            ),
            (["tls-server-name: 'a b'"], "clusters[1].cluster.tls-server-name", nil),
            (["tls-server-name: '10.0.0.1'"], "clusters[1].cluster.tls-server-name", nil),
            (["proxy-url: https://p"], "clusters[1].cluster.proxy-url", nil),
            (["proxy-url: socks5://u:p@p"], "clusters[1].cluster.proxy-url", nil),
            (
                ["proxy-url: http://p"], "clusters[1].cluster.proxy-url",
                "behind a proxy a server given by its IP address needs tls-server-name"
            ),
            (
                ["insecure-skip-tls-verify: maybe"], "clusters[1].cluster.insecure-skip-tls-verify",
                "neither true nor false"
            ),
            (
                ["insecure-skip-tls-verify: true", "certificate-authority: x"],
                "clusters[1].cluster.insecure-skip-tls-verify", nil
            ),
        ] as [([String], String, String?)])
    func wrongClusters(lines: [String], field: String, message: String?) throws {
        var text = config(cluster: lines)
        if lines[0].hasPrefix("server:") {
            text = text.replacing("    server: https://10.0.0.1:6443\n", with: "")
        }
        let error = try #require(throws: CredentialError.self) { try access(text) }
        #expect(error.file == "/etc/kube/config")
        #expect(error.field == field)
        if let message { #expect(error.message == message) }
    }

    @Test(
        "a wrong user is named by file and field",
        arguments: [
            (["client-certificate: x"], "client-key"), (["client-key: x"], "client-certificate"),
            (["client-certificate-data: '!'"], "client-certificate-data"),
            (["auth-provider: {name: gcp}"], "auth-provider"), (["as: root"], "as"),
            (["username: a", "token: b"], "username"), (["username: 'a:b'"], "username"),
            (["password: a"], "username"), (["token: [a]"], "token"), (["exec: x"], "exec"),
            (["exec: {command: x}"], "exec.apiVersion"),
            (["exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}"], "exec.apiVersion"),
            (["exec: {apiVersion: client.authentication.k8s.io/v1}"], "exec.command"),
            (["exec: {apiVersion: client.authentication.k8s.io/v1, command: x}"], "exec.interactiveMode"),
            (
                ["exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}"],
                "exec.interactiveMode"
            ),
            (
                ["exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: x, env: [{value: a}]}"],
                "exec.env[0].name"
            ),
        ])
    func wrongUsers(lines: [String], field: String) throws {
        let error = try #require(throws: CredentialError.self) { try access(config(user: lines)) }
        #expect(error.file == "/etc/kube/config")
        #expect(error.field == "users[0].user.\(field)")
    }

    @Test("no description or dump shows a secret")
    func secrets() throws {
        let access = try access(
            config(
                cluster: ["proxy-url: http://user:hush@proxy", "tls-server-name: name"],
                user: [
                    "token: hush", "client-certificate: x", "client-key-data: aHVzaA==",
                    "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: x, env: [{name: A, value: hush}]}",
                ]))
        var dumped = ""
        dump(access, to: &dumped)
        for text in ["\(access)", String(reflecting: access), dumped] {
            #expect(!text.contains("hush"))
            #expect(!text.contains("104"))  // The first byte of it.
        }
    }

    @Test("the pod's environment: a name, IPv4 and IPv6, and what is missing")
    func serviceAccount() throws {
        func server(_ host: String?, _ port: String? = "443") throws -> String {
            var environment: [String: String] = [:]
            environment["KUBERNETES_SERVICE_HOST"] = host
            environment["KUBERNETES_SERVICE_PORT"] = port
            let access = try ServiceAccount.access(environment: environment)
            #expect(access.isInCluster)
            #expect(access.identity.tokenFile?.place == .file("\(ServiceAccount.directory)/token"))
            return access.server.description
        }
        #expect(try server("10.96.0.1") == "https://10.96.0.1:443")
        #expect(try server("fd00::1", "6443") == "https://[fd00::1]:6443")
        #expect(try server("api.internal") == "https://api.internal:443")
        for (host, port, field) in [
            (nil, "443", "KUBERNETES_SERVICE_HOST"), ("x", nil, "KUBERNETES_SERVICE_PORT"),
            ("x", "http", "KUBERNETES_SERVICE_PORT"), ("a b", "443", "KUBERNETES_SERVICE_HOST"),
        ] as [(String?, String?, String)] {
            let error = try #require(throws: CredentialError.self) { try server(host, port) }
            #expect(error.field == field)
        }
    }
}
