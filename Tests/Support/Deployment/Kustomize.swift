public import Foundation

/// `kubectl kustomize`.
public enum Kustomize {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// True when a kubectl is there that knows components and labels, kustomize 4.1 or later. (Debian 12's is of 2.0.3.)
    public static let isAvailable: Bool = {
        guard let text = try? kubectl("version", "--client", "--output", "yaml"),
            let version = try? YAMLValue.documents(text).first?["kustomizeVersion"].text,
            let found = version.firstMatch(of: /v(\d+)\.(\d+)/),
            let major = Int(found.1), let minor = Int(found.2)
        else { return false }
        return (major, minor) >= (4, 1)
    }()

    public static let need = "needs a kubectl with kustomize 4.1 or later"

    /// The objects that `kubectl apply -k` would send.
    public static func build(_ folder: URL) throws -> [YAMLValue] {
        try YAMLValue.documents(kubectl("kustomize", folder.path))
    }

    private static func kubectl(_ arguments: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["kubectl"] + arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // Its complaints are few: they fit into the pipe while the output is read.
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let told = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "kubectl \(arguments.joined(separator: " ")): \(told)")
        }
        // A warning, as of something deprecated, is one for the reader of the manifests too.
        guard told.isEmpty else { throw Failure(description: told) }
        return text
    }
}
