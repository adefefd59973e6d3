import Documents
import Foundation
import Glibc
import KubernetesAPI

/// Finds and reads the manifest files behind the given paths, and knows which have changed.
struct ManifestScanner: Sendable {
    /// What tells, without reading, that a file is still the same.
    private struct Stamp: Hashable, Sendable {
        var device: UInt
        var inode: UInt
        var size: Int
        var modified: [Int]
        var changed: [Int]

        init(_ status: stat) {
            device = UInt(status.st_dev)
            inode = UInt(status.st_ino)
            size = Int(status.st_size)
            modified = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
            changed = [status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
        }
    }

    private struct Known: Sendable {
        var stamp: Stamp?
    }

    /// An error number of a system call, at a path.
    private struct Failure: Error {
        var code: CInt
        var text: String { String(cString: strerror(code)) }
    }

    let paths: [String]
    /// The files that are known; without a stamp, the next scan reads the file again.
    private var stamps: [FileID: Known] = [:]
    private var hasReadStandardInput = false

    init(paths: [String]) { self.paths = paths }

    /// Reads what is new or changed. Paths in `forced` count as changed, those in `unfinished` are
    /// left alone: somebody is writing there.
    ///
    /// - Throws: `ManifestSource.PathError` when `isStrict` and a path as given can't be read.
    mutating func scan(
        forced: Set<String> = [], unfinished: Set<String> = [], isStrict: Bool = false
    ) throws(ManifestSource.PathError) -> [(file: FileID, change: FileChange)] {
        var changes: [(file: FileID, change: FileChange)] = []
        var seen: Set<FileID> = []
        for (root, path) in paths.enumerated() {
            if path == "-" {
                let id = FileID(root: root, path: path)
                seen.insert(id)
                if hasReadStandardInput { continue }
                hasReadStandardInput = true
                stamps[id] = Known(stamp: nil)
                changes.append((id, readStandardInput()))
                continue
            }
            do throws(Failure) {
                let status = try Self.status(path)
                let isDirectory = status.st_mode & S_IFMT == S_IFDIR
                let files = isDirectory ? try Self.manifests(in: path) : [path]
                for file in files {
                    let id = FileID(root: root, path: file)
                    seen.insert(id)
                    let change = try read(
                        id, isForced: Self.touches(forced, file),
                        isUnfinished: Self.touches(unfinished, file), isStrict: isStrict && !isDirectory)
                    if let change { changes.append((id, change)) }
                }
            } catch {
                if isStrict {
                    throw ManifestSource.PathError(path: path, message: error.text)
                }
                if error.code == ENOENT || error.code == ENOTDIR { continue }
                let id = FileID(root: root, path: path)
                seen.formUnion(stamps.keys.filter { $0.root == root })
                seen.insert(id)
                stamps[id] = Known(stamp: nil)
                changes.append((id, .unreadable(Self.problem(path, error))))
            }
        }
        for id in stamps.keys where !seen.contains(id) {
            stamps[id] = nil
            changes.append((id, .gone))
        }
        return changes.sorted { $0.file < $1.file }
    }

    /// Has the next scan look at these files again, also at those that were gone.
    mutating func forget(_ files: [FileID]) {
        for file in files { stamps[file] = Known(stamp: nil) }
    }

    /// What has changed in one file; nil when nothing has, as far as can be told.
    private mutating func read(
        _ id: FileID, isForced: Bool, isUnfinished: Bool, isStrict: Bool
    ) throws(Failure) -> FileChange? {
        if isUnfinished { return nil }
        do {
            let status = try Self.status(id.path)
            let stamp = Stamp(status)
            if !isForced, let known = stamps[id], known.stamp == stamp { return nil }
            let data = try Self.contents(id.path)
            stamps[id] = Known(stamp: stamp)
            guard let data else {
                return .unreadable(
                    ObjectProblem(
                        source: id.path,
                        message: "larger than the \(ManifestParser.sizeLimit >> 20) MiB allowed"))
            }
            return .parsed(ManifestParser.parse(data, source: id.path))
        } catch {
            if isStrict { throw error }
            let isNew = stamps[id] == nil
            var status = stat()
            if error.code == ENOENT, lstat(id.path, &status) != 0 {
                stamps[id] = nil
                return isNew ? nil : .gone
            }
            stamps[id] = Known(stamp: nil)
            return .unreadable(Self.problem(id.path, error))
        }
    }

    private func readStandardInput() -> FileChange {
        let source = "standard input"
        do throws(Failure) {
            guard let data = try Self.contents(of: STDIN_FILENO, sizeHint: 0) else {
                return .unreadable(
                    ObjectProblem(
                        source: source,
                        message: "larger than the \(ManifestParser.sizeLimit >> 20) MiB allowed"))
            }
            return .parsed(ManifestParser.parse(data, source: source))
        } catch {
            return .unreadable(Self.problem(source, error))
        }
    }

    private static func problem(_ path: String, _ failure: Failure) -> ObjectProblem {
        ObjectProblem(
            source: Text.isPlain(path, limit: 4096) ? path : Text.quoted(path),
            message: "cannot be read: \(failure.text)")
    }
}

extension ManifestScanner {
    /// `*.yaml`, `*.yml` and `*.json`, but no hidden ones: editors and volumes keep theirs so.
    static func isManifest(_ name: some StringProtocol) -> Bool {
        !name.hasPrefix(".") && [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) }
    }

    /// True when `paths` has the file, under its own name or that of what it links to.
    static func touches(_ paths: Set<String>, _ file: String) -> Bool {
        if paths.isEmpty { return false }
        return paths.contains(absolute(file)) || resolved(file).map(paths.contains) ?? false
    }

    /// The path from the root, symbolic links left as they are.
    static func absolute(_ path: String) -> String {
        let full = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        let parts = full.split(separator: "/").filter { $0 != "." }
        return "/" + parts.joined(separator: "/")
    }

    /// The path with all symbolic links followed; nil when it leads nowhere.
    static func resolved(_ path: String) -> String? {
        guard let buffer = realpath(path, nil) else { return nil }
        defer { free(buffer) }
        return String(cString: buffer)
    }

    private static func status(_ path: String) throws(Failure) -> stat {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Failure(code: errno) }
        return status
    }

    /// The manifest files of a directory, in the order of their names.
    private static func manifests(in directory: String) throws(Failure) -> [String] {
        guard let stream = opendir(directory) else { throw Failure(code: errno) }
        defer { closedir(stream) }
        let prefix = directory.hasSuffix("/") ? directory : directory + "/"
        var paths: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard isManifest(name) else { continue }
            var status = stat()
            if stat(prefix + name, &status) == 0, status.st_mode & S_IFMT != S_IFREG { continue }
            paths.append(prefix + name)
        }
        return paths.sorted()
    }

    /// The bytes of a file; nil when there are more than the parser would take.
    private static func contents(_ path: String) throws(Failure) -> Data? {
        // Without O_NONBLOCK, a FIFO that took the file's place would hold up all others.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Failure(code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Failure(code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(code: EINVAL) }
        return try contents(of: descriptor, sizeHint: Int(status.st_size))
    }

    private static func contents(of descriptor: CInt, sizeHint: Int) throws(Failure) -> Data? {
        guard sizeHint <= ManifestParser.sizeLimit else { return nil }
        var data = Data()
        data.reserveCapacity(sizeHint)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(code: errno)
            }
            if count == 0 { return data }
            guard data.count + count <= ManifestParser.sizeLimit else { return nil }
            data.append(contentsOf: buffer[..<count])
        }
    }
}
