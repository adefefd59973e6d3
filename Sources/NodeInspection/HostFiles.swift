import Glibc

/// What the kernel tells in files below /proc.
enum HostFiles {
    /// The whole file; nil when it can't be read, and errno says why.
    static func text(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 12)
        while true {
            let count = read(file, &part, part.count)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            bytes += part.prefix(count)
        }
    }

    /// A parameter that is a number; nil when it isn't there.
    static func number(_ path: String) -> Int? {
        text(path).flatMap { Int($0.prefix { !$0.isWhitespace }) }
    }

    /// The names in a folder but for its own and its parent's.
    static func entries(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names.filter { $0 != "." && $0 != ".." }
    }

    /// `net.netfilter.nf_conntrack_max`, of what is below /proc/sys; other paths as they are.
    static func parameterName(_ path: String) -> String {
        let root = "/proc/sys/"
        guard path.hasPrefix(root) else { return path }
        return path.dropFirst(root.count).split(separator: "/").joined(separator: ".")
    }

    /// The processes with this name that can be seen, which from a container are its own.
    static func processes(named name: String) -> [Int32] {
        entries("/proc").compactMap { Int32($0) }.sorted().filter {
            text("/proc/\($0)/comm") == "\(name)\n"
        }
    }

    /// The names of the network interfaces (`/proc/net/dev`).
    static func links() -> [String] {
        (text("/proc/net/dev") ?? "").split(separator: "\n").compactMap { line in
            // Two lines of headings have no colon.
            guard line.contains(":") else { return nil }
            return String(line.prefix { $0 != ":" }.drop { $0 == " " })
        }
    }
}
