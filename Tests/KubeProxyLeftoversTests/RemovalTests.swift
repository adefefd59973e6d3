import NFTables
import NFTablesKernel
import Testing

@testable import KubeProxyLeftovers

/// What of iptables' tables is kube-proxy's.
@Suite struct RemovalTests {
    private func removal(
        _ table: String, _ present: [String], _ links: [(String, String)]
    ) -> ChainRemoval {
        ChainRemoval(
            table: table, present: present,
            links: links.enumerated().map { ChainLink(chain: $1.0, handle: UInt64($0), target: $1.1) })
    }

    @Test(
        "chains that kube-proxy makes are told from those of the kubelet and of others",
        arguments: [
            ("nat", "KUBE-SERVICES", true), ("nat", "KUBE-SVC-NPX46M4PTMTKRN6Y", true),
            ("nat", "KUBE-SVL-X", true), ("nat", "KUBE-SEP-X", true), ("nat", "KUBE-EXT-X", true),
            ("nat", "KUBE-FW-X", true), ("nat", "KUBE-XLB-X", true), ("nat", "KUBE-MARK-MASQ", true),
            ("nat", "KUBE-PROXY-CANARY", true), ("filter", "KUBE-FORWARD", true),
            ("filter", "KUBE-PROXY-FIREWALL", true), ("mangle", "KUBE-PROXY-CANARY", true),
            ("nat", "KUBE-KUBELET-CANARY", false), ("nat", "KUBE-MARK-DROP", false),
            ("filter", "KUBE-FIREWALL", false), ("mangle", "KUBE-IPTABLES-HINT", false),
            ("nat", "KUBE-HP-X", false), ("nat", "KUBE-HOSTPORTS", false), ("filter", "KUBE-SVC-X", false),
            ("filter", "KUBE-ROUTER-FORWARD", false), ("nat", "kube-services", false),
            ("raw", "KUBE-SERVICES", false),
        ])
    func chains(table: String, chain: String, isOwn: Bool) {
        #expect(IPTablesChains.contains(chain, in: table) == isOwn)
    }

    @Test("rules go before chains, and jumps of built-in chains by their handles")
    func order() {
        let removal = removal(
            "nat", ["KUBE-SERVICES", "KUBE-SVC-A"],
            [("PREROUTING", "KUBE-SERVICES"), ("KUBE-SERVICES", "KUBE-SVC-A"), ("OUTPUT", "KUBE-SERVICES")])
        let table = TableID(.ip, "nat")
        #expect(
            removal.operations(table) == [
                .deleteRule(table, chain: "PREROUTING", handle: 0),
                .deleteRule(table, chain: "OUTPUT", handle: 2),
                .flushChain(table, chain: "KUBE-SERVICES"), .flushChain(table, chain: "KUBE-SVC-A"),
                .deleteChain(table, chain: "KUBE-SERVICES"), .deleteChain(table, chain: "KUBE-SVC-A"),
            ])
        #expect(removal.kept == [])
    }

    @Test("a chain that somebody else's rule leads to stays, with all that it needs")
    func kept() {
        let removal = removal(
            "nat", ["KUBE-MARK-MASQ", "KUBE-SEP-A", "KUBE-SERVICES", "KUBE-SVC-A", "KUBE-SVC-B"],
            [
                ("OUTPUT", "KUBE-SERVICES"), ("KUBE-SERVICES", "KUBE-SVC-A"), ("KUBE-SVC-A", "KUBE-SEP-A"),
                ("KUBE-SEP-A", "KUBE-MARK-MASQ"), ("MINE", "KUBE-SVC-A"), ("KUBE-SERVICES", "KUBE-SVC-B"),
            ])
        #expect(removal.kept == ["KUBE-MARK-MASQ", "KUBE-SEP-A", "KUBE-SVC-A"])
        #expect(removal.chains == ["KUBE-SERVICES", "KUBE-SVC-B"])
        #expect(removal.jumps.map(\.chain) == ["OUTPUT"])
    }

    @Test("a jump of a built-in chain that kube-proxy doesn't make is somebody else's")
    func foreignJump() {
        let removal = removal(
            "nat", ["KUBE-SERVICES"], [("PREROUTING", "KUBE-SERVICES"), ("INPUT", "KUBE-SERVICES")])
        #expect(removal.kept == ["KUBE-SERVICES"])
        #expect(removal.chains == [])
    }

    private func leftovers(_ heads: [(String, String, BaseChain.Policy?)]) -> Leftovers {
        var leftovers = Leftovers()
        leftovers.add(
            heads.map { ChainHead(table: TableID(.ip, $0.0), name: $0.1, isBase: $0.2 != nil, policy: $0.2) },
            .ip)
        return leftovers
    }

    @Test("what an old kubelet makes as well isn't kube-proxy's word")
    func kubeletAlone() {
        let kubelet = [("nat", "KUBE-MARK-MASQ", BaseChain.Policy?.none), ("nat", "KUBE-POSTROUTING", nil)]
        #expect(leftovers(kubelet).isEmpty)
        let both = leftovers(kubelet + [("filter", "KUBE-SERVICES", nil)])
        #expect(both.counts[.iptablesNFT] == 3)
        #expect(both.description == "3 chains KUBE-… of iptables-nft in ip filter, ip nat")
    }

    @Test("where FORWARD drops, what KUBE-FORWARD accepted is told")
    func guardedForwarding() {
        let chains = [("filter", "KUBE-FORWARD", BaseChain.Policy?.none), ("filter", "KUBE-SERVICES", nil)]
        #expect(leftovers(chains + [("filter", "FORWARD", .drop)]).guardedForwarding == [.ip])
        #expect(leftovers(chains + [("filter", "FORWARD", .accept)]).guardedForwarding == [])
        #expect(leftovers([("filter", "FORWARD", .drop)]).guardedForwarding == [])
    }
}
