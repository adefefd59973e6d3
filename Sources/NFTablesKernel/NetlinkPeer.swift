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
        guard let inode = inode(ofPort: port), let process = process(holding: inode) else {
            return "another program (netlink port \(port))"
        }
        return "\(process.name) (process \(process.id))"
    }

    /// /proc/net/netlink: `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`.
    private static func inode(ofPort port: UInt32) -> Substring? {
        for line in (HostFiles.text("/proc/thread-self/net/netlink") ?? "").split(separator: "\n") {
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
