internal import CNetfilter
import Glibc
import HostFiles

/// Whoever is behind a netlink port.
public enum NetlinkPeer {
    /// The socket's owner in words: `sluice (process 123)`; by the port's number alone where no process of this machine
    /// can be seen to hold it, as from a container.
    ///
    /// - Parameter port: of a NETLINK_NETFILTER socket in the calling thread's network namespace.
    public static func description(ofPort port: UInt32) -> String {
        let inodes = inodes { $0[1] == "\(NETLINK_NETFILTER)" && $0[2] == "\(port)" }
        guard let inode = inodes.first, let process = process(holding: inode) else {
            return "another program (netlink port \(port))"
        }
        return "\(process.name) (process \(process.id))"
    }

    /// The other processes of this program, by its name, that hold nf_tables sockets in the calling thread's network
    /// namespace, in words. From a container, those of others can't be seen.
    public static func othersOfThisProgram() -> [String] {
        guard let name = HostFiles.text("/proc/self/comm") else { return [] }
        let sockets = Set(inodes { $0[1] == "\(NETLINK_NETFILTER)" }.map { "socket:[\($0)]" })
        return HostFiles.entries("/proc").compactMap { Int32($0) }.sorted().filter { id in
            let folder = "/proc/\(id)/fd"
            return id != getpid() && HostFiles.text("/proc/\(id)/comm") == name
                && HostFiles.entries(folder).contains {
                    HostFiles.destination("\(folder)/\($0)").map(sockets.contains) ?? false
                }
        }.map { "\(name.split(separator: "\n").first ?? "?") (process \($0))" }
    }

    /// /proc/net/netlink: `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`.
    private static func inodes(where isMeant: ([Substring]) -> Bool) -> [Substring] {
        (HostFiles.text("/proc/thread-self/net/netlink") ?? "").split(separator: "\n").compactMap { line in
            let columns = line.split(separator: " ")
            return columns.count >= 10 && isMeant(columns) ? columns[9] : nil
        }
    }

    private static func process(holding inode: Substring) -> (id: Int32, name: String)? {
        let wanted = "socket:[\(inode)]"
        for id in HostFiles.entries("/proc").compactMap({ Int32($0) }) {
            let folder = "/proc/\(id)/fd"
            guard
                HostFiles.entries(folder).contains(where: {
                    HostFiles.destination("\(folder)/\($0)") == wanted
                })
            else { continue }
            let name = HostFiles.text("/proc/\(id)/comm")?.split(separator: "\n").first.map(String.init)
            return (id, name ?? "?")
        }
        return nil
    }
}
