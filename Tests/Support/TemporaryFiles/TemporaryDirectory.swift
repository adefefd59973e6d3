internal import Foundation
internal import Glibc

/// A directory for one test's files that everybody may read; it goes with the last reference.
public final class TemporaryDirectory: Sendable {
    public let path: String

    public init() throws {
        path =
            FileManager.default.temporaryDirectory.appendingPathComponent("sluice-test-\(UUID().uuidString)")
            .path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in it.
    public subscript(name: String) -> String { "\(path)/\(name)" }

    /// Puts a file in place in one step, as those do who edit manifests and credentials: written beside it, then
    /// renamed.
    ///
    /// - Returns: its path.
    @discardableResult
    public func write(_ text: String, to name: String) throws -> String {
        let draft = self[".\(name).draft"]
        try Data(text.utf8).write(to: URL(fileURLWithPath: draft))
        try rename(draft, to: self[name])
        return self[name]
    }

    public func read(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: self[name])), as: UTF8.self)
    }

    public func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: self[name]) }
}

/// Over what is there, in one step.
func rename(_ from: String, to: String) throws {
    guard Glibc.rename(from, to) == 0 else {
        throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
}
