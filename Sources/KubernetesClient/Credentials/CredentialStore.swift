import Foundation
import Logging
import NIOSSL

/// The credentials of the moment: reads the files that a configuration names, and reads them again as they change.
///
/// What can't be read or doesn't parse any more leaves what was read before in force; a kubelet that rotates a
/// token and an operator who edits a file both pass through such moments.
actor CredentialStore {
    /// Where things come from; replaced by tests.
    struct Surroundings: Sendable {
        var environment: [String: String]
        /// - Throws: `CredentialError` that names the path.
        var read: @Sendable (String) throws(CredentialError) -> [UInt8] = CredentialStore.file
        var now: @Sendable () -> Date = { Date() }
        var serviceAccountDirectory = ServiceAccount.directory
    }

    private let connection: ClientConnection
    private let surroundings: Surroundings
    private let age: Duration
    private let plugins: PluginRunner
    private let logger: Logger

    private var access: (text: [UInt8], value: ServerAccess)?
    private var current: Credentials?
    private var readAt: Date?
    private var parsed = ParsedFiles()
    private var plugin: (plugin: ExecPlugin, credential: ExecCredential)?
    private var toldProblem: String?
    private var isShutDown = false

    init(
        _ connection: ClientConnection, surroundings: Surroundings, age: Duration, execTimeout: Duration,
        logger: Logger
    ) {
        self.connection = connection
        self.surroundings = surroundings
        self.age = age
        plugins = PluginRunner(timeout: execTimeout)
        self.logger = logger
    }

    /// What to send the next request with.
    ///
    /// - Throws: `CredentialError` when there is nothing, not even from before.
    func credentials() async throws(CredentialError) -> Credentials {
        if let current, isFresh { return current }
        do throws(CredentialError) {
            let next = try await read()
            current = next
            readAt = surroundings.now()
            if toldProblem != nil {
                logger.info("credentials can be read again")
                toldProblem = nil
            }
            return next
        } catch {
            // Who no longer waits has learnt nothing about the files.
            guard let current, !Task.isCancelled, !isShutDown else { throw error }
            readAt = surroundings.now()
            if toldProblem != error.problem {
                logger.warning("\(error); what was read before stays in use")
                toldProblem = error.problem
            }
            return current
        }
    }

    /// To be told when the server refused these (401): the next ones are read anew.
    func refuse(_ refused: Credentials) {
        // Others may have been refused with them, and the new ones be read already.
        guard refused == current else { return }
        readAt = nil
        plugin = nil
    }

    /// Ends the plugin that runs, and returns when its process is gone; none is run from then on.
    func shutDown() async {
        isShutDown = true
        await plugins.shutDown()
    }

    private var isFresh: Bool {
        guard let readAt else { return false }
        let now = surroundings.now()
        if let expires = plugin?.credential.expires, now >= expires { return false }
        return (0..<age.seconds).contains(now.timeIntervalSince(readAt))
    }

    private func read() async throws(CredentialError) -> Credentials {
        var access = try readAccess()
        if access.proxy == nil {
            access.proxy = try ProxyEnvironment(surroundings.environment).proxy(for: access.server)
            guard access.proxy == nil || access.canBeProxied else {
                throw CredentialError(
                    field: "HTTPS_PROXY",
                    message: "behind a proxy a server given by its IP address needs tls-server-name; "
                        + "if it needs no proxy, name \(access.server.host) in NO_PROXY")
            }
        }
        let identity = access.identity
        var certificate = try identity.certificate.map(bytes)
        var key = try identity.key.map(bytes)
        var authorization: Secret<String>?
        if let token = try readToken(identity) {
            authorization = Secret("Bearer \(token)")
        } else if let basic = identity.basic {
            let text = Data(basic.value.joined(separator: ":").utf8).base64EncodedString()
            authorization = Secret("Basic \(text)")
        } else if certificate == nil, let exec = identity.exec {
            let credential = try await run(exec)
            authorization = credential.token.map { Secret("Bearer \($0.value)") }
            certificate = credential.certificate?.value
            key = credential.key?.value
        }
        var endpoint = Endpoint(
            server: access.server, serverName: access.serverName, proxy: access.proxy,
            isInCluster: access.isInCluster)
        if access.server.scheme == .https {
            var tls = Endpoint.TLS(trust: try trust(access.verification))
            if let certificate, let key {
                do throws(CredentialError) {
                    let pair = try parsed.pair(
                        certificate, key, of: identity.key,
                        certificateError: refusal(identity.certificate, else: identity.exec),
                        keyError: refusal(identity.key, else: identity.exec))
                    tls.certificates = pair.certificates
                    tls.key = pair.key
                } catch {
                    // What a plugin says next may be better.
                    plugin = nil
                    throw error
                }
            }
            endpoint.tls = tls
        }
        return Credentials(endpoint: endpoint, authorization: authorization)
    }

    private func readAccess() throws(CredentialError) -> ServerAccess {
        let path = connection.kubeconfig
        guard !path.isEmpty else {
            if connection.master.isEmpty {
                return try ServiceAccount.access(
                    environment: surroundings.environment, directory: surroundings.serviceAccountDirectory)
            }
            // As kube-proxy: --master alone asks without credentials.
            let server = try Kubeconfig.masterURL(connection.master, fallback: .http)
            return ServerAccess(
                server: server, serverName: nil, verification: .systemRoots, proxy: nil,
                identity: ServerAccess.Identity())
        }
        let bytes = try surroundings.read(path)
        if let access, access.text == bytes { return access.value }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CredentialError(file: path, message: "not UTF-8")
        }
        let value = try Kubeconfig.access(in: text, file: path, master: connection.master)
        access = (bytes, value)
        return value
    }

    private func bytes(_ material: ServerAccess.Material) throws(CredentialError) -> [UInt8] {
        switch material.place {
        case .data(let data): return data.value
        case .file(let path):
            do throws(CredentialError) { return try surroundings.read(path) } catch {
                guard material.origin.file != nil else { throw error }
                throw material.origin.error("\(error)")
            }
        }
    }

    /// An error about what stands in a field, or in the file that the field names.
    private func refusal(
        _ material: ServerAccess.Material?, else exec: ExecPlugin? = nil
    ) -> (String) -> CredentialError {
        let origin = material?.origin ?? exec?.origin ?? ServerAccess.Origin()
        return { message in
            guard case .file(let path)? = material?.place else { return origin.error(message) }
            guard origin.file != nil else { return CredentialError(file: path, message: message) }
            return origin.error("\(path): \(message)")
        }
    }

    private func readToken(_ identity: ServerAccess.Identity) throws(CredentialError) -> String? {
        guard let material = identity.tokenFile else { return identity.token?.value }
        do throws(CredentialError) {
            let text = String(decoding: try bytes(material), as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            let error = refusal(material)
            guard !text.isEmpty else { throw error("the token is empty") }
            guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw error("not a token") }
            return text
        } catch {
            guard let token = identity.token else { throw error }
            return token.value
        }
    }

    private func trust(_ verification: ServerAccess.Verification) throws(CredentialError)
        -> Endpoint.TLS.Trust
    {
        switch verification {
        case .systemRoots: return .systemRoots
        case .none: return .anything
        case .authority(let material):
            return .authorities(
                try parsed.certificates(try bytes(material), error: refusal(material)))
        }
    }

    /// What the plugin said last, while it is good, else what it says now. It runs once, however many ask.
    private func run(_ exec: ExecPlugin) async throws(CredentialError) -> ExecCredential {
        if let plugin, plugin.plugin == exec,
            plugin.credential.expires.map({ surroundings.now() < $0 }) ?? true
        {
            return plugin.credential
        }
        let credential = try await plugins.run(exec)
        plugin = (exec, credential)
        return credential
    }

    /// A file of at most `Kubeconfig.sizeLimit` bytes.
    static func file(_ path: String) throws(CredentialError) -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw CredentialError(file: path, message: String(cString: strerror(errno)))
        }
        defer { try? handle.close() }
        let data: Data
        do { data = try handle.read(upToCount: Kubeconfig.sizeLimit + 1) ?? Data() } catch {
            throw CredentialError(file: path, message: "can't be read")
        }
        guard data.count <= Kubeconfig.sizeLimit else {
            throw CredentialError(file: path, message: "larger than \(Kubeconfig.sizeLimit) bytes")
        }
        return [UInt8](data)
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
