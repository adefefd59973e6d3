internal import CNetfilter
import NFTables

/// One attribute of a netlink message (`struct nlattr`), its payload valid as long as the datagram.
struct Attribute {
    let type: UInt16
    let payload: UnsafeRawBufferPointer

    var bigEndian32: UInt32 {
        payload.count >= 4 ? UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self)) : 0
    }
    var bigEndian64: UInt64 {
        payload.count >= 8 ? UInt64(bigEndian: payload.loadUnaligned(as: UInt64.self)) : 0
    }
    var string: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }
    var nested: Attributes { Attributes(payload) }
}

/// The attributes of a message or of a nest, each checked against the bytes that are there.
struct Attributes: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    /// The attributes behind the netlink and nfnetlink headers.
    init(of message: NetlinkMessage) {
        let offset = MemoryLayout<nlmsghdr>.size + MemoryLayout<nfgenmsg>.size
        let whole = UnsafeRawBufferPointer(
            start: message.header, count: Int(message.header.pointee.nlmsg_len))
        rest = UnsafeRawBufferPointer(rebasing: whole.dropFirst(offset))
    }

    mutating func next() -> Attribute? {
        guard rest.count >= 4 else { return nil }
        let length = Int(rest.loadUnaligned(as: UInt16.self))
        guard length >= 4, length <= rest.count else { return nil }
        let type = rest.loadUnaligned(fromByteOffset: 2, as: UInt16.self) & 0x3fff
        let payload = UnsafeRawBufferPointer(rebasing: rest[4..<length])
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst((length + 3) & ~3))
        return Attribute(type: type, payload: payload)
    }
}

extension Connection {
    /// The elements, and whether they belong to one moment.
    func readElements(of set: String, in table: TableID) throws(KernelError) -> ([Element], Bool) {
        var elements: [Element] = []
        let isConsistent = try request(
            NFT_MSG_GETSETELEM, family: table.family, flags: NLM_F_DUMP,
            object: "elements of \(table) \(set)",
            attributes: [
                (NFTA_SET_ELEM_LIST_TABLE.rawValue, table.name), (NFTA_SET_ELEM_LIST_SET.rawValue, set),
            ]
        ) { message in
            for list in Attributes(of: message)
            where list.type == UInt16(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) {
                for element in list.nested {
                    if let element = Element(element.nested) { elements.append(element) }
                }
            }
        }
        return (elements, isConsistent)
    }
}

extension Element {
    /// Reads `NFTA_SET_ELEM_*`; nil without a key.
    init?(_ attributes: Attributes) {
        var key: RegisterValue?
        var element = Element(RegisterValue())
        for attribute in attributes {
            switch UInt32(attribute.type) {
            case UInt32(NFTA_SET_ELEM_KEY.rawValue):
                key = attribute.nested.first { $0.type == UInt16(NFTA_DATA_VALUE.rawValue) }.map {
                    RegisterValue(cut: $0.payload)
                }
            case UInt32(NFTA_SET_ELEM_DATA.rawValue):
                element.data = attribute.nested.first { _ in true }.flatMap(Self.data)
            case UInt32(NFTA_SET_ELEM_FLAGS.rawValue):
                element.isIntervalEnd =
                    attribute.bigEndian32 & UInt32(NFT_SET_ELEM_INTERVAL_END.rawValue) != 0
            case UInt32(NFTA_SET_ELEM_TIMEOUT.rawValue):
                element.timeout = attribute.bigEndian64
            case UInt32(NFTA_SET_ELEM_EXPIRATION.rawValue):
                element.expiration = attribute.bigEndian64
            case UInt32(NFTA_SET_ELEM_USERDATA.rawValue):
                element.comment = Userdata(bytes: Array(attribute.payload))
                    .comment(UInt8(NFTNL_UDATA_SET_ELEM_COMMENT.rawValue))
            default:
                break
            }
        }
        guard let key else { return nil }
        element.key = key
        self = element
    }

    private static func data(_ attribute: Attribute) -> Data? {
        if attribute.type == UInt16(NFTA_DATA_VALUE.rawValue) {
            return .value(RegisterValue(cut: attribute.payload))
        }
        var code: Int32?
        var chain: String?
        for part in attribute.nested {
            switch UInt32(part.type) {
            case UInt32(NFTA_VERDICT_CODE.rawValue): code = Int32(bitPattern: part.bigEndian32)
            case UInt32(NFTA_VERDICT_CHAIN.rawValue): chain = part.string
            default: break
            }
        }
        return code.flatMap { Verdict(code: $0, chain: chain) }.map { .verdict($0) }
    }
}

extension RegisterValue {
    /// As many of the bytes as a value holds.
    fileprivate init(cut bytes: UnsafeRawBufferPointer) {
        self.init(UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.maximumCount)))
    }
}
