import NFTables
import NFTablesKernel

/// Which chains of iptables' tables are kube-proxy's, and which rules of built-in chains lead there.
///
/// Those that `kube-proxy --cleanup` removes (`pkg/proxy/iptables`), no more: `KUBE-FIREWALL`, `KUBE-KUBELET-CANARY`,
/// `KUBE-MARK-DROP` and `KUBE-IPTABLES-HINT` are the kubelet's, `KUBE-HP-…` and `KUBE-HOSTPORTS` are those of container
/// runtimes.
enum IPTablesChains {
    /// iptables' tables that hold any.
    static let tables = ["nat", "filter", "mangle"]

    private static let chains: [String: Set<String>] = [
        "nat": [
            "KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", "KUBE-PROXY-CANARY",
        ],
        "filter": [
            "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS",
            "KUBE-PROXY-FIREWALL", "KUBE-PROXY-CANARY",
        ],
        "mangle": ["KUBE-PROXY-CANARY"],
    ]

    /// How the names of chains for one service port or endpoint begin, in table nat. `KUBE-XLB-` is that of old versions.
    private static let prefixes = [
        "KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-",
    ]

    /// Where built-in chains lead to them.
    private static let jumps: [String: [String: Set<String>]] = [
        "nat": [
            "PREROUTING": ["KUBE-SERVICES"], "OUTPUT": ["KUBE-SERVICES"],
            "POSTROUTING": ["KUBE-POSTROUTING"],
        ],
        "filter": [
            // KUBE-SERVICES: up to Kubernetes 1.19.
            "INPUT": [
                "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL", "KUBE-SERVICES",
            ],
            "FORWARD": [
                "KUBE-EXTERNAL-SERVICES", "KUBE-SERVICES", "KUBE-FORWARD", "KUBE-PROXY-FIREWALL",
            ],
            "OUTPUT": ["KUBE-SERVICES", "KUBE-PROXY-FIREWALL"],
        ],
    ]

    /// Chains whose names alone don't say kube-proxy: kubelets before 1.28 made them too.
    private static let shared: Set<String> = ["KUBE-MARK-MASQ", "KUBE-POSTROUTING"]

    /// Whether kube-proxy made the chain.
    static func contains(_ chain: String, in table: String) -> Bool {
        guard chain.hasPrefix("KUBE-") else { return false }
        return chains[table]?.contains(chain) == true
            || (table == "nat" && prefixes.contains(where: chain.hasPrefix))
    }

    /// Whether kube-proxy made the rule of a built-in chain that leads to one of its own.
    static func isJump(from chain: String, to target: String, in table: String) -> Bool {
        jumps[table]?[chain]?.contains(target) == true
    }

    /// kube-proxy's among the chains that users made in one family's tables, by table; none where there are only those
    /// that an old kubelet makes as well.
    static func own(_ heads: [ChainHead]) -> [TableID: [String]] {
        let found = heads.filter { contains($0.name, in: $0.table.name) }
        guard found.contains(where: { !shared.contains($0.name) }) else { return [:] }
        return Dictionary(grouping: found, by: \.table).mapValues { $0.map(\.name).sorted() }
    }
}

/// What to remove of one of iptables' tables.
struct ChainRemoval: Equatable {
    /// Rules of built-in chains that lead to chains that go.
    var jumps: [ChainLink] = []
    var chains: [String] = []
    /// Chains of kube-proxy's that stay because rules of others lead there, with what those need.
    var kept: [String] = []

    /// - Parameters:
    ///   - table: iptables' name of the table.
    ///   - present: the chains that kube-proxy made.
    ///   - links: all rules that lead to one of them.
    init(table: String, present: [String], links: [ChainLink]) {
        let own = Set(present)
        var inner: [String: [String]] = [:]
        var waiting: [String] = []
        for link in links where own.contains(link.target) {
            if own.contains(link.chain) {
                inner[link.chain, default: []].append(link.target)
            } else if IPTablesChains.isJump(from: link.chain, to: link.target, in: table) {
                jumps.append(link)
            } else {
                waiting.append(link.target)
            }
        }
        var kept: Set<String> = []
        while let chain = waiting.popLast() {
            if kept.insert(chain).inserted { waiting += inner[chain] ?? [] }
        }
        chains = present.filter { !kept.contains($0) }.sorted()
        self.kept = kept.sorted()
    }

    /// The operations, for a table that iptables-nft keeps.
    func operations(_ table: TableID) -> [Operation] {
        jumps.map { .deleteRule(table, chain: $0.chain, handle: $0.handle) }
            // They lead to each other: first all rules, then the chains.
            + chains.map { .flushChain(table, chain: $0) } + chains.map { .deleteChain(table, chain: $0) }
    }
}
