internal import CNetfilter
import Glibc

/// One NETLINK_NETFILTER socket (netlink(7)), in the network namespace of the thread that made it.
final class NetlinkSocket {
    private let descriptor: Int32
    let portID: UInt32
    private let buffer: UnsafeMutableRawBufferPointer

    /// The largest datagram the kernel builds for a dump is 32 KiB (`NLMSG_GOODSIZE` grown to the reader's buffer).
    private static let receiveSize = 1 << 16
    /// Room for the errors and acknowledgements of one batch.
    private static let receiveBuffer: Int32 = 8 << 20
    /// Seconds after which an answer counts as lost.
    private static let patience = 30

    init() throws(KernelError) {
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
    func send(_ bytes: UnsafeRawBufferPointer) throws(KernelError) {
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
    func receive(wait: Bool) throws(KernelError) -> UnsafeRawBufferPointer? {
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

    /// Throws away what is still queued from an exchange that was given up.
    func drain() {
        for _ in 0..<10_000 {
            guard recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)) >= 0 else { return }
        }
    }
}

/// One netlink message inside a datagram.
struct NetlinkMessage {
    let header: UnsafePointer<nlmsghdr>

    var type: UInt16 { header.pointee.nlmsg_type }
    var sequence: UInt32 { header.pointee.nlmsg_seq }
    var flags: UInt16 { header.pointee.nlmsg_flags }

    /// The message's number within its subsystem, such as NFT_MSG_NEWRULE.
    var subtype: UInt16 { type & 0xff }

    /// The error code of an NLMSG_ERROR (0: acknowledged) or of an NLMSG_DONE; positive errno.
    var errorCode: Int32 {
        guard header.pointee.nlmsg_len >= UInt32(MemoryLayout<nlmsghdr>.size + MemoryLayout<Int32>.size)
        else { return 0 }
        let payload = UnsafeRawPointer(header).advanced(by: MemoryLayout<nlmsghdr>.size)
        return -payload.loadUnaligned(as: Int32.self)
    }

    /// `NLMSGERR_ATTR_MSG` of an NLMSG_ERROR.
    var errorText: String? {
        guard flags & UInt16(NLM_F_ACK_TLVS) != 0 else { return nil }
        // With capped acknowledgements the request's header alone precedes the attributes.
        let attributes = MemoryLayout<nlmsghdr>.size + MemoryLayout<nlmsgerr>.size
        let total = Int(header.pointee.nlmsg_len)
        let raw = UnsafeRawPointer(header)
        var offset = attributes
        while offset + 4 <= total {
            let length = Int(raw.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            let type = raw.loadUnaligned(fromByteOffset: offset + 2, as: UInt16.self) & 0x3fff
            guard length >= 4, offset + length <= total else { return nil }
            if type == UInt16(NLMSGERR_ATTR_MSG.rawValue) {
                let text = UnsafeRawBufferPointer(start: raw + offset + 4, count: length - 4)
                return String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
            }
            offset += (length + 3) & ~3
        }
        return nil
    }

    /// Calls `body` with each whole message of a datagram until it returns false.
    static func forEach(
        in datagram: UnsafeRawBufferPointer, _ body: (NetlinkMessage) throws(KernelError) -> Bool
    ) throws(KernelError) {
        var rest = datagram[...]
        while rest.count >= MemoryLayout<nlmsghdr>.size {
            let bytes = UnsafeRawBufferPointer(rebasing: rest)
            guard let header = bytes.baseAddress?.assumingMemoryBound(to: nlmsghdr.self) else { return }
            let length = Int(header.pointee.nlmsg_len)
            guard length >= MemoryLayout<nlmsghdr>.size, length <= rest.count else {
                throw .lost("netlink: a message of \(length) bytes in \(rest.count)")
            }
            guard try body(NetlinkMessage(header: header)) else { return }
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }
}
