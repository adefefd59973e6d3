internal import CNetfilter
package import NFTables
package import Netlink

extension Connection {
    /// The elements, and whether they belong to one moment.
    ///
    /// - Parameter isOdd: set where there is one without a key, as nft's `*`, which is asked for all keys that have none
    ///   of their own.
    func readElements(
        of set: String, in table: TableID, isOdd: inout Bool
    ) throws(KernelError) -> ([Element], Bool) {
        var elements: [Element] = []
        var isWithoutKey = false
        let isConsistent = try request(
            NFT_MSG_GETSETELEM, family: table.family, flags: NLM_F_DUMP,
            object: "elements of \(table) \(set)",
            attributes: [
                (NFTA_SET_ELEM_LIST_TABLE.rawValue, table.name), (NFTA_SET_ELEM_LIST_SET.rawValue, set),
            ]
        ) { message in
            if !Element.read(message, into: &elements) { isWithoutKey = true }
        }
        isOdd = isWithoutKey
        return (elements, isConsistent)
    }
}

extension Element {
    /// The elements that a message tells of.
    package static func read(_ message: NetlinkMessage) -> [Element] {
        var elements: [Element] = []
        _ = read(message, into: &elements)
        return elements
    }

    /// - Returns: false where one has no key, and so is left out.
    static func read(_ message: NetlinkMessage, into elements: inout [Element]) -> Bool {
        var isWhole = true
        for list in Attributes(of: message)
        where list.type == UInt16(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) {
            for element in list.nested {
                if let element = Element(element.nested) { elements.append(element) } else { isWhole = false }
            }
        }
        return isWhole
    }

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
