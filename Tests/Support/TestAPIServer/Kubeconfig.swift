internal import Foundation

/// A kubeconfig file with one cluster, one user and one context, as YAML.
public struct Kubeconfig: Sendable {
    /// URL of the server.
    public var server: String
    /// Lines of `cluster`, without indentation.
    public var clusterFields: [String]
    /// Lines of `user`, without indentation; those of nested fields with theirs.
    public var userFields: [String] = []

    /// - Parameter authority: PEM, put in as data.
    public init(server: String, authority: String) {
        self.server = server
        clusterFields = ["certificate-authority-data: \(Self.base64(authority))"]
    }

    /// - Parameter authorityFile: a path.
    public init(server: String, authorityFile: String) {
        self.server = server
        clusterFields = ["certificate-authority: \(authorityFile)"]
    }

    /// As `*-data` fields have it.
    public static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    public mutating func use(token: String) { userFields = ["token: \(token)"] }

    public mutating func use(tokenFile: String) { userFields = ["tokenFile: \(tokenFile)"] }

    public mutating func use(_ credential: Credential) {
        userFields = [
            "client-certificate-data: \(Self.base64(credential.certificate))",
            "client-key-data: \(Self.base64(credential.key))",
        ]
    }

    public mutating func use(certificateFile: String, keyFile: String) {
        userFields = ["client-certificate: \(certificateFile)", "client-key: \(keyFile)"]
    }

    public var text: String {
        var lines = ["apiVersion: v1", "kind: Config", "current-context: test", "clusters:", "- name: test"]
        lines += ["  cluster:", "    server: \(server)"] + clusterFields.map { "    \($0)" }
        lines += [
            "contexts:", "- name: test", "  context: {cluster: test, user: test}", "users:", "- name: test",
        ]
        lines += userFields.isEmpty ? ["  user: {}"] : ["  user:"] + userFields.map { "    \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }
}
