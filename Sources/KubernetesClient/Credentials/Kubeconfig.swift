import Foundation
import IPAddressing

/// Reads kubeconfig files (`v1.Config`, kubernetes.io/docs/reference/config-api/kubeconfig.v1): what the current
/// context says, by client-go's rules.
enum Kubeconfig {
    /// Files beyond this are no kubeconfig.
    static let sizeLimit = 4 << 20

    /// - Parameters:
    ///   - file: its path; relative paths in it start from its directory.
    ///   - master: wins over the cluster's `server` when it isn't empty.
    static func access(in text: String, file: String, master: String = "") throws(CredentialError)
        -> ServerAccess
    {
        let root = try ConfigField.root(of: text, file: file)
        if let kind = try root.text("kind"), kind != "Config" {
            throw root.error("kind", "'Config' is expected")
        }
        if let version = try root.text("apiVersion"), version != "v1" {
            throw root.error("apiVersion", "'v1' is expected")
        }
        let name = try root.requiredText("current-context")
        guard let context = try root.named(name, in: "contexts", "context") else {
            throw root.error("current-context", "no context is named \(RequestFailure.oneLine(name))")
        }
        let clusterName = try context.requiredText("cluster")
        guard let cluster = try root.named(clusterName, in: "clusters", "cluster") else {
            throw context.error("cluster", "no cluster is named \(RequestFailure.oneLine(clusterName))")
        }
        var identity = ServerAccess.Identity()
        // A context without a user asks anonymously, or by --master on a port that asks for nothing.
        if let userName = try context.text("user") {
            guard let user = try root.named(userName, in: "users", "user") else {
                throw context.error("user", "no user is named \(RequestFailure.oneLine(userName))")
            }
            identity = try self.identity(user, cluster: cluster)
        }
        return try access(cluster, identity: identity, master: master)
    }

    private static func access(
        _ cluster: ConfigField, identity: ServerAccess.Identity, master: String
    ) throws(CredentialError) -> ServerAccess {
        var verification = ServerAccess.Verification.systemRoots
        if let authority = try material(cluster, "certificate-authority") {
            verification = .authority(authority)
        }
        let isInsecure = try cluster.flag("insecure-skip-tls-verify")
        if isInsecure {
            guard verification == .systemRoots else {
                throw cluster.error(
                    "insecure-skip-tls-verify",
                    "excludes certificate-authority and certificate-authority-data")
            }
            verification = .none
        }
        let isSecret = verification != .systemRoots || !identity.isEmpty
        let server: ServerURL
        if master.isEmpty {
            let text = try cluster.requiredText("server")
            do throws(ServerURL.Refusal) {
                server = try ServerURL(text, fallback: isSecret ? .https : .http)
            } catch { throw cluster.error("server", error.message) }
        } else {
            server = try masterURL(master, fallback: isSecret ? .https : .http)
        }
        let serverName = try cluster.text("tls-server-name")
        if let serverName, IPAddress(serverName) != nil || ServerURL.isNoName(serverName) {
            throw cluster.error("tls-server-name", "not the name of a host")
        }
        var proxy: ProxyURL?
        if let text = try cluster.text("proxy-url") {
            do throws(ServerURL.Refusal) { proxy = try ProxyURL(text) } catch {
                throw cluster.error("proxy-url", error.message)
            }
        }
        let access = ServerAccess(
            server: server, serverName: serverName, verification: verification, proxy: proxy,
            identity: identity)
        guard proxy == nil || access.canBeProxied else {
            throw cluster.error(
                "proxy-url", "behind a proxy a server given by its IP address needs tls-server-name")
        }
        return access
    }

    /// - Parameter master: `--master`.
    static func masterURL(_ master: String, fallback: ServerURL.Scheme) throws(CredentialError) -> ServerURL {
        do throws(ServerURL.Refusal) { return try ServerURL(master, fallback: fallback) } catch {
            throw CredentialError(field: "--master", message: error.message)
        }
    }

    private static func identity(
        _ user: ConfigField, cluster: ConfigField
    ) throws(CredentialError) -> ServerAccess.Identity {
        for (key, hint) in [
            ("auth-provider", "use exec"), ("as", "give the user rights of its own"),
            ("as-uid", "give the user rights of its own"), ("as-groups", "give the user rights of its own"),
            ("as-user-extra", "give the user rights of its own"),
        ] where user.has(key) {
            throw user.error(key, "not supported: \(hint)")
        }
        var identity = ServerAccess.Identity()
        identity.certificate = try material(user, "client-certificate")
        identity.key = try material(user, "client-key")
        if identity.certificate != nil, identity.key == nil {
            throw user.error("client-key", "is missing: client-certificate needs it")
        }
        if identity.key != nil, identity.certificate == nil {
            throw user.error("client-certificate", "is missing: client-key is of no use without it")
        }
        identity.token = try user.text("token").map { Secret($0) }
        if let path = try user.text("tokenFile") {
            identity.tokenFile = ServerAccess.Material(
                place: .file(resolve(path, from: user.file)), origin: origin(user, "tokenFile"))
        }
        let name = try user.text("username")
        let password = try user.text("password")
        if name != nil || password != nil {
            guard identity.token == nil, identity.tokenFile == nil else {
                throw user.error("username", "excludes token and tokenFile")
            }
            guard let name, !name.contains(":") else {
                throw user.error("username", "is missing, or has a colon in it")
            }
            identity.basic = Secret([name, password ?? ""])
        }
        if let exec = try user.field("exec") {
            identity.exec = try ExecPlugin(exec, cluster: cluster)
        }
        return identity
    }

    /// `key-data` if it is given, else the file that `key` names.
    private static func material(
        _ field: ConfigField, _ key: String
    ) throws(CredentialError) -> ServerAccess.Material? {
        if let data = try field.data(key + "-data") {
            return ServerAccess.Material(place: .data(Secret(data)), origin: origin(field, key + "-data"))
        }
        guard let path = try field.text(key) else { return nil }
        return ServerAccess.Material(
            place: .file(resolve(path, from: field.file)), origin: origin(field, key))
    }

    private static func origin(_ field: ConfigField, _ key: String) -> ServerAccess.Origin {
        ServerAccess.Origin(file: field.file, field: field.path(to: key))
    }

    static func resolve(_ path: String, from file: String) -> String {
        guard !path.hasPrefix("/") else { return path }
        let directory = file.lastIndex(of: "/").map { String(file[..<$0]) }
        return directory.map { "\($0)/\(path)" } ?? path
    }
}

extension ServerURL {
    static func isNoName(_ text: String) -> Bool {
        do throws(Refusal) {
            let (host, _) = try split(Substring(text), port: 1)
            return host != text
        } catch { return true }
    }
}
