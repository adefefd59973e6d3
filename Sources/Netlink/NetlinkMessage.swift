package import CNetfilter
import Glibc

/// One netlink message inside a datagram.
package struct NetlinkMessage {
    package let header: UnsafePointer<nlmsghdr>

    package var type: UInt16 { header.pointee.nlmsg_type }
    package var sequence: UInt32 { header.pointee.nlmsg_seq }
    package var flags: UInt16 { header.pointee.nlmsg_flags }
    /// The port of whoever caused it.
    package var portID: UInt32 { header.pointee.nlmsg_pid }
    /// `nfgen_family` of an nfnetlink message; 0 where it is too short.
    package var family: UInt8 {
        guard header.pointee.nlmsg_len >= UInt32(MemoryLayout<nlmsghdr>.size + MemoryLayout<nfgenmsg>.size)
        else { return 0 }
        return UnsafeRawPointer(header).load(fromByteOffset: MemoryLayout<nlmsghdr>.size, as: UInt8.self)
    }

    /// The message's number within its subsystem, such as NFT_MSG_NEWRULE.
    package var subtype: UInt16 { type & 0xff }

    /// The error code of an NLMSG_ERROR (0: acknowledged) or of an NLMSG_DONE; positive errno.
    package var errorCode: Int32 {
        guard header.pointee.nlmsg_len >= UInt32(MemoryLayout<nlmsghdr>.size + MemoryLayout<Int32>.size)
        else { return 0 }
        let payload = UnsafeRawPointer(header).advanced(by: MemoryLayout<nlmsghdr>.size)
        // The least number has no positive counterpart.
        return 0 &- payload.loadUnaligned(as: Int32.self)
    }

    /// `NLMSGERR_ATTR_MSG` of an NLMSG_ERROR.
    package var errorText: String? {
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

    package init(header: UnsafePointer<nlmsghdr>) { self.header = header }

    /// Calls `body` with each whole message of a datagram until it returns false.
    package static func forEach(
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
