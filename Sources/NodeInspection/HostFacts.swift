import HostFiles

extension HostFiles {
    /// A parameter that is a number; nil when it isn't there.
    static func number(_ path: String) -> Int? {
        text(path).flatMap { Int($0.prefix { !$0.isWhitespace }) }
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
