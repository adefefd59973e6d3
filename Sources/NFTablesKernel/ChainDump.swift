internal import CNetfilter
public import NFTables
import Netlink

/// A table without what is in it.
public struct ListedTable: Sendable, Hashable {
    public var id: TableID
    /// `NFT_TABLE_F_*` as the kernel tells them.
    public var flags: UInt32
    /// The netlink port of the socket that it belongs to; nil for nobody's.
    public var owner: UInt32?

    public init(_ id: TableID, flags: UInt32 = 0, owner: UInt32? = nil) {
        self.id = id
        self.flags = flags
        self.owner = owner
    }
}

/// A chain without its rules.
public struct ListedChain: Sendable, Hashable {
    public var table: TableID
    public var name: String
    /// Nil for a chain that is reached by jump and goto only, and for one on a hook that this library has no name for,
    /// such as netdev's.
    public var base: BaseChain?

    public init(_ table: TableID, _ name: String, base: BaseChain? = nil) {
        self.table = table
        self.name = name
        self.base = base
    }
}

extension Connection {
    /// All tables, each with whom it belongs to, sorted.
    public func listedTables() throws(KernelError) -> [ListedTable] {
        var result: [ListedTable] = []
        _ = try request(NFT_MSG_GETTABLE, family: nil, flags: NLM_F_DUMP, object: "tables") { message in
            if let table = Self.listedTable(message) { result.append(table) }
        }
        return result.sorted { $0.id < $1.id }
    }

    /// The chains of all tables, without their rules: a table of many rules costs no more than its chains.
    ///
    /// What is read needn't belong to one moment: a chain that comes or goes meanwhile may be missed.
    public func listedChains() throws(KernelError) -> [ListedChain] {
        var result: [ListedChain] = []
        _ = try request(NFT_MSG_GETCHAIN, family: nil, flags: NLM_F_DUMP, object: "chains") { message in
            if let chain = Self.listedChain(message) { result.append(chain) }
        }
        return result
    }

    private static func listedTable(_ message: NetlinkMessage) -> ListedTable? {
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
        var table = ListedTable(
            TableID(family, String(cString: name)),
            flags: nftnl_table_get_u32(raw, UInt16(NFTNL_TABLE_FLAGS.rawValue)))
        if nftnl_table_is_set(raw, UInt16(NFTNL_TABLE_OWNER.rawValue)) {
            table.owner = nftnl_table_get_u32(raw, UInt16(NFTNL_TABLE_OWNER.rawValue))
        }
        return table
    }

    private static func listedChain(_ message: NetlinkMessage) -> ListedChain? {
        guard message.subtype == UInt16(NFT_MSG_NEWCHAIN.rawValue), let raw = nftnl_chain_alloc() else {
            return nil
        }
        defer { nftnl_chain_free(raw) }
        guard nftnl_chain_nlmsg_parse(message.header, raw) >= 0,
            let table = nftnl_chain_get_str(raw, UInt16(NFTNL_CHAIN_TABLE.rawValue)),
            let name = nftnl_chain_get_str(raw, UInt16(NFTNL_CHAIN_NAME.rawValue)),
            let family = Family(
                rawValue: UInt8(
                    truncatingIfNeeded: nftnl_chain_get_u32(raw, UInt16(NFTNL_CHAIN_FAMILY.rawValue))))
        else { return nil }
        var chain = ListedChain(TableID(family, String(cString: table)), String(cString: name))
        // Numbers of hooks mean the same in these families only.
        guard [.ip, .ip6, .inet].contains(family) else { return chain }
        if let type = nftnl_chain_get_str(raw, UInt16(NFTNL_CHAIN_TYPE.rawValue)),
            let kind = BaseChain.Kind(rawValue: String(cString: type)),
            let hook = BaseChain.Hook(
                rawValue: nftnl_chain_get_u32(raw, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue))),
            let policy = BaseChain.Policy(
                rawValue: nftnl_chain_get_u32(raw, UInt16(NFTNL_CHAIN_POLICY.rawValue)))
        {
            chain.base = BaseChain(
                kind, hook: hook, priority: nftnl_chain_get_s32(raw, UInt16(NFTNL_CHAIN_PRIO.rawValue)),
                policy: policy)
        }
        return chain
    }
}
