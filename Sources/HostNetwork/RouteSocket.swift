internal import CNetfilter
import Glibc

/// One NETLINK_ROUTE socket (rtnetlink(7)), in the network namespace of the thread that made it; for one
/// thread at a time.
struct RouteSocket: ~Copyable {
    private let socket: OpaquePointer
    private let buffer: UnsafeMutableRawBufferPointer
    private var sequence: UInt32 = 0

    /// The kernel builds dumps in datagrams of at most 32 KiB, and of one message where that is longer.
    private static let receiveSize = 1 << 16
    /// Seconds after which an answer counts as lost.
    private static let patience = 5

    /// What was found when a socket was emptied.
    enum Drained {
        /// There are no more messages.
        case all
        /// There were more than the socket holds: some are lost.
        case overflowed
        /// The socket is of no more use.
        case failed
    }

    /// - Parameters:
    ///   - groups: RTMGRP_… bits of what is to be told as it happens.
    ///   - receiveBuffer: bytes that wait to be read; nil leaves it to the kernel.
    init(groups: UInt32 = 0, receiveBuffer: Int32? = nil) throws(HostNetworkError) {
        guard let socket = mnl_socket_open2(NETLINK_ROUTE, Int32(SOCK_CLOEXEC.rawValue)) else {
            throw .call("socket", errno: errno)
        }
        guard mnl_socket_bind(socket, groups, 0) == 0 else {
            let error = errno
            mnl_socket_close(socket)
            throw .call("bind", errno: error)
        }
        self.socket = socket
        buffer = .allocate(byteCount: Self.receiveSize, alignment: 16)
        var patience = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        if var receiveBuffer {
            setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    deinit {
        mnl_socket_close(socket)
        buffer.deallocate()
    }

    var descriptor: Int32 { mnl_socket_get_fd(socket) }

    /// Asks for all objects of a kind and calls `body` with each message.
    ///
    /// - Parameters:
    ///   - what: the objects, for errors.
    ///   - type: RTM_GET…
    ///   - headerLength: bytes of the header after `nlmsghdr`, such as `ifaddrmsg`; sent as zeros, which
    ///     means all families.
    /// - Returns: false when the objects changed meanwhile, so that some may be missing or double.
    mutating func dump(
        _ what: String, type: Int, headerLength: Int, _ body: (RouteMessage) -> Void
    ) throws(HostNetworkError) -> Bool {
        sequence &+= 1
        guard let request = mnl_nlmsg_put_header(buffer.baseAddress) else { return false }
        request.pointee.nlmsg_type = UInt16(type)
        request.pointee.nlmsg_flags = UInt16(NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH)
        request.pointee.nlmsg_seq = sequence
        mnl_nlmsg_put_extra_header(request, headerLength)
        guard mnl_socket_sendto(socket, request, Int(request.pointee.nlmsg_len)) >= 0 else {
            throw .call("send", errno: errno)
        }
        var isWhole = true
        while true {
            let count = mnl_socket_recvfrom(socket, buffer.baseAddress, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw .call("receive", errno: errno)
            }
            var end: Bool?
            try RouteMessage.forEach(in: UnsafeRawBufferPointer(rebasing: buffer[..<count])) {
                (message) throws(HostNetworkError) in
                // What is left of a dump that was given up has another number.
                guard message.header.pointee.nlmsg_seq == sequence else { return true }
                if message.header.pointee.nlmsg_flags & UInt16(NLM_F_DUMP_INTR) != 0 { isWhole = false }
                switch Int32(message.header.pointee.nlmsg_type) {
                case NLMSG_ERROR, NLMSG_DONE:
                    let code = message.errorCode
                    guard code == 0 else { throw .refused(what: what, errno: code) }
                    end = isWhole
                    return false
                default:
                    body(message)
                    return true
                }
            }
            if let end { return end }
        }
    }

    /// Throws away all that waits to be read.
    func drain() -> Drained {
        var result = Drained.all
        // A bound, should somebody send faster than this reads; the rest is there at the next poll(2).
        for _ in 0..<10_000 {
            guard recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)) < 0 else {
                continue
            }
            switch errno {
            case EINTR: continue
            case ENOBUFS: result = .overflowed
            case EAGAIN: return result
            default: return .failed
            }
        }
        return result
    }
}

/// One message of a dump; valid until the next is received.
package struct RouteMessage {
    let header: UnsafePointer<nlmsghdr>

    /// Calls `body` with each whole message of a datagram until it returns false.
    package static func forEach(
        in datagram: UnsafeRawBufferPointer, _ body: (RouteMessage) throws(HostNetworkError) -> Bool
    ) throws(HostNetworkError) {
        // Not by libmnl, which takes a length from 2^31 on for a negative one, and so for one that fits.
        var rest = datagram[...]
        while rest.count >= MemoryLayout<nlmsghdr>.size,
            let header = UnsafeRawBufferPointer(rebasing: rest).baseAddress?
                .assumingMemoryBound(to: nlmsghdr.self)
        {
            let length = Int(header.pointee.nlmsg_len)
            guard length >= MemoryLayout<nlmsghdr>.size, length <= rest.count,
                try body(RouteMessage(header: header))
            else { return }
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }

    /// The code of an NLMSG_ERROR or NLMSG_DONE; a positive errno, or 0.
    package var errorCode: Int32 {
        guard mnl_nlmsg_get_payload_len(header) >= MemoryLayout<Int32>.size,
            let payload = mnl_nlmsg_get_payload(header)
        else { return 0 }
        // The least number has no positive counterpart.
        return 0 &- payload.loadUnaligned(as: Int32.self)
    }

    /// The header after `nlmsghdr`, such as `ifaddrmsg`; nil when the message is too short.
    func payload<Header: BitwiseCopyable>(as type: Header.Type) -> Header? {
        guard mnl_nlmsg_get_payload_len(header) >= MemoryLayout<Header>.size else { return nil }
        return mnl_nlmsg_get_payload(header)?.loadUnaligned(as: type)
    }

    /// Calls `body` with type and bytes of each attribute that follows a header of `headerLength` bytes.
    func forEachAttribute(
        after headerLength: Int, _ body: (_ type: Int, _ bytes: UnsafeRawBufferPointer) -> Void
    ) {
        // Not libmnl's end, which it rounds up.
        let tail = UnsafeRawPointer(header) + Int(header.pointee.nlmsg_len)
        guard var attribute = UnsafeRawPointer(mnl_nlmsg_get_payload_offset(header, headerLength)) else {
            return
        }
        while true {
            let current = attribute.assumingMemoryBound(to: nlattr.self)
            guard mnl_attr_ok(current, Int32(clamping: tail - attribute)) else { return }
            body(
                Int(mnl_attr_get_type(current)),
                UnsafeRawBufferPointer(
                    start: mnl_attr_get_payload(current), count: Int(mnl_attr_get_payload_len(current))))
            guard let next = mnl_attr_next(current) else { return }
            attribute = UnsafeRawPointer(next)
        }
    }
}
