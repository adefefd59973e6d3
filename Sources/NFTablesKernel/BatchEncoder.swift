internal import CNetfilter
package import NFTables

/// Turns operations into the messages of one nf_tables transaction (linux/netfilter/nf_tables.h), in order.
///
/// Tables, chains, sets and rules are built by libnftnl. Elements, of which there can be hundreds of thousands, are
/// written straight into the message with libmnl: a libnftnl object for each would be made only to be copied.
package final class BatchEncoder {
    private let buffer: MessageBuffer
    private(set) var nextSequence: UInt32
    private let firstSequence: UInt32
    private var nextSetID: UInt32 = 1
    /// The operation that each message serves, by the message's distance from the first one.
    private var operationOfMessage: [Int32] = []
    private var current: Int32 = 0

    /// Nested attributes have a 16-bit length, so a list of elements ends well before it overflows.
    private static let maximumElementList = 64_000

    /// `NFT_MSG_DESTROYSETELEM`, which headers before Linux 6.3 lack.
    private static let destroyElements = nf_tables_msg_types(rawValue: 30)

    /// Starts a batch in the (emptied) buffer.
    package init(buffer: MessageBuffer, firstSequence: UInt32) {
        self.buffer = buffer
        self.firstSequence = firstSequence
        nextSequence = firstSequence &+ 1
        buffer.removeAll()
        buffer.beginBatch(sequence: firstSequence)
    }

    /// Number of messages between the batch's begin and end.
    package var messageCount: Int { operationOfMessage.count }

    /// The sequence number of the message that asks to be acknowledged.
    private(set) var acknowledged: UInt32?

    /// Ends the batch. Its last message asks to be acknowledged: without that answer the outcome is unknown.
    package func finish() {
        if messageCount > 0 {
            acknowledged = nextSequence &- 1
            buffer.requestAcknowledgement()
        }
        buffer.endBatch(sequence: nextSequence)
        nextSequence &+= 1
    }

    /// The position of the operation, in the order of `append`, that a message served.
    func operationIndex(sequence: UInt32) -> Int? {
        let index = Int(sequence &- firstSequence) - 1
        return operationOfMessage.indices.contains(index) ? Int(operationOfMessage[index]) : nil
    }

    /// Appends the messages of one operation.
    package func append(_ operation: Operation) throws(KernelError) {
        defer { current += 1 }
        switch operation {
        case .addTable(let id, let comment, let flags):
            appendTable(NFT_MSG_NEWTABLE, id, comment: comment, tableFlags: flags, flags: NLM_F_CREATE)
        case .deleteTable(let id):
            appendTable(NFT_MSG_DELTABLE, id, comment: nil, tableFlags: nil, flags: 0)
        case .addChain(let table, let chain):
            appendChain(table, chain)
        case .deleteChain(let table, let name):
            withChain(NFT_MSG_DELCHAIN, table, name, flags: 0) { _ in }
        case .flushChain(let table, let chain):
            let header = begin(NFT_MSG_DELRULE, table, flags: 0)
            mnl_attr_put_strz(header, UInt16(NFTA_RULE_TABLE.rawValue), table.name)
            mnl_attr_put_strz(header, UInt16(NFTA_RULE_CHAIN.rawValue), chain)
        case .addRule(let table, let chain, let rule):
            try appendRule(table, chain, rule)
        case .deleteRule(let table, let chain, let handle):
            let header = begin(NFT_MSG_DELRULE, table, flags: 0)
            mnl_attr_put_strz(header, UInt16(NFTA_RULE_TABLE.rawValue), table.name)
            mnl_attr_put_strz(header, UInt16(NFTA_RULE_CHAIN.rawValue), chain)
            mnl_attr_put_u64(header, UInt16(NFTA_RULE_HANDLE.rawValue), handle.bigEndian)
        case .addSet(let table, let set):
            appendSet(table, set)
        case .deleteSet(let table, let name):
            let header = begin(NFT_MSG_DELSET, table, flags: 0)
            mnl_attr_put_strz(header, UInt16(NFTA_SET_TABLE.rawValue), table.name)
            mnl_attr_put_strz(header, UInt16(NFTA_SET_NAME.rawValue), name)
        case .flushSet(let table, let name):
            _ = beginElements(NFT_MSG_DELSETELEM, table, name, flags: 0)
        case .addElements(let table, let set, let elements):
            appendElements(NFT_MSG_NEWSETELEM, table, set, elements, flags: NLM_F_CREATE)
        case .deleteElements(let table, let set, let elements):
            appendElements(NFT_MSG_DELSETELEM, table, set, elements, flags: 0)
        case .destroyElements(let table, let set, let elements):
            appendElements(Self.destroyElements, table, set, elements, flags: 0)
        }
        buffer.end()
    }

    private func begin(
        _ type: nf_tables_msg_types, _ table: TableID, flags: Int32
    ) -> UnsafeMutablePointer<nlmsghdr> {
        defer {
            operationOfMessage.append(current)
            nextSequence &+= 1
        }
        return buffer.begin(
            type: UInt16(type.rawValue), family: UInt16(table.family.rawValue), flags: UInt16(flags),
            sequence: nextSequence)
    }

    // MARK: Tables and chains

    private func appendTable(
        _ type: nf_tables_msg_types, _ id: TableID, comment: String?, tableFlags: TableFlags?, flags: Int32
    ) {
        let header = begin(type, id, flags: flags)
        guard let table = nftnl_table_alloc() else { preconditionFailure("out of memory") }
        defer { nftnl_table_free(table) }
        nftnl_table_set_str(table, UInt16(NFTNL_TABLE_NAME.rawValue), id.name)
        if let tableFlags {
            nftnl_table_set_u32(table, UInt16(NFTNL_TABLE_FLAGS.rawValue), tableFlags.rawValue)
        }
        if let comment {
            var userdata = Userdata()
            userdata.append(type: UInt8(NFTNL_UDATA_TABLE_COMMENT.rawValue), comment: comment)
            nftnl_table_set_data(
                table, UInt16(NFTNL_TABLE_USERDATA.rawValue), userdata.bytes, UInt32(userdata.bytes.count))
        }
        nftnl_table_nlmsg_build_payload(header, table)
    }

    private func withChain(
        _ type: nf_tables_msg_types, _ table: TableID, _ name: String, flags: Int32,
        _ fill: (OpaquePointer) -> Void
    ) {
        let header = begin(type, table, flags: flags)
        guard let chain = nftnl_chain_alloc() else { preconditionFailure("out of memory") }
        defer { nftnl_chain_free(chain) }
        nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_TABLE.rawValue), table.name)
        nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_NAME.rawValue), name)
        fill(chain)
        nftnl_chain_nlmsg_build_payload(header, chain)
    }

    private func appendChain(_ table: TableID, _ chain: Chain) {
        withChain(NFT_MSG_NEWCHAIN, table, chain.name, flags: NLM_F_CREATE) { raw in
            if let base = chain.base {
                nftnl_chain_set_str(raw, UInt16(NFTNL_CHAIN_TYPE.rawValue), base.kind.rawValue)
                nftnl_chain_set_u32(raw, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue), base.hook.rawValue)
                nftnl_chain_set_s32(raw, UInt16(NFTNL_CHAIN_PRIO.rawValue), base.priority)
                nftnl_chain_set_u32(raw, UInt16(NFTNL_CHAIN_POLICY.rawValue), base.policy.rawValue)
            }
            if let comment = chain.comment {
                var userdata = Userdata()
                userdata.append(type: UInt8(NFTNL_UDATA_CHAIN_COMMENT.rawValue), comment: comment)
                nftnl_chain_set_data(
                    raw, UInt16(NFTNL_CHAIN_USERDATA.rawValue), userdata.bytes, UInt32(userdata.bytes.count))
            }
        }
    }

    // MARK: Rules

    private func appendRule(_ table: TableID, _ chain: String, _ rule: Rule) throws(KernelError) {
        guard let raw = nftnl_rule_alloc() else { preconditionFailure("out of memory") }
        defer { nftnl_rule_free(raw) }
        nftnl_rule_set_u32(raw, UInt16(NFTNL_RULE_FAMILY.rawValue), UInt32(table.family.rawValue))
        nftnl_rule_set_str(raw, UInt16(NFTNL_RULE_TABLE.rawValue), table.name)
        nftnl_rule_set_str(raw, UInt16(NFTNL_RULE_CHAIN.rawValue), chain)
        for expression in rule.expressions { nftnl_rule_add_expr(raw, try expression.makeRaw()) }
        if let comment = rule.comment {
            var userdata = Userdata()
            userdata.append(type: UInt8(NFTNL_UDATA_RULE_COMMENT.rawValue), comment: comment)
            nftnl_rule_set_data(
                raw, UInt16(NFTNL_RULE_USERDATA.rawValue), userdata.bytes, UInt32(userdata.bytes.count))
        }
        let header = begin(NFT_MSG_NEWRULE, table, flags: NLM_F_CREATE | NLM_F_APPEND)
        nftnl_rule_nlmsg_build_payload(header, raw)
    }

    // MARK: Sets

    private func appendSet(_ table: TableID, _ set: NamedSet) {
        guard let raw = nftnl_set_alloc() else { preconditionFailure("out of memory") }
        defer { nftnl_set_free(raw) }
        func put(_ attribute: Int, _ value: UInt32) { nftnl_set_set_u32(raw, UInt16(attribute), value) }
        nftnl_set_set_str(raw, UInt16(NFTNL_SET_TABLE.rawValue), table.name)
        nftnl_set_set_str(raw, UInt16(NFTNL_SET_NAME.rawValue), set.name)
        put(Int(NFTNL_SET_FAMILY.rawValue), UInt32(table.family.rawValue))
        put(Int(NFTNL_SET_ID.rawValue), nextSetID)
        nextSetID += 1
        put(Int(NFTNL_SET_KEY_TYPE.rawValue), set.key.typeNumber)
        put(Int(NFTNL_SET_KEY_LEN.rawValue), UInt32(set.key.length))
        var flags = set.flags.rawValue
        switch set.data {
        case nil: break
        case .verdict:
            flags |= UInt32(NFT_SET_MAP.rawValue)
            put(Int(NFTNL_SET_DATA_TYPE.rawValue), UInt32(NFT_DATA_VERDICT.rawValue))
            put(Int(NFTNL_SET_DATA_LEN.rawValue), 0)
        case .value(let shape):
            flags |= UInt32(NFT_SET_MAP.rawValue)
            put(Int(NFTNL_SET_DATA_TYPE.rawValue), shape.typeNumber)
            put(Int(NFTNL_SET_DATA_LEN.rawValue), UInt32(shape.length))
        }
        put(Int(NFTNL_SET_FLAGS.rawValue), flags)
        if let size = set.size { put(Int(NFTNL_SET_DESC_SIZE.rawValue), size) }
        if let timeout = set.timeout { nftnl_set_set_u64(raw, UInt16(NFTNL_SET_TIMEOUT.rawValue), timeout) }
        let userdata = Userdata(set: set)
        nftnl_set_set_data(
            raw, UInt16(NFTNL_SET_USERDATA.rawValue), userdata.bytes, UInt32(userdata.bytes.count))
        let header = begin(NFT_MSG_NEWSET, table, flags: NLM_F_CREATE)
        nftnl_set_nlmsg_build_payload(header, raw)
    }

    // MARK: Elements

    private func beginElements(
        _ type: nf_tables_msg_types, _ table: TableID, _ set: String, flags: Int32
    ) -> UnsafeMutablePointer<nlmsghdr> {
        let header = begin(type, table, flags: flags)
        mnl_attr_put_strz(header, UInt16(NFTA_SET_ELEM_LIST_TABLE.rawValue), table.name)
        mnl_attr_put_strz(header, UInt16(NFTA_SET_ELEM_LIST_SET.rawValue), set)
        return header
    }

    /// As many messages as it takes; none for no elements, since a list without elements would mean all of them.
    private func appendElements(
        _ type: nf_tables_msg_types, _ table: TableID, _ set: String, _ elements: [Element], flags: Int32
    ) {
        var index = elements.startIndex
        while index < elements.endIndex {
            let header = beginElements(type, table, set, flags: flags)
            let start = header.pointee.nlmsg_len
            let list = mnl_attr_nest_start(header, UInt16(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue))
            while index < elements.endIndex, header.pointee.nlmsg_len - start < Self.maximumElementList {
                Self.put(elements[index], in: header, keyOnly: type != NFT_MSG_NEWSETELEM)
                index += 1
            }
            mnl_attr_nest_end(header, list)
        }
    }

    /// Writes one element: 64 bytes of key and data, a chain name and a comment at most, far below the slack.
    private static func put(_ element: Element, in header: UnsafeMutablePointer<nlmsghdr>, keyOnly: Bool) {
        let nest = mnl_attr_nest_start(header, UInt16(NFTA_LIST_ELEM.rawValue))
        if element.isIntervalEnd {
            mnl_attr_put_u32(
                header, UInt16(NFTA_SET_ELEM_FLAGS.rawValue),
                UInt32(NFT_SET_ELEM_INTERVAL_END.rawValue).bigEndian)
        }
        put(element.key, as: NFTA_SET_ELEM_KEY, in: header)
        if !keyOnly {
            switch element.data {
            case nil: break
            case .value(let value): put(value, as: NFTA_SET_ELEM_DATA, in: header)
            case .verdict(let verdict): put(verdict, in: header)
            }
            if let timeout = element.timeout {
                mnl_attr_put_u64(header, UInt16(NFTA_SET_ELEM_TIMEOUT.rawValue), timeout.bigEndian)
            }
            if let expiration = element.expiration {
                mnl_attr_put_u64(header, UInt16(NFTA_SET_ELEM_EXPIRATION.rawValue), expiration.bigEndian)
            }
            if let comment = element.comment {
                var userdata = Userdata()
                userdata.append(type: UInt8(NFTNL_UDATA_SET_ELEM_COMMENT.rawValue), comment: comment)
                mnl_attr_put(
                    header, UInt16(NFTA_SET_ELEM_USERDATA.rawValue), userdata.bytes.count, userdata.bytes)
            }
        }
        mnl_attr_nest_end(header, nest)
    }

    private static func put(
        _ value: RegisterValue, as attribute: nft_set_elem_attributes,
        in header: UnsafeMutablePointer<nlmsghdr>
    ) {
        let nest = mnl_attr_nest_start(header, UInt16(attribute.rawValue))
        value.withBytes { mnl_attr_put(header, UInt16(NFTA_DATA_VALUE.rawValue), $0.count, $0.baseAddress) }
        mnl_attr_nest_end(header, nest)
    }

    private static func put(_ verdict: Verdict, in header: UnsafeMutablePointer<nlmsghdr>) {
        let data = mnl_attr_nest_start(header, UInt16(NFTA_SET_ELEM_DATA.rawValue))
        let nest = mnl_attr_nest_start(header, UInt16(NFTA_DATA_VERDICT.rawValue))
        mnl_attr_put_u32(
            header, UInt16(NFTA_VERDICT_CODE.rawValue), UInt32(bitPattern: verdict.code).bigEndian)
        if let chain = verdict.target {
            mnl_attr_put_strz(header, UInt16(NFTA_VERDICT_CHAIN.rawValue), chain)
        }
        mnl_attr_nest_end(header, nest)
        mnl_attr_nest_end(header, data)
    }
}
