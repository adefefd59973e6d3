import Foundation
import Subprocess
import SystemPackage

/// A program that gives credentials (`client.authentication.k8s.io/v1` and `v1beta1`,
/// kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins).
struct ExecPlugin: Sendable, Equatable {
    static let versions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]
    /// Standard output beyond this is refused.
    static let outputLimit = 1 << 20

    var apiVersion: String
    /// A path when it has a slash, else looked for in `PATH`.
    var command: String
    var arguments: Secret<[String]>
    var environment: Secret<[String: String]>
    /// `spec.cluster` of what the plugin is told; nil without `provideClusterInfo`.
    var cluster: Secret<JSONValue>?
    var installHint: String?
    var origin: ServerAccess.Origin

    init(_ exec: ConfigField, cluster: ConfigField) throws(CredentialError) {
        apiVersion = try exec.requiredText("apiVersion")
        guard Self.versions.contains(apiVersion) else {
            throw exec.error("apiVersion", "one of \(Self.versions.joined(separator: " and ")) is expected")
        }
        let command = try exec.requiredText("command")
        self.command = command.contains("/") ? Kubeconfig.resolve(command, from: exec.file) : command
        arguments = Secret(try exec.texts("args"))
        var environment: [String: String] = [:]
        for variable in try exec.fields("env") {
            let name = try variable.requiredText("name")
            guard !name.contains("="), !name.contains("\0") else {
                throw variable.error("name", "no name of a variable")
            }
            environment[name] = try variable.text("value") ?? ""
        }
        self.environment = Secret(environment)
        installHint = try exec.text("installHint")
        switch try exec.text("interactiveMode") {
        case "Never", "IfAvailable": break
        case "Always":
            throw exec.error(
                "interactiveMode", "Always can't be met: nobody sits at this program's standard input")
        case nil:
            guard apiVersion.hasSuffix("/v1beta1") else {
                throw exec.error("interactiveMode", "is missing or empty")
            }
        default:
            throw exec.error("interactiveMode", "one of Never, IfAvailable and Always is expected")
        }
        self.cluster = try exec.flag("provideClusterInfo") ? Secret(Self.info(cluster)) : nil
        origin = ServerAccess.Origin(file: exec.file, field: exec.path)
    }

    private static func info(_ cluster: ConfigField) throws(CredentialError) -> JSONValue {
        var info: [String: JSONValue] = ["server": .text(try cluster.requiredText("server"))]
        for key in ["tls-server-name", "proxy-url", "certificate-authority-data"] {
            if let text = try cluster.text(key) { info[key] = .text(text) }
        }
        if info["certificate-authority-data"] == nil, let path = try cluster.text("certificate-authority") {
            let file = Kubeconfig.resolve(path, from: cluster.file)
            guard let data = FileManager.default.contents(atPath: file) else {
                throw cluster.error("certificate-authority", "\(file) can't be read")
            }
            info["certificate-authority-data"] = .text(data.base64EncodedString())
        }
        for key in ["insecure-skip-tls-verify", "disable-compression"] where try cluster.flag(key) {
            info[key] = .flag(true)
        }
        for element in try cluster.fields("extensions")
        where try element.text("name") == "client.authentication.k8s.io/exec" {
            info["config"] = try element.json("extension")
        }
        return .object(info)
    }

    /// `KUBERNETES_EXEC_INFO`: an ExecCredential without status.
    func info() throws(CredentialError) -> String {
        var spec: [String: JSONValue] = ["interactive": .flag(false)]
        spec["cluster"] = cluster?.value
        let credential = JSONValue.object([
            "apiVersion": .text(apiVersion), "kind": .text("ExecCredential"), "spec": .object(spec),
        ])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(credential) else {
            throw origin.error("what the plugin is to be told can't be written as JSON")
        }
        return String(decoding: data, as: UTF8.self)
    }

    /// Runs the plugin and reads what it says; it is killed when it takes longer than `timeout`.
    func run(timeout: Duration) async throws(CredentialError) -> ExecCredential {
        var variables: [Subprocess.Environment.Key: String?] = ["KUBERNETES_EXEC_INFO": try info()]
        for (name, value) in environment.value {
            guard let key = Subprocess.Environment.Key(rawValue: name) else { continue }
            variables[key] = value
        }
        let inherited = Subprocess.Environment.inherit.updating(variables)
        let complaints = LastLines()
        do throws(CredentialError) {
            switch await output(environment: inherited, complaints: complaints, timeout: timeout) {
            case .failed(let message): throw origin.error("\(command): \(message)")
            case .said(let bytes): return try ExecCredential(bytes, plugin: self)
            }
        } catch {
            var error = error
            error.plugin = complaints.line
            throw error
        }
    }

    private enum Outcome: Sendable {
        case said([UInt8])
        case failed(String)
    }

    private func output(
        environment: Subprocess.Environment, complaints: LastLines, timeout: Duration
    ) async -> Outcome {
        await withTaskGroup(of: Outcome?.self) { group in
            group.addTask { await self.output(environment: environment, complaints: complaints) }
            group.addTask {
                try? await Task.sleep(for: timeout)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .failed("killed, as it took longer than \(timeout)")
        }
    }

    private func output(environment: Subprocess.Environment, complaints: LastLines) async -> Outcome {
        var options = PlatformOptions()
        // A group of its own, so that what the plugin started ends with it.
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .zero)
        ]
        do {
            let result = try await Subprocess.run(
                command.contains("/") ? .path(FilePath(command)) : .name(command),
                arguments: Arguments(arguments.value), environment: environment, platformOptions: options,
                input: .none, output: .bytes(limit: Self.outputLimit), error: .sequence
            ) { execution in
                // Whatever befalls these, the plugin counts by its output and its end.
                let group = execution.processIdentifier.value
                await withTaskCancellationHandler {
                    do {
                        for try await bytes in execution.standardError {
                            bytes.withUnsafeBytes { complaints.add($0) }
                        }
                    } catch {}
                } onCancel: {
                    // Not SIGTERM first: once the plugin itself has ended by that, nobody would see to a child that
                    // didn't.
                    _ = kill(-group, SIGKILL)
                }
            }
            switch result.terminationStatus {
            case .exited(0): return .said(result.standardOutput)
            case .exited(let code): return .failed("exit code \(code)")
            case .signaled(let signal): return .failed("ended by signal \(signal)")
            }
        } catch let error as SubprocessError where error.code == .executableNotFound {
            let hint =
                installHint.map { "; \($0.split(whereSeparator: \.isNewline).joined(separator: " "))" } ?? ""
            return .failed("not found\(hint)")
        } catch let error as SubprocessError where error.code == .outputLimitExceeded {
            return .failed("it says more than \(Self.outputLimit) bytes")
        } catch {
            return .failed("can't be run: \(error)")
        }
    }
}

/// What a plugin gave.
struct ExecCredential: Sendable, Equatable {
    var token: Secret<String>?
    var certificate: Secret<[UInt8]>?
    var key: Secret<[UInt8]>?
    /// Nil: good until the server refuses it.
    var expires: Date?

    /// - Parameter bytes: an ExecCredential in JSON.
    init(_ bytes: [UInt8], plugin: ExecPlugin) throws(CredentialError) {
        struct Output: Decodable {
            struct Status: Decodable {
                var expirationTimestamp: String?
                var token: String?
                var clientCertificateData: String?
                var clientKeyData: String?
            }
            var apiVersion: String?
            var kind: String?
            var status: Status?
        }
        func error(_ message: String) -> CredentialError {
            plugin.origin.error("\(plugin.command): what it says \(message)")
        }
        // The decoder's own words could quote a secret.
        guard let output = try? JSONDecoder().decode(Output.self, from: Data(bytes)) else {
            throw error("is no ExecCredential in JSON")
        }
        guard output.kind == "ExecCredential", output.apiVersion == plugin.apiVersion else {
            throw error("is no ExecCredential of \(plugin.apiVersion)")
        }
        guard let status = output.status else { throw error("has no status") }
        func given(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
        token = given(status.token).map { Secret($0) }
        certificate = given(status.clientCertificateData).map { Secret(Array($0.utf8)) }
        key = given(status.clientKeyData).map { Secret(Array($0.utf8)) }
        guard (certificate == nil) == (key == nil) else {
            throw error("has only one of clientCertificateData and clientKeyData")
        }
        guard token != nil || certificate != nil else { throw error("has neither a token nor a certificate") }
        if let text = given(status.expirationTimestamp) {
            guard let date = Self.date(text) else {
                throw error("has an expirationTimestamp that isn't RFC 3339")
            }
            expires = date
        }
    }

    static func date(_ text: String) -> Date? {
        (try? Date(text, strategy: Date.ISO8601FormatStyle()))
            ?? (try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
    }
}
