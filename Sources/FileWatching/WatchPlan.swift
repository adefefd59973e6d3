import Foundation
import Glibc

/// Which directories are to be watched for the given paths, and for which names in them.
package struct WatchPlan: Equatable, Sendable {
    package struct Interest: Equatable, Sendable {
        var names: Set<String> = []
        /// True for a directory that was given: every member of it counts, and the `..data` link that
        /// the kubelet swaps when a ConfigMap in a volume changes.
        var hasMembers = false
        /// True when the contents of files count, not only their coming and going.
        var readsFiles = false
    }

    /// By absolute path.
    package private(set) var directories: [String: Interest] = [:]

    private let memberSuffixes: [String]

    /// The plan for what is on the disk now.
    ///
    /// - Parameter memberSuffixes: how the names of the files end that count in a directory among `paths`;
    ///   hidden ones never do.
    package init(paths: [String], memberSuffixes: [String] = []) {
        self.memberSuffixes = memberSuffixes
        for path in paths where path != "-" { add(FilePath.absolute(path)) }
    }

    func includes(_ name: String, of interest: Interest) -> Bool {
        interest.names.contains(name) || interest.hasMembers && (isMember(name) || name.hasPrefix(".."))
    }

    private func isMember(_ name: String) -> Bool {
        !name.hasPrefix(".") && memberSuffixes.contains { name.hasSuffix($0) }
    }

    private mutating func add(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            // Wait for it where it would have to appear, and at the links on the way.
            watchLinks(on: path)
            watchNearest(path)
            return
        }
        watchLinks(on: path)
        watch(path, readsFiles: true)
        if status.st_mode & S_IFMT == S_IFDIR {
            directories[path, default: Interest()].hasMembers = true
            directories[path, default: Interest()].readsFiles = true
            for link in links(in: path) { watchTarget(link) }
        } else {
            watchTarget(path)
        }
    }

    /// Watches the parent of `path` for its name.
    private mutating func watch(_ path: String, readsFiles: Bool) {
        guard let (parent, name) = Self.split(path) else { return }
        directories[parent, default: Interest()].names.insert(name)
        if readsFiles { directories[parent, default: Interest()].readsFiles = true }
    }

    /// Watches where a link leads to, if to elsewhere.
    private mutating func watchTarget(_ path: String) {
        guard let target = FilePath.resolved(path), target != path else { return }
        watch(target, readsFiles: true)
        // A link on the way may be swapped while the old target stays as it is.
        var hop = path
        for _ in 0..<8 {
            guard let next = try? FileManager.default.destinationOfSymbolicLink(atPath: hop),
                let (parent, _) = Self.split(hop)
            else { return }
            hop = next.hasPrefix("/") ? next : parent + "/" + next
            watchLinks(on: hop)
        }
    }

    /// Watches the links among the parents of `path`: a release directory may be swapped whole.
    private mutating func watchLinks(on path: String) {
        var parent = path
        while let (above, _) = Self.split(parent) {
            var status = stat()
            if lstat(parent, &status) == 0, status.st_mode & S_IFMT == S_IFLNK {
                watch(parent, readsFiles: false)
            }
            parent = above
        }
    }

    private mutating func watchNearest(_ path: String) {
        var path = path
        while let (parent, _) = Self.split(path) {
            // A file may be made and closed before the plan is made anew: see both events.
            watch(path, readsFiles: true)
            var status = stat()
            if stat(parent, &status) == 0 { return }
            path = parent
        }
    }

    private static func split(_ path: String) -> (parent: String, name: String)? {
        guard path != "/", let slash = path.lastIndex(of: "/") else { return nil }
        let parent = slash == path.startIndex ? "/" : String(path[..<slash])
        return (parent, String(path[path.index(after: slash)...]))
    }

    /// The members of a directory that are symbolic links.
    private func links(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var links: [String] = []
        while let entry = readdir(stream) {
            guard Int(entry.pointee.d_type) == Int(DT_LNK) else { continue }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if isMember(name) { links.append(directory + "/" + name) }
        }
        return links
    }
}
