internal import CNetfilter
import Glibc
public import NFTables
import Netlink

extension Connection {
    /// How often a dump starts again when others change the ruleset while it runs.
    private static let dumpAttempts = 10

    /// The ruleset's generation: it changes with every transaction of anybody in this namespace.
    public func generation() throws(KernelError) -> UInt32 {
        var result: UInt32?
        _ = try request(
            NFT_MSG_GETGEN, family: nil, flags: NLM_F_ACK, object: "the ruleset's generation"
        ) { message in
            for attribute in Attributes(of: message) where attribute.type == UInt16(NFTA_GEN_ID.rawValue) {
                result = attribute.bigEndian32
            }
        }
        guard let result else { throw .read(object: "the ruleset's generation", errno: EPROTO) }
        return result
    }

    /// The tables of a family, or of all.
    public func tables(_ family: Family? = nil) throws(KernelError) -> [TableID] {
        var result: [TableID] = []
        _ = try request(
            NFT_MSG_GETTABLE, family: family, flags: NLM_F_DUMP, object: "tables"
        ) { message in
            if let table = Self.parseTable(message) { result.append(table.id) }
        }
        return result
    }

    /// Reads a table with all that is in it; nil when there is no such table.
    ///
    /// What is read belongs to one moment: when somebody commits meanwhile, it is read again.
    ///
    /// - Throws: `KernelError.unstable` when that happened ten times in a row.
    public func table(_ id: TableID) throws(KernelError) -> Table? { try read(id, only: nil) }

    /// Reads a part of a table as `table` reads all of it: what of the scope isn't there is not in the result.
    public func table(_ id: TableID, only scope: TableScope) throws(KernelError) -> Table? {
        // One question for each object; for very many, one for all is less.
        guard scope.sets.count + scope.chains.count <= Self.scopeLimit else {
            return try table(id)?.limited(to: scope)
        }
        return try read(id, only: scope)
    }

    private static var scopeLimit: Int { 128 }

    private func read(_ id: TableID, only scope: TableScope?) throws(KernelError) -> Table? {
        for _ in 0..<Self.dumpAttempts {
            let before = try generation()
            guard var table = try readTable(id) else { return nil }
            var isConsistent = true
            if let scope {
                for name in scope.sets { try readSet(name, into: &table) }
                for name in scope.chains { try readChain(name, into: &table) }
                for name in table.chains.keys {
                    isConsistent = try readRules(of: name, into: &table) && isConsistent
                }
            } else {
                isConsistent = try readSets(into: &table)
                isConsistent = try readChains(into: &table) && isConsistent
                isConsistent = try readRules(of: nil, into: &table) && isConsistent
                isConsistent = try readOthers(into: &table) && isConsistent
            }
            for set in table.sets.values.sorted(by: { $0.name < $1.name }) {
                // A set may be gone by now; then the generation says so too.
                do throws(KernelError) {
                    let (elements, whole) = try readElements(of: set.name, in: id)
                    table.elements[set.name] = elements
                    isConsistent = isConsistent && whole
                } catch {
                    guard case .read(_, ENOENT) = error else { throw error }
                    isConsistent = false
                }
            }
            let after = try generation()
            if isConsistent, after == before { return table }
        }
        throw .unstable(object: "table \(id)", attempts: Self.dumpAttempts)
    }

    /// Reads the elements of one set.
    ///
    /// - Throws: `KernelError.read` with ENOENT when the table or set isn't there.
    public func elements(of set: String, in table: TableID) throws(KernelError) -> [Element] {
        for _ in 0..<Self.dumpAttempts {
            let (elements, isConsistent) = try readElements(of: set, in: table)
            if isConsistent { return elements }
        }
        throw .unstable(object: "set \(table) \(set)", attempts: Self.dumpAttempts)
    }

    // MARK: Parts of a table

    private func readTable(_ id: TableID) throws(KernelError) -> Table? {
        var result: Table?
        do throws(KernelError) {
            _ = try request(
                NFT_MSG_GETTABLE, family: id.family, flags: NLM_F_ACK, object: "table \(id)",
                attributes: [(NFTA_TABLE_NAME.rawValue, id.name)]
            ) { message in
                if let table = Self.parseTable(message), table.id == id { result = table }
            }
        } catch {
            guard case .read(_, ENOENT) = error else { throw error }
            return nil
        }
        return result
    }

    private static func parseTable(_ message: NetlinkMessage) -> Table? {
        guard message.subtype == UInt16(NFT_MSG_NEWTABLE.rawValue), let raw = nftnl_table_alloc() else {
            return nil
        }
        defer { nftnl_table_free(raw) }
        guard nftnl_table_nlmsg_parse(message.header, raw) >= 0,
            let name = nftnl_table_get_str(raw, UInt16(NFTNL_TABLE_NAME.rawValue)),
            let family = Family(
                rawValue: UInt8(
                    truncatingIfNeeded: nftnl_table_get_u32(raw, UInt16(NFTNL_TABLE_FAMILY.rawValue))))
        else { return nil }
        var length: UInt32 = 0
        let data = nftnl_table_get_data(raw, UInt16(NFTNL_TABLE_USERDATA.rawValue), &length)
        var table = Table(
            TableID(family, String(cString: name)),
            comment: comment(data, length, UInt8(NFTNL_UDATA_TABLE_COMMENT.rawValue)),
            flags: TableFlags(
                rawValue: nftnl_table_get_u32(raw, UInt16(NFTNL_TABLE_FLAGS.rawValue))))
        if nftnl_table_is_set(raw, UInt16(NFTNL_TABLE_OWNER.rawValue)) {
            table.owner = nftnl_table_get_u32(raw, UInt16(NFTNL_TABLE_OWNER.rawValue))
        }
        return table
    }

    private static func userdata(_ pointer: UnsafeRawPointer?, _ length: UInt32) -> Userdata? {
        guard let pointer, length > 0 else { return nil }
        return Userdata(bytes: Array(UnsafeRawBufferPointer(start: pointer, count: Int(length))))
    }

    private static func comment(_ pointer: UnsafeRawPointer?, _ length: UInt32, _ type: UInt8) -> String? {
        userdata(pointer, length)?.comment(type)
    }

    private func readChains(into table: inout Table) throws(KernelError) -> Bool {
        let id = table.id
        var chains: [String: Chain] = [:]
        let isConsistent = try request(
            NFT_MSG_GETCHAIN, family: id.family, flags: NLM_F_DUMP, object: "chains of table \(id)"
        ) { message in
            if let chain = Self.parseChain(message, of: id) { chains[chain.name] = chain }
        }
        table.chains = chains
        return isConsistent
    }

    private func readChain(_ name: String, into table: inout Table) throws(KernelError) {
        let id = table.id
        var chain: Chain?
        try readIfPresent(
            NFT_MSG_GETCHAIN, family: id.family, object: "chain \(id) \(name)",
            attributes: [(NFTA_CHAIN_TABLE.rawValue, id.name), (NFTA_CHAIN_NAME.rawValue, name)]
        ) { chain = Self.parseChain($0, of: id) ?? chain }
        table.chains[name] = chain
    }

    /// Asks for one object, which may not be there.
    private func readIfPresent(
        _ type: nf_tables_msg_types, family: Family, object: String,
        attributes: [(type: UInt32, value: String)], answer body: (NetlinkMessage) -> Void
    ) throws(KernelError) {
        do throws(KernelError) {
            _ = try request(type, family: family, flags: NLM_F_ACK, object: object, attributes: attributes) {
                body($0)
            }
        } catch {
            guard case .read(_, ENOENT) = error else { throw error }
        }
    }

    private static func parseChain(_ message: NetlinkMessage, of id: TableID) -> Chain? {
        guard let raw = nftnl_chain_alloc() else { return nil }
        defer { nftnl_chain_free(raw) }
        guard nftnl_chain_nlmsg_parse(message.header, raw) >= 0,
            let tableName = nftnl_chain_get_str(raw, UInt16(NFTNL_CHAIN_TABLE.rawValue)),
            id.name == String(cString: tableName),
            let name = nftnl_chain_get_str(raw, UInt16(NFTNL_CHAIN_NAME.rawValue)).map({
                String(cString: $0)
            })
        else { return nil }
        var base: BaseChain?
        if let type = nftnl_chain_get_str(raw, UInt16(NFTNL_CHAIN_TYPE.rawValue)).map({
            String(cString: $0)
        }),
            let kind = BaseChain.Kind(rawValue: type),
            let hook = BaseChain.Hook(
                rawValue: nftnl_chain_get_u32(raw, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue))),
            let policy = BaseChain.Policy(
                rawValue: nftnl_chain_get_u32(raw, UInt16(NFTNL_CHAIN_POLICY.rawValue)))
        {
            base = BaseChain(
                kind, hook: hook, priority: nftnl_chain_get_s32(raw, UInt16(NFTNL_CHAIN_PRIO.rawValue)),
                policy: policy)
        }
        var length: UInt32 = 0
        let data = nftnl_chain_get_data(raw, UInt16(NFTNL_CHAIN_USERDATA.rawValue), &length)
        return Chain(
            name, base: base, comment: comment(data, length, UInt8(NFTNL_UDATA_CHAIN_COMMENT.rawValue)))
    }

    /// - Parameter chain: nil for those of all chains.
    private func readRules(of chain: String?, into table: inout Table) throws(KernelError) -> Bool {
        let id = table.id
        var rules: [String: [Rule]] = [:]
        let isConsistent = try request(
            NFT_MSG_GETRULE, family: id.family, flags: NLM_F_DUMP, object: "rules of table \(id)",
            attributes: [(NFTA_RULE_TABLE.rawValue, id.name)]
                + (chain.map { [(NFTA_RULE_CHAIN.rawValue, $0)] } ?? [])
        ) { message in
            guard let raw = nftnl_rule_alloc() else { return }
            defer { nftnl_rule_free(raw) }
            guard nftnl_rule_nlmsg_parse(message.header, raw) >= 0,
                let tableName = nftnl_rule_get_str(raw, UInt16(NFTNL_RULE_TABLE.rawValue)),
                id.name == String(cString: tableName),
                let chain = nftnl_rule_get_str(raw, UInt16(NFTNL_RULE_CHAIN.rawValue))
            else { return }
            var expressions: [Expression] = []
            if let iterator = nftnl_expr_iter_create(raw) {
                defer { nftnl_expr_iter_destroy(iterator) }
                while let expression = nftnl_expr_iter_next(iterator) {
                    expressions.append(Expression(RawExpression(pointer: expression)))
                }
            }
            var length: UInt32 = 0
            let data = nftnl_rule_get_data(raw, UInt16(NFTNL_RULE_USERDATA.rawValue), &length)
            rules[String(cString: chain), default: []].append(
                Rule(
                    expressions: expressions,
                    comment: Self.comment(data, length, UInt8(NFTNL_UDATA_RULE_COMMENT.rawValue)),
                    handle: nftnl_rule_get_u64(raw, UInt16(NFTNL_RULE_HANDLE.rawValue))))
        }
        for (chain, list) in rules { table.chains[chain]?.rules = list }
        return isConsistent
    }

    private func readSets(into table: inout Table) throws(KernelError) -> Bool {
        let id = table.id
        var sets: [String: NamedSet] = [:]
        let isConsistent = try request(
            NFT_MSG_GETSET, family: id.family, flags: NLM_F_DUMP, object: "sets of table \(id)",
            attributes: [(NFTA_SET_TABLE.rawValue, id.name)]
        ) { message in
            guard let raw = nftnl_set_alloc() else { return }
            defer { nftnl_set_free(raw) }
            guard nftnl_set_nlmsg_parse(message.header, raw) >= 0,
                let tableName = nftnl_set_get_str(raw, UInt16(NFTNL_SET_TABLE.rawValue)),
                id.name == String(cString: tableName), let set = Self.namedSet(raw)
            else { return }
            sets[set.name] = set
        }
        table.sets = sets
        return isConsistent
    }

    private func readSet(_ name: String, into table: inout Table) throws(KernelError) {
        let id = table.id
        var set: NamedSet?
        try readIfPresent(
            NFT_MSG_GETSET, family: id.family, object: "set \(id) \(name)",
            attributes: [(NFTA_SET_TABLE.rawValue, id.name), (NFTA_SET_NAME.rawValue, name)]
        ) { message in
            guard let raw = nftnl_set_alloc() else { return }
            defer { nftnl_set_free(raw) }
            guard nftnl_set_nlmsg_parse(message.header, raw) >= 0 else { return }
            set = Self.namedSet(raw) ?? set
        }
        table.sets[name] = set
    }

    /// What others may have put into a table that is none of what this library reads.
    private func readOthers(into table: inout Table) throws(KernelError) -> Bool {
        let id = table.id
        var others: [String] = []
        let kinds: [(request: nf_tables_msg_types, kind: String, table: UInt32, name: UInt32)] = [
            (NFT_MSG_GETOBJ, "object", NFTA_OBJ_TABLE.rawValue, NFTA_OBJ_NAME.rawValue),
            (
                NFT_MSG_GETFLOWTABLE, "flowtable", NFTA_FLOWTABLE_TABLE.rawValue,
                NFTA_FLOWTABLE_NAME.rawValue
            ),
        ]
        var isConsistent = true
        for (type, kind, tableAttribute, nameAttribute) in kinds {
            isConsistent =
                try request(
                    type, family: id.family, flags: NLM_F_DUMP, object: "\(kind)s of table \(id)",
                    attributes: [(tableAttribute, id.name)]
                ) { message in
                    let attributes = Attributes(of: message)
                    let table = attributes.first { $0.type == UInt16(tableAttribute) }?.string
                    let name = attributes.first { $0.type == UInt16(nameAttribute) }?.string
                    if table == id.name { others.append("\(kind) \(name ?? "")") }
                } && isConsistent
        }
        table.others = others.sorted()
        return isConsistent
    }

    private static func namedSet(_ raw: OpaquePointer) -> NamedSet? {
        func number(_ attribute: nftnl_set_attr) -> UInt32 {
            nftnl_set_get_u32(raw, UInt16(attribute.rawValue))
        }
        guard let name = nftnl_set_get_str(raw, UInt16(NFTNL_SET_NAME.rawValue)) else { return nil }
        var length: UInt32 = 0
        let pointer = nftnl_set_get_data(raw, UInt16(NFTNL_SET_USERDATA.rawValue), &length)
        let userdata = userdata(pointer, length)
        func shape(_ type: UInt32, _ bytes: UInt32, _ typeof: [SelectorExpression]?) -> Shape {
            if let typeof { return Shape(typeof: typeof) }
            if let known = Shape(typeNumber: type), known.length == Int(bytes) { return known }
            // A type of nft's that this library doesn't know: as many registers as it takes.
            return Shape(types: Array(repeating: .integer, count: max(1, (Int(bytes) + 3) / 4)))
        }
        let flags = number(NFTNL_SET_FLAGS)
        var data: NamedSet.MapData?
        if flags & UInt32(NFT_SET_MAP.rawValue) != 0 {
            let type = number(NFTNL_SET_DATA_TYPE)
            data =
                type == UInt32(NFT_DATA_VERDICT.rawValue)
                ? .verdict : .value(shape(type, number(NFTNL_SET_DATA_LEN), userdata?.dataTypeof))
        }
        let timeout = nftnl_set_get_u64(raw, UInt16(NFTNL_SET_TIMEOUT.rawValue))
        let size = number(NFTNL_SET_DESC_SIZE)
        return NamedSet(
            String(cString: name),
            key: shape(number(NFTNL_SET_KEY_TYPE), number(NFTNL_SET_KEY_LEN), userdata?.keyTypeof),
            data: data, flags: .init(rawValue: flags & ~UInt32(NFT_SET_MAP.rawValue)),
            timeout: timeout == 0 ? nil : timeout, size: size == 0 ? nil : size, comment: userdata?.setComment
        )
    }
}
