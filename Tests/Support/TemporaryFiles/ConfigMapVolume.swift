internal import Foundation

/// A ConfigMap's volume as the kubelet lays it out: `config.conf` → `..data/config.conf`, `..data` → a directory.
public final class ConfigMapVolume {
    private let directory: TemporaryDirectory
    private var generation = 0

    /// - Parameter files: the ConfigMap's `data`.
    public init(_ files: [String: String]) throws {
        directory = try TemporaryDirectory()
        try update(files)
        for name in files.keys {
            try FileManager.default.createSymbolicLink(
                atPath: directory[name], withDestinationPath: "..data/\(name)")
        }
    }

    public var path: String { directory.path }

    /// The path of a file in it.
    public subscript(name: String) -> String { directory[name] }

    /// Puts another generation of the same files in place in one step, and removes the one before.
    public func update(_ files: [String: String]) throws {
        generation += 1
        let name = "..generation-\(generation)"
        try FileManager.default.createDirectory(
            atPath: directory[name], withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o755])
        for (file, text) in files {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory[name])/\(file)"))
        }
        try FileManager.default.createSymbolicLink(atPath: directory["..tmp"], withDestinationPath: name)
        try rename(directory["..tmp"], to: directory["..data"])
        try? directory.remove("..generation-\(generation - 1)")
    }
}
