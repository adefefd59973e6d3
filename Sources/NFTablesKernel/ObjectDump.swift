internal import CNetfilter
package import NFTables
package import Netlink

// What a dump tells of chains, rules and sets. It is read here and not by libnftnl, which ends the process (`exit`)
// when an attribute hasn't the length that it expects: the agent must outlive a kernel that says something new.

extension NetlinkMessage {
    /// Whether libnftnl can be trusted with a message about a table.
    var isWellFormedTable: Bool {
        let length = Int(header.pointee.nlmsg_len)
        // libmnl rounds the length up, and would read an attribute out of what is behind.
        guard length >= MemoryLayout<nlmsghdr>.size + MemoryLayout<nfgenmsg>.size, length.isMultiple(of: 4)
        else { return false }
        return Attributes(of: self).allSatisfy { attribute in
            switch UInt32(attribute.type) {
            case NFTA_TABLE_NAME.rawValue: attribute.nulTerminated != nil
            case NFTA_TABLE_FLAGS.rawValue, NFTA_TABLE_USE.rawValue, Self.tableOwner:
                attribute.number != nil
            case NFTA_TABLE_HANDLE.rawValue: attribute.longNumber != nil
            default: true
            }
        }
    }

    /// `NFTA_TABLE_OWNER`, which headers before Linux 5.13 lack.
    private static var tableOwner: UInt32 { 7 }
}

extension Attribute {
    /// A number of exactly 32 bits, as the kernel writes nearly all of its numbers.
    var number: UInt32? { payload.count == 4 ? bigEndian32 : nil }
    /// A number of exactly 64 bits.
    var longNumber: UInt64? { payload.count == 8 ? bigEndian64 : nil }
    /// A text that ends with the one NUL it has; nil for what has none, or is no UTF-8.
    var nulTerminated: String? {
        guard payload.count > 1, payload.firstIndex(of: 0) == payload.count - 1 else { return nil }
        return String(validating: payload.dropLast(), as: UTF8.self)
    }
}

extension Attributes {
    /// The last attribute of a type, as the kernel takes it where there are several.
    func find(_ type: UInt32) -> Attribute? {
        var found: Attribute?
        for attribute in self where UInt32(attribute.type) == type { found = attribute }
        return found
    }

    func number(_ type: UInt32) -> UInt32? { find(type)?.number }
    func text(_ type: UInt32) -> String? { find(type)?.nulTerminated }

    /// Whether the text is in the table of that name.
    fileprivate func names(_ type: UInt32, _ table: TableID) -> Bool { text(type) == table.name }

    fileprivate func userdata(_ type: UInt32) -> Userdata? {
        guard let payload = find(type)?.payload, !payload.isEmpty else { return nil }
        return Userdata(bytes: Array(payload))
    }
}

extension Chain {
    /// A chain of the table, without its rules; nil when the message tells of none.
    package init?(_ message: NetlinkMessage, in table: TableID) {
        let attributes = Attributes(of: message)
        // A chain that a rule brought along (`jump { … }`) is a part of that rule: it goes with it, and only so.
        guard attributes.names(NFTA_CHAIN_TABLE.rawValue, table),
            let name = attributes.text(NFTA_CHAIN_NAME.rawValue),
            (attributes.number(NFTA_CHAIN_FLAGS.rawValue) ?? 0) & UInt32(NFT_CHAIN_BINDING.rawValue) == 0
        else { return nil }
        let comment = attributes.userdata(NFTA_CHAIN_USERDATA.rawValue)?
            .comment(UInt8(NFTNL_UDATA_CHAIN_COMMENT.rawValue))
        self.init(name, base: BaseChain(attributes), comment: comment)
    }
}

extension BaseChain {
    fileprivate init?(_ attributes: Attributes) {
        guard let kind = attributes.text(NFTA_CHAIN_TYPE.rawValue).flatMap(Kind.init(rawValue:)),
            let nest = attributes.find(NFTA_CHAIN_HOOK.rawValue)?.nested,
            let hook = nest.number(NFTA_HOOK_HOOKNUM.rawValue).flatMap(Hook.init(rawValue:)),
            let priority = nest.number(NFTA_HOOK_PRIORITY.rawValue),
            let policy = attributes.number(NFTA_CHAIN_POLICY.rawValue).flatMap(Policy.init(rawValue:))
        else { return nil }
        self.init(kind, hook: hook, priority: Int32(bitPattern: priority), policy: policy)
    }
}

extension Rule {
    /// A rule of the table with the chain it is in; nil when the message tells of none.
    package static func read(_ message: NetlinkMessage, in table: TableID) -> (chain: String, rule: Rule)? {
        let attributes = Attributes(of: message)
        guard attributes.names(NFTA_RULE_TABLE.rawValue, table),
            let chain = attributes.text(NFTA_RULE_CHAIN.rawValue)
        else { return nil }
        var rule = Rule(expressions: [])
        rule.handle = attributes.find(NFTA_RULE_HANDLE.rawValue)?.longNumber
        rule.comment = attributes.userdata(NFTA_RULE_USERDATA.rawValue)?
            .comment(UInt8(NFTNL_UDATA_RULE_COMMENT.rawValue))
        if let list = attributes.find(NFTA_RULE_EXPRESSIONS.rawValue) {
            rule.expressions = list.nested.map { Expression(ExpressionFields($0.nested)) }
        }
        return (chain, rule)
    }
}

extension NamedSet {
    /// A set or map of the table, without its elements; nil when the message tells of none.
    package init?(_ message: NetlinkMessage, in table: TableID) {
        let attributes = Attributes(of: message)
        guard attributes.names(NFTA_SET_TABLE.rawValue, table),
            let name = attributes.text(NFTA_SET_NAME.rawValue)
        else { return nil }
        let userdata = attributes.userdata(NFTA_SET_USERDATA.rawValue)
        func shape(_ type: nft_set_attributes, _ length: nft_set_attributes, _ typeof: [SelectorExpression]?)
            -> Shape?
        {
            let bytes = Int(attributes.number(length.rawValue) ?? 0)
            guard bytes <= RegisterValue.maximumCount else { return nil }
            if let typeof { return Shape(typeof: typeof) }
            let number = attributes.number(type.rawValue) ?? 0
            if let known = Shape(typeNumber: number), known.length == bytes { return known }
            // A type of nft's that this library doesn't know: as many registers as it takes.
            return Shape(types: Array(repeating: .integer, count: max(1, (bytes + 3) / 4)))
        }
        let flags = attributes.number(NFTA_SET_FLAGS.rawValue) ?? 0
        guard let key = shape(NFTA_SET_KEY_TYPE, NFTA_SET_KEY_LEN, userdata?.keyTypeof) else { return nil }
        var data: MapData?
        if flags & UInt32(NFT_SET_MAP.rawValue) != 0 {
            if attributes.number(NFTA_SET_DATA_TYPE.rawValue) == UInt32(NFT_DATA_VERDICT.rawValue) {
                data = .verdict
            } else {
                guard let value = shape(NFTA_SET_DATA_TYPE, NFTA_SET_DATA_LEN, userdata?.dataTypeof) else {
                    return nil
                }
                data = .value(value)
            }
        }
        let timeout = attributes.find(NFTA_SET_TIMEOUT.rawValue)?.longNumber
        let size = attributes.find(NFTA_SET_DESC.rawValue)?.nested.number(NFTA_SET_DESC_SIZE.rawValue)
        self.init(
            name, key: key, data: data,
            flags: Flags(rawValue: flags & ~UInt32(NFT_SET_MAP.rawValue)),
            timeout: timeout == 0 ? nil : timeout, size: size == 0 ? nil : size, comment: userdata?.setComment
        )
    }
}
