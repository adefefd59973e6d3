internal import CNetfilter

/// One attribute of a netlink message (`struct nlattr`), its payload valid as long as the datagram.
package struct Attribute {
    package let type: UInt16
    package let payload: UnsafeRawBufferPointer

    package var bigEndian16: UInt16 {
        payload.count >= 2 ? UInt16(bigEndian: payload.loadUnaligned(as: UInt16.self)) : 0
    }
    package var bigEndian32: UInt32 {
        payload.count >= 4 ? UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self)) : 0
    }
    package var bigEndian64: UInt64 {
        payload.count >= 8 ? UInt64(bigEndian: payload.loadUnaligned(as: UInt64.self)) : 0
    }
    package var string: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }
    package var nested: Attributes { Attributes(payload) }
}

/// The attributes of a message or of a nest, each checked against the bytes that are there.
package struct Attributes: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer

    package init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    /// The attributes behind the netlink and nfnetlink headers.
    package init(of message: NetlinkMessage) {
        let offset = MemoryLayout<nlmsghdr>.size + MemoryLayout<nfgenmsg>.size
        let whole = UnsafeRawBufferPointer(
            start: message.header, count: Int(message.header.pointee.nlmsg_len))
        rest = UnsafeRawBufferPointer(rebasing: whole.dropFirst(offset))
    }

    package mutating func next() -> Attribute? {
        guard rest.count >= 4 else { return nil }
        let length = Int(rest.loadUnaligned(as: UInt16.self))
        guard length >= 4, length <= rest.count else { return nil }
        let type = rest.loadUnaligned(fromByteOffset: 2, as: UInt16.self) & 0x3fff
        let payload = UnsafeRawBufferPointer(rebasing: rest[4..<length])
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst((length + 3) & ~3))
        return Attribute(type: type, payload: payload)
    }
}
