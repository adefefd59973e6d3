internal import CNetfilter
import Glibc
public import NFTables
import Netlink

extension Connection {
    /// How often a dump starts again when others change the ruleset while it runs.
    private static let dumpAttempts = 5

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
    /// - Throws: `KernelError.unstable` when that happened five times in a row.
    public func table(_ id: TableID) throws(KernelError) -> Table? { try read(id, only: nil) }

    /// A table as one reading finds it; nil when there is no such table.
    ///
    /// To the kernel a reading belongs to one moment only when nobody commits meanwhile, to whatever table. While others
    /// change their own, this one's content is read as it is all the same.
    public func glance(at id: TableID) throws(KernelError) -> Table? { try readOnce(id, only: nil)?.table }

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
            guard let (table, isOfOneMoment) = try readOnce(id, only: scope) else { return nil }
            if isOfOneMoment { return table }
        }
        throw .unstable(object: "table \(id)", attempts: Self.dumpAttempts)
    }

    private func readOnce(
        _ id: TableID, only scope: TableScope?
    ) throws(KernelError) -> (table: Table, isOfOneMoment: Bool)? {
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
                var isOdd = false
                let (elements, whole) = try readElements(of: set.name, in: id, isOdd: &isOdd)
                if isOdd { table.others.append("element * of \(set.name)") }
                table.elements[set.name] = elements
                isConsistent = isConsistent && whole
            } catch {
                guard case .read(_, ENOENT) = error else { throw error }
                isConsistent = false
            }
        }
        let after = try generation()
        return (table, isConsistent && after == before)
    }

    /// Reads the elements of one set into which packets write.
    ///
    /// Where somebody commits meanwhile, to whatever table, it is read again, five times; then the last read counts.
    /// Packets come in without any transaction, so that such a set never is more than nearly what was read.
    ///
    /// - Throws: `KernelError.read` with ENOENT when the table or set isn't there.
    public func elements(of set: String, in table: TableID) throws(KernelError) -> [Element] {
        var elements: [Element] = []
        for _ in 0..<Self.dumpAttempts {
            var isOdd = false
            let isConsistent: Bool
            (elements, isConsistent) = try readElements(of: set, in: table, isOdd: &isOdd)
            if isConsistent { break }
        }
        return elements
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

    package static func parseTable(_ message: NetlinkMessage) -> Table? {
        guard message.subtype == UInt16(NFT_MSG_NEWTABLE.rawValue), message.isWellFormedTable,
            let raw = nftnl_table_alloc()
        else { return nil }
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
            if let chain = Chain(message, in: id) { chains[chain.name] = chain }
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
        ) { chain = Chain($0, in: id) ?? chain }
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

    /// - Parameter chain: nil for those of all chains.
    private func readRules(of chain: String?, into table: inout Table) throws(KernelError) -> Bool {
        let id = table.id
        var rules: [String: [Rule]] = [:]
        let isConsistent = try request(
            NFT_MSG_GETRULE, family: id.family, flags: NLM_F_DUMP, object: "rules of table \(id)",
            attributes: [(NFTA_RULE_TABLE.rawValue, id.name)]
                + (chain.map { [(NFTA_RULE_CHAIN.rawValue, $0)] } ?? [])
        ) { message in
            if let (chain, rule) = Rule.read(message, in: id) { rules[chain, default: []].append(rule) }
        }
        // The kernel counts the chains of all tables as it tells them (`nf_tables_dump_chains`): where others come and go
        // meanwhile, some of these are passed over.
        if chain == nil {
            for name in rules.keys where table.chains[name] == nil { try readChain(name, into: &table) }
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
            if let set = NamedSet(message, in: id) { sets[set.name] = set }
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
            set = NamedSet(message, in: id) ?? set
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
}
