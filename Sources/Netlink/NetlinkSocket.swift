internal import CNetfilter
import Glibc

/// One NETLINK_NETFILTER socket (netlink(7)), in the network namespace of the thread that made it.
package final class NetlinkSocket {
    package let descriptor: Int32
    /// The number that the kernel knows the socket by, the process' own for its first (netlink(7)).
    package let portID: UInt32
    private let buffer: UnsafeMutableRawBufferPointer

    /// The largest datagram the kernel builds for a dump is 32 KiB (`NLMSG_GOODSIZE` grown to the reader's buffer).
    private static let receiveSize = 1 << 16
    /// Room for the errors and acknowledgements of one batch.
    private static let receiveBuffer: Int32 = 8 << 20
    /// Seconds after which an answer counts as lost.
    private static let patience = 30

    package init() throws(KernelError) {
        let descriptor = socket(
            AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), NETLINK_NETFILTER)
        guard descriptor >= 0 else { throw .socket(call: "socket", errno: errno) }
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0
            }
        }
        guard bound else {
            let error = errno
            close(descriptor)
            throw .socket(call: "bind", errno: error)
        }
        self.descriptor = descriptor
        portID = address.nl_pid
        buffer = .allocate(byteCount: Self.receiveSize, alignment: 16)
        // Extended acknowledgements carry the kernel's words; capped ones leave out the request's payload.
        setOption(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        setOption(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        setOption(SOL_SOCKET, SO_RCVBUFFORCE, Self.receiveBuffer)
        // The kernel answers at once; an answer that doesn't come was lost, and shows up as EAGAIN.
        var patience = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    private func setOption(_ level: Int32, _ name: Int32, _ value: Int32) {
        // All of these are improvements only: what fails shows up as a send or receive error that is handled.
        var value = value
        setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Sends one datagram; the kernel has carried it out when this returns.
    package func send(_ bytes: UnsafeRawBufferPointer) throws(KernelError) {
        // A netlink datagram must fit the send buffer whole; the option takes half for itself.
        if bytes.count > sendCapacity {
            setOption(SOL_SOCKET, SO_SNDBUFFORCE, Int32(clamping: bytes.count + (1 << 16)))
            sendCapacity = bytes.count
        }
        var kernel = sockaddr_nl()
        kernel.nl_family = sa_family_t(AF_NETLINK)
        while true {
            let sent = withUnsafePointer(to: &kernel) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    sendto(
                        descriptor, bytes.baseAddress, bytes.count, 0, address,
                        socklen_t(MemoryLayout<sockaddr_nl>.size))
                }
            }
            if sent == bytes.count { return }
            if sent < 0, errno == EINTR { continue }
            throw .socket(call: "send of \(bytes.count) bytes", errno: sent < 0 ? errno : EMSGSIZE)
        }
    }

    private var sendCapacity = 64 << 10

    /// The next datagram from the kernel; nil when `wait` is false and none is there.
    ///
    /// The bytes are valid until the next call.
    package func receive(wait: Bool) throws(KernelError) -> UnsafeRawBufferPointer? {
        while true {
            let flags = Int32(MSG_TRUNC) | (wait ? 0 : Int32(MSG_DONTWAIT))
            let count = recv(descriptor, buffer.baseAddress, buffer.count, flags)
            if count >= 0 {
                guard count <= buffer.count else {
                    throw .lost("netlink: a datagram of \(count) bytes was cut")
                }
                return UnsafeRawBufferPointer(rebasing: buffer[..<count])
            }
            switch errno {
            case EINTR: continue
            case EAGAIN where !wait: return nil
            default: throw .socket(call: "receive", errno: errno)
            }
        }
    }

    /// Hears what the kernel tells of a group (`NFNLGRP_*`), but for what the socket of one port did itself.
    ///
    /// - Parameter bytes: how much may wait to be read; nil leaves it as it is.
    package func join(
        group: Int32, ignoring port: UInt32, receiveBuffer bytes: Int32? = nil
    ) throws(KernelError) {
        // A kernel without such filters tells all: to be told apart by the messages' own port.
        // nlmsg_pid is the fourth word of struct nlmsghdr; a filter loads words in network byte order.
        var program = [
            sock_filter(code: UInt16(BPF_LD | BPF_W | BPF_ABS), jt: 0, jf: 0, k: 12),
            sock_filter(code: UInt16(BPF_JMP | BPF_JEQ | BPF_K), jt: 0, jf: 1, k: UInt32(bigEndian: port)),
            sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: 0),
            sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: .max),
        ]
        program.withUnsafeMutableBufferPointer { instructions in
            var filter = sock_fprog(len: UInt16(instructions.count), filter: instructions.baseAddress)
            _ = setsockopt(
                descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
                socklen_t(MemoryLayout<sock_fprog>.size))
        }
        if let bytes { setOption(SOL_SOCKET, SO_RCVBUFFORCE, bytes) }
        var group = group
        guard
            setsockopt(
                descriptor, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
                socklen_t(MemoryLayout<Int32>.size)) == 0
        else { throw .socket(call: "join of group \(group)", errno: errno) }
    }

    /// Hears of a group no more.
    package func leave(group: Int32) { setOption(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, group) }

    /// Throws away what is still queued from an exchange that was given up.
    package func drain() {
        for _ in 0..<10_000 {
            guard recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)) >= 0 else { return }
        }
    }
}
