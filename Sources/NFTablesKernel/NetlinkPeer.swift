internal import CNetfilter
import Glibc

/// Whoever is behind a netlink port.
public enum NetlinkPeer {
    /// The socket's owner in words: `sluice (process 123)`; by the port's number alone where no process of this machine
    /// can be seen to hold it, as from a container.
    ///
    /// - Parameter port: of a NETLINK_NETFILTER socket in the calling thread's network namespace.
    public static func description(ofPort port: UInt32) -> String {
        guard let inode = inode(ofPort: port), let process = process(holding: inode) else {
            return "another program (netlink port \(port))"
        }
        return "\(process.name) (process \(process.id))"
    }

    /// /proc/net/netlink: `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`.
    private static func inode(ofPort port: UInt32) -> Substring? {
        guard let text = contents("/proc/thread-self/net/netlink") else { return nil }
        for line in text.split(separator: "\n") {
            let columns = line.split(separator: " ")
            guard columns.count >= 10, columns[1] == "\(NETLINK_NETFILTER)", columns[2] == "\(port)" else {
                continue
            }
            return columns[9]
        }
        return nil
    }

    private static func process(holding inode: Substring) -> (id: Int32, name: String)? {
        let wanted = "socket:[\(inode)]"
        for id in entries("/proc").compactMap({ Int32($0) }) {
            let folder = "/proc/\(id)/fd"
            guard entries(folder).contains(where: { link("\(folder)/\($0)") == wanted }) else { continue }
            let name = contents("/proc/\(id)/comm")?.split(separator: "\n").first.map(String.init)
            return (id, name ?? "?")
        }
        return nil
    }

    private static func entries(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names
    }

    private static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 128)
        let count = readlink(path, &buffer, buffer.count)
        return count > 0
            ? String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self) : nil
    }

    private static func contents(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            result += buffer.prefix(count)
        }
        return String(decoding: result, as: UTF8.self)
    }
}
