public import NFTables
import NFTablesKernel

/// What there is of kube-proxy on a node: whether it runs, and rules that it has made.
public struct KubeProxyPresence: Sendable, Equatable {
    public var processes: [Int32]
    /// The tables of its nftables mode.
    public var tables: [TableID]
    /// The tables that iptables keeps its chains in.
    public var chainTables: [TableID]
    /// The link that its ipvs mode binds addresses to is there.
    public var hasIPVSLink: Bool

    public init(
        processes: [Int32] = [], tables: [TableID] = [], chainTables: [TableID] = [],
        hasIPVSLink: Bool = false
    ) {
        self.processes = processes
        self.tables = tables
        self.chainTables = chainTables
        self.hasIPVSLink = hasIPVSLink
    }

    /// Looks for it among what was found.
    public init(processes: [Int32], rules: NodeFacts.Rules, links: [String]) {
        self.init(processes: processes, hasIPVSLink: links.contains("kube-ipvs0"))
        guard case .listed(let tables, let chains) = rules else { return }
        self.tables = tables.map(\.id).filter(Self.ownTables.contains)
        chainTables = chains.filter { $0.name == "KUBE-SERVICES" && $0.table.name == "nat" }.map(\.table)
            .sorted()
    }

    static let ownTables = [TableID(.ip, "kube-proxy"), TableID(.ip6, "kube-proxy")]

    var hasRules: Bool { !tables.isEmpty || !chainTables.isEmpty || hasIPVSLink }

    var check: Check {
        var found: [String] = []
        if !processes.isEmpty {
            found.append(
                "running (process \(processes.map { "\($0)" }.joined(separator: ", process ")))")
        }
        if !tables.isEmpty {
            found.append("tables \(tables.map(\.description).joined(separator: ", "))")
        }
        found += chainTables.map { "chain KUBE-SERVICES in \($0)" }
        if hasIPVSLink { found.append("link kube-ipvs0") }
        guard !found.isEmpty else { return .ok("kube-proxy", "not here") }
        let advice =
            processes.isEmpty
            ? "Start Sluice with `--adopt-from-kube-proxy`, or remove what it left with `sluice cleanup --kube-proxy`."
            : "Take it off this node, then start Sluice with `--adopt-from-kube-proxy`."
        return .warning("kube-proxy", found.joined(separator: "; "), advice: advice)
    }
}
