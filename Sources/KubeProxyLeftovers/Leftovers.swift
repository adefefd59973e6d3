import Glibc
import IPAddressing
public import NFTables
public import NFTablesKernel
import XTables

/// What kube-proxy has left behind in a node's network namespace, or still writes there.
///
/// Finding changes nothing and loads no kernel module.
public struct Leftovers: Sendable, Equatable {
    /// The ways in which kube-proxy serves.
    public enum Kind: String, Sendable, CaseIterable {
        case nftables
        case iptablesNFT = "iptables-nft"
        case iptablesLegacy = "iptables-legacy"
        case ipvs
    }

    /// The nftables mode's tables.
    public internal(set) var tables: [TableID] = []
    /// The iptables mode's chains, by the table of nf_tables in which iptables-nft has them.
    public internal(set) var chains: [TableID: [String]] = [:]
    /// The iptables mode's chains in tables of legacy iptables, which are none of nf_tables'.
    public internal(set) var legacyChains: [TableID: [String]] = [:]
    /// Families in which packets that nobody accepts are not forwarded, and kube-proxy's chain `KUBE-FORWARD` accepts
    /// those of Services.
    public internal(set) var guardedForwarding: [Family] = []
    /// The link of the IPVS mode is there.
    public internal(set) var hasIPVS = false

    static let table = "kube-proxy"
    static let families: [Family] = [.ip, .ip6]
    private static let dummyLink = "kube-ipvs0"

    public init() {}

    /// Looks at the network namespace of the calling thread, which must be the connection's.
    public static func find(_ connection: Connection) throws(KernelError) -> Leftovers {
        var result = Leftovers()
        let present = Set(try connection.tables())
        for family in families {
            let table = TableID(family, table)
            if present.contains(table) { result.tables.append(table) }
            if IPTablesChains.tables.contains(where: { present.contains(TableID(family, $0)) }) {
                result.add(try connection.chainHeads(family), family)
            }
            try result.addLegacy(family)
        }
        result.hasIPVS = if_nametoindex(dummyLink) != 0
        return result
    }

    mutating func add(_ heads: [ChainHead], _ family: Family) {
        chains.merge(IPTablesChains.own(heads.filter { !$0.isBase }), uniquingKeysWith: +)
        let isGuarded = heads.contains {
            $0.table.name == "filter" && $0.name == "FORWARD" && $0.policy == .drop
        }
        if isGuarded { noteGuardedForwarding(family, chains) }
    }

    private mutating func addLegacy(_ family: Family) throws(KernelError) {
        let tables = try LegacyTables.read(family)
        let heads = tables.flatMap { table in
            table.chains.map { ChainHead(table: TableID(family, table.name), name: $0) }
        }
        legacyChains.merge(IPTablesChains.own(heads), uniquingKeysWith: +)
        if tables.contains(where: { $0.name == "filter" && $0.drops(atTheEndOf: "FORWARD") }) {
            noteGuardedForwarding(family, legacyChains)
        }
    }

    private mutating func noteGuardedForwarding(_ family: Family, _ chains: [TableID: [String]]) {
        if chains[TableID(family, "filter")]?.contains("KUBE-FORWARD") == true {
            guardedForwarding.append(family)
        }
    }

    public var isEmpty: Bool { counts.values.allSatisfy { $0 == 0 } }

    /// Whether there is anything that `remove` removes.
    public var areRemovable: Bool { !tables.isEmpty || !chains.isEmpty || !legacyChains.isEmpty }

    /// How much there is of each kind: tables of nftables, chains of iptables, 1 for IPVS.
    public var counts: [Kind: Int] {
        [
            .nftables: tables.count, .iptablesNFT: Self.count(chains),
            .iptablesLegacy: Self.count(legacyChains), .ipvs: hasIPVS ? 1 : 0,
        ]
    }

    private static func count(_ chains: [TableID: [String]]) -> Int {
        chains.values.reduce(0) { $0 + $1.count }
    }
}

extension Leftovers: CustomStringConvertible {
    /// `tables ip kube-proxy, ip6 kube-proxy; 12 chains KUBE-… of iptables-nft in ip nat, ip filter`
    public var description: String {
        var parts: [String] = []
        if !tables.isEmpty { parts.append("tables \(Self.list(tables))") }
        for (kind, chains) in [(Kind.iptablesNFT, chains), (.iptablesLegacy, legacyChains)]
        where !chains.isEmpty {
            parts.append(
                "\(Self.count(chains)) chains KUBE-… of \(kind.rawValue) in \(Self.list(chains.keys.sorted()))"
            )
        }
        if hasIPVS { parts.append("link \(Self.dummyLink) of the IPVS mode") }
        return parts.isEmpty ? "nothing" : parts.joined(separator: "; ")
    }

    static func list(_ items: some Sequence<some CustomStringConvertible>) -> String {
        items.map(\.description).joined(separator: ", ")
    }
}
