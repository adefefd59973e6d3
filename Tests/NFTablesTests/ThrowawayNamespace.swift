import Foundation
import Synchronization

/// A network namespace of its own for `nft`, gone with this object.
final class ThrowawayNamespace: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private static let count = Atomic<Int>(0)
    let name: String

    /// Why tests with the kernel are skipped; nil when they run.
    static let obstacle: String? = {
        if geteuid() != 0 { return "needs root for network namespaces" }
        let paths = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"]
        return paths.contains { access($0, X_OK) == 0 } ? nil : "needs nft"
    }()

    init() throws {
        let number = Self.count.add(1, ordering: .relaxed).newValue
        name = "sluice-test-\(getpid())-\(number)"
        _ = try Self.run(["ip", "netns", "add", name])
    }

    deinit { _ = try? Self.run(["ip", "netns", "delete", name]) }

    /// Runs nft inside; throws with its message when it fails.
    @discardableResult
    func nft(_ arguments: String..., script: String? = nil) throws -> String {
        try Self.run(["ip", "netns", "exec", name, "nft"] + arguments, input: script)
    }

    /// Loads a script.
    func load(_ script: String) throws { try nft("-f", "-", script: script) }

    private static func run(_ arguments: [String], input: String? = nil) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let files = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: files, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: files) }
        let (inputFile, outputFile, errorFile) = (
            files.appendingPathComponent("in"), files.appendingPathComponent("out"),
            files.appendingPathComponent("err")
        )
        // Files, not pipes: a full pipe would block a command whose output nobody reads yet.
        try Data((input ?? "").utf8).write(to: inputFile)
        try Data().write(to: outputFile)
        try Data().write(to: errorFile)
        process.standardInput = try FileHandle(forReadingFrom: inputFile)
        process.standardOutput = try FileHandle(forWritingTo: outputFile)
        process.standardError = try FileHandle(forWritingTo: errorFile)
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let message = String(decoding: try Data(contentsOf: errorFile), as: UTF8.self)
            throw Failure(description: "\(arguments.joined(separator: " ")): \(message)")
        }
        return String(decoding: try Data(contentsOf: outputFile), as: UTF8.self)
    }
}
