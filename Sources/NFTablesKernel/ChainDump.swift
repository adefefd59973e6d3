internal import CNetfilter
public import NFTables
import Netlink

/// A table without what is in it.
public struct ListedTable: Sendable, Hashable {
    public var id: TableID
    /// As the kernel tells them.
    public var flags: TableFlags
    /// The netlink port of the socket that it belongs to; nil for nobody's.
    public var owner: UInt32?

    public init(_ id: TableID, flags: TableFlags = [], owner: UInt32? = nil) {
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
        parseTable(message).map { ListedTable($0.id, flags: $0.flags, owner: $0.owner) }
    }

    private static func listedChain(_ message: NetlinkMessage) -> ListedChain? {
        guard message.subtype == UInt16(NFT_MSG_NEWCHAIN.rawValue),
            let family = Family(rawValue: message.family),
            let table = Attributes(of: message).text(NFTA_CHAIN_TABLE.rawValue),
            let chain = Chain(message, in: TableID(family, table))
        else { return nil }
        // Numbers of hooks mean the same in these families only.
        let isKnown = [.ip, .ip6, .inet].contains(family)
        return ListedChain(TableID(family, table), chain.name, base: isKnown ? chain.base : nil)
    }
}
