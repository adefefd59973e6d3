import Glibc
import IPAddressing
public import NFTables
public import NFTablesKernel

/// What kube-proxy has left behind in a node's network namespace, or still writes there.
///
/// Finding changes nothing and loads no kernel module.
public struct Leftovers: Sendable, Equatable {
    /// The ways in which kube-proxy serves.
    public enum Kind: String, Sendable, CaseIterable {
        case nftables
        case iptablesNFT = "iptables-nft"
        case ipvs
    }

    /// The nftables mode's tables.
    public internal(set) var tables: [TableID] = []
    /// The iptables mode's chains, by the table of nf_tables in which iptables-nft has them.
    public internal(set) var chains: [TableID: [String]] = [:]
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
            guard IPTablesChains.tables.contains(where: { present.contains(TableID(family, $0)) }) else {
                continue
            }
            result.add(try connection.chainHeads(family), family)
        }
        result.hasIPVS = if_nametoindex(dummyLink) != 0
        return result
    }

    mutating func add(_ heads: [ChainHead], _ family: Family) {
        let found = heads.filter { !$0.isBase && IPTablesChains.contains($0.name, in: $0.table.name) }
        guard IPTablesChains.areKubeProxys(found.map(\.name)) else { return }
        chains.merge(
            Dictionary(grouping: found, by: \.table).mapValues { $0.map(\.name).sorted() },
            uniquingKeysWith: +)
        let isGuarded = heads.contains {
            $0.table.name == "filter" && $0.name == "FORWARD" && $0.policy == .drop
        }
        if isGuarded, found.contains(where: { $0.name == "KUBE-FORWARD" }) {
            guardedForwarding.append(family)
        }
    }

    public var isEmpty: Bool { counts.values.allSatisfy { $0 == 0 } }

    /// Whether there is anything that `remove` removes.
    public var areRemovable: Bool { !tables.isEmpty || !chains.isEmpty }

    /// How much there is of each kind: tables of nftables, chains of iptables, 1 for IPVS.
    public var counts: [Kind: Int] {
        [
            .nftables: tables.count, .iptablesNFT: chains.values.reduce(0) { $0 + $1.count },
            .ipvs: hasIPVS ? 1 : 0,
        ]
    }
}

extension Leftovers: CustomStringConvertible {
    /// `tables ip kube-proxy, ip6 kube-proxy; 12 chains KUBE-… of iptables-nft in ip nat, ip filter`
    public var description: String {
        var parts: [String] = []
        if !tables.isEmpty { parts.append("tables \(Self.list(tables))") }
        if !chains.isEmpty {
            parts.append(
                "\(counts[.iptablesNFT] ?? 0) chains KUBE-… of iptables-nft in \(Self.list(chains.keys.sorted()))"
            )
        }
        if hasIPVS { parts.append("link \(Self.dummyLink) of the IPVS mode") }
        return parts.isEmpty ? "nothing" : parts.joined(separator: "; ")
    }

    static func list(_ items: some Sequence<some CustomStringConvertible>) -> String {
        items.map(\.description).joined(separator: ", ")
    }
}
