import Agent
import IPAddressing
import NFTables
import NFTablesKernel
import Testing

@testable import NodeChecks

@Suite("What is said of a node")
struct CheckTests {
    private let good = NodeFacts.good

    /// The checks that aren't ok.
    private func complaints(_ facts: NodeFacts) -> [Check] {
        NodeReport(facts).checks.filter { $0.state != .ok }
    }

    /// Expects this one check, and no other, to be anything but ok.
    private func expect(
        _ facts: NodeFacts, _ name: String, _ state: Check.State, found: String, advice: String,
        _ location: SourceLocation = #_sourceLocation
    ) {
        let complaints = complaints(facts)
        #expect(complaints.map(\.name) == [name], sourceLocation: location)
        guard let check = complaints.first else { return }
        #expect(check.state == state, sourceLocation: location)
        #expect(check.found.contains(found), "\(check.found)", sourceLocation: location)
        #expect(check.advice?.contains(advice) == true, "\(check.advice ?? "")", sourceLocation: location)
        #expect(NodeReport(facts).isReady == (state != .failure), sourceLocation: location)
    }

    @Test("where all is well, nothing else is said")
    func allIsWell() {
        #expect(complaints(good) == [])
        #expect(NodeReport(good).isReady)
        // Each check is there once, under a name of its own.
        let names = NodeReport(good).checks.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(names.count == 30, "\(names)")
    }

    @Test("what isn't ok says what to do about it, in one sentence")
    func advice() {
        let worst = good.with {
            $0.release = KernelRelease(4, 19)
            $0.rights = .init(netAdmin: false, sysAdmin: false)
            $0.rules = .unknown("no right")
            $0.trials = FeatureTrials(
                .takenBack(why: "EPERM"),
                Feature.allCases.flatMap {
                    [.init($0, .ip, refusal: "ENOENT"), .init($0, .ip6, refusal: "ENOENT")]
                }, ruleset: .refused("ENOENT"))
            $0.conntrack = ConntrackFacts(
                answer: .refused("EINVAL"), count: 999, limit: 1000, lockedParameters: ["a", "b"])
            $0.network = NetworkFacts(
                forwarding: [.ipv4: false], addressed: [.ipv4], bridgeFilter: [.ipv4: true],
                strictInterfaces: ["eth0"])
            $0.legacyNAT = [.ipv4]
            $0.kubeProxy = KubeProxyPresence(processes: [7])
        }
        let checks = complaints(worst)
        #expect(checks.count == NodeReport(worst).checks.count)
        for check in checks {
            #expect(check.advice?.hasSuffix(".") == true, "\(check)")
            #expect(check.advice?.contains(". ") == false, "\(check)")
        }
    }

    // MARK: The kernel

    @Test(
        "an old kernel is told what newer ones bring, and one that is too old is a failure",
        arguments: [
            (KernelRelease(5, 10), Check.State.failure, "older than 5.13", "Boot Linux 5.13"),
            (
                KernelRelease(5, 13), .note, "without destroy element (6.3) and owned tables (6.9)",
                "from 6.3 on"
            ),
            (KernelRelease(6, 3), .note, "without owned tables (6.9)", "from 6.9 on"),
            (KernelRelease(6, 8), .note, "without owned tables (6.9)", "no other program"),
        ])
    func release(release: KernelRelease, state: Check.State, found: String, advice: String) {
        expect(good.with { $0.release = release }, "kernel", state, found: found, advice: advice)
    }

    @Test("a new kernel has all of it")
    func newKernel() {
        let check = good.with { $0.release = KernelRelease(6, 9) }[check: "kernel"]
        #expect(check == .ok("kernel", "Linux 6.9, with destroy element (6.3) and owned tables (6.9)"))
    }

    @Test("without the right to change rules nothing is tried, and the right is what to give")
    func noRights() {
        let facts = good.with {
            $0.rights.netAdmin = false
            $0.rules = .unknown("no right to change nf_tables")
            $0.trials = FeatureTrials(.none(why: "it takes CAP_NET_ADMIN"))
            $0.conntrack.answer = .notAsked
        }
        let states = complaints(facts).map { "\($0.name): \($0.state)" }
        #expect(
            states == ["CAP_NET_ADMIN: failure", "nf_tables: failure", "trial: note", "conntrack: note"])
        #expect(facts[check: "CAP_NET_ADMIN"]?.advice?.contains("Run as root") == true)
        #expect(facts[check: "trial"]?.found == "not tried: it takes CAP_NET_ADMIN")
        // What wasn't tried isn't said to work.
        #expect(facts[check: "numgen inc"] == nil)
        #expect(facts[check: "whole rule set"] == nil)
        #expect(!NodeReport(facts).isReady)
    }

    @Test("where there can be no namespace, how it was tried is a note")
    func takenBack() {
        let facts = good.with {
            $0.trials.ground = .takenBack(why: "make a network namespace: Operation not permitted")
            $0.trials.trials.removeAll { $0.feature == .natChains }
            $0.rights.sysAdmin = false
        }
        expect(facts, "trial", .note, found: "Operation not permitted", advice: "CAP_SYS_ADMIN")
        // With the right, something else forbids it.
        let other = facts.with { $0.rights.sysAdmin = true }
        #expect(other[check: "trial"]?.advice?.contains("user.max_net_namespaces") == true)
        #expect(facts[check: "nat chains, ip"] == nil)
        #expect(facts[check: "numgen inc"]?.state == .ok)
    }

    @Test("a feature that every rule set needs is a failure where it lacks, and names what to build in")
    func neededFeatures() {
        let needed: [(Feature, String, String)] = [
            (.natChains, "nat chains, ip", "CONFIG_NFT_NAT"),
            (.roundRobin, "numgen inc", "CONFIG_NFT_NUMGEN"),
            (.directMap, "dnat from a map", "CONFIG_NFT_NAT"), (.masquerade, "masquerade", "CONFIG_NFT_MASQ"),
            (.reject, "reject", "CONFIG_NFT_REJECT"),
            (.originalDestination, "ct original, status", "CONFIG_NFT_CT"),
            (.localSource, "fib saddr type", "CONFIG_NFT_FIB_IPV4"),
            (.verdictMaps, "vmap", "CONFIG_NF_TABLES"),
            (.networkSets, "sets of networks", "CONFIG_NF_TABLES"),
            (.affinity, "update of a map", "CONFIG_NF_TABLES"),
        ]
        for (feature, name, option) in needed {
            expect(good.refusing(feature), name, .failure, found: "ENOENT", advice: option)
        }
        #expect(Set(needed.map(\.0.name)) == Set(Feature.allCases.filter(\.isNeeded).map(\.name)))
    }

    @Test("a feature that can be done without is no failure")
    func optionalFeatures() {
        expect(
            good.refusing(.destroyElements), "destroy element", .note, found: "ENOENT",
            advice: "from Linux 6.3 on")
        expect(
            good.refusing(.ownedTables), "owned tables", .note, found: "ENOENT", advice: "from Linux 6.9 on")
        expect(
            good.refusing(.interfaceMarks), "iifname, mark", .warning, found: "ENOENT",
            advice: "told by their interface")
    }

    @Test("nat chains are told apart by family, and what both families say is said once")
    func families() {
        let one = good.refusing(.natChains, .ip6, "no ip6")
        #expect(one[check: "nat chains, ip"]?.state == .ok)
        #expect(one[check: "nat chains, ip6"]?.found == "no ip6")
        let both = good.refusing(.reject, .ip, "no reject").refusing(.reject, .ip6, "no reject")
        #expect(both[check: "reject"]?.found == "no reject")
        let each = good.refusing(.reject, .ip, "one").refusing(.reject, .ip6, "other")
        #expect(each[check: "reject"]?.found == "one; other")
    }

    @Test("a rule set that the kernel refuses as a whole is a failure")
    func ruleset() {
        expect(
            good.with { $0.trials.ruleset = .refused("add rule ip sluice dispatch: ENOENT") },
            "whole rule set",
            .failure, found: "add rule ip sluice dispatch", advice: "what was refused")
    }

    // MARK: Connection tracking and the network

    @Test("a conntrack table is crowded from more than 90 % on")
    func crowded() {
        func with(_ count: Int, _ limit: Int) -> NodeFacts {
            good.with {
                $0.conntrack.count = count
                $0.conntrack.limit = limit
            }
        }
        #expect(
            with(900, 1000)[check: "conntrack table"]
                == .ok("conntrack table", "900 of 1000 connections (90 %)"))
        expect(
            with(901, 1000), "conntrack table", .warning, found: "901 of 1000 connections (90 %)",
            advice: "nf_conntrack_max")
        expect(with(262_144, 262_144), "conntrack table", .warning, found: "(100 %)", advice: "dropped")
        expect(
            good.with { $0.conntrack.count = nil }, "conntrack table", .note, found: "nothing is tracked",
            advice: "Nothing")
    }

    @Test("conntrack that doesn't answer leaves UDP flows behind, which is a warning")
    func ctnetlink() {
        expect(
            good.with { $0.conntrack.answer = .refused("EINVAL") }, "conntrack", .warning, found: "EINVAL",
            advice: "CONFIG_NF_CT_NETLINK")
    }

    @Test("limits that can't be written are a note that names one")
    func lockedParameters() {
        expect(
            good.with { $0.conntrack.lockedParameters = ["net.netfilter.nf_conntrack_max"] },
            "conntrack limits",
            .note, found: "net.netfilter.nf_conntrack_max can't be written", advice: "/etc/sysctl.d")
        let more = good.with { $0.conntrack.lockedParameters = ["a", "b", "c"] }
        #expect(more[check: "conntrack limits"]?.found == "a and 2 more can't be written")
    }

    @Test("a node that doesn't forward is warned of, in the families that it has addresses of")
    func forwarding() {
        expect(
            good.with { $0.network.forwarding[.ipv4] = false }, "forwarding, IPv4", .warning,
            found: "net.ipv4.ip_forward is 0", advice: "Set it to 1")
        expect(
            good.with {
                $0.network.forwarding[.ipv6] = false
                $0.network.addressed = [.ipv4]
            }, "forwarding, IPv6", .note, found: "no IPv6 address", advice: "before pods")
        expect(
            good.with { $0.network.forwarding[.ipv6] = nil }, "forwarding, IPv6", .note,
            found: "the kernel has no IPv6", advice: "Nothing")
    }

    @Test("bridges that pass the rules by are a note, with or without the module")
    func bridges() {
        expect(
            good.with { $0.network.bridgeFilter = [:] }, "bridge netfilter", .note, found: "isn't loaded",
            advice: "load br_netfilter")
        expect(
            good.with { $0.network.bridgeFilter[.ipv6] = false }, "bridge netfilter", .note,
            found: "bridge-nf-call-ip6tables: 0", advice: "set both to 1")
    }

    @Test("a strict reverse path filter is a note that names some interfaces")
    func strict() {
        expect(
            good.with { $0.network.strictInterfaces = ["eth0", "eth1"] }, "rp_filter", .note,
            found: "strict on eth0, eth1", advice: "another interface")
        let many = good.with { $0.network.strictInterfaces = (0..<7).map { "eth\($0)" } }
        #expect(many[check: "rp_filter"]?.found == "strict on eth0, eth1, eth2, eth3 and 3 more")
    }

    // MARK: Others

    private static let ipNAT = TableID(.ip, "nat")

    @Test(
        "other programs that translate on the same hooks are named by what they make",
        arguments: [
            ("docker", [ListedChain(ipNAT, "DOCKER")], "ip nat at prerouting -100, postrouting 100"),
            ("calico", [ListedChain(ipNAT, "cali-PREROUTING")], "ip nat"),
            ("cilium", [ListedChain(ipNAT, "CILIUM_PRE_nat")], "ip nat"),
            ("libvirt", [ListedChain(ipNAT, "LIBVIRT_PRT")], "ip nat"),
            ("flannel", [ListedChain(ipNAT, "FLANNEL-POSTRTG")], "ip nat"),
            ("CNI port maps", [ListedChain(ipNAT, "CNI-HOSTPORT-DNAT")], "ip nat"),
            ("table nat", [], "ip nat"),
        ])
    func otherNAT(program: String, chains: [ListedChain], found: String) {
        let base: [ListedChain] = [
            .nat(Self.ipNAT, "POSTROUTING", .postrouting, 100),
            .nat(Self.ipNAT, "PREROUTING", .prerouting, -100),
        ]
        expect(
            good.listing(base + chains), "NAT by \(program)", .note, found: found,
            advice: program == "cilium" ? "kubeProxyReplacement" : "Nothing, unless")
    }

    @Test("a program is known by its table's name as well, and its tables are told together")
    func byTable() {
        let facts = good.listing([
            .nat(TableID(.inet, "firewalld"), "nat_PREROUTING", .prerouting, -90),
            .nat(TableID(.ip6, "docker-bridges"), "nat-prerouting", .prerouting, -100),
            .nat(TableID(.ip, "docker-bridges"), "nat-prerouting", .prerouting, -100),
        ])
        #expect(
            complaints(facts).map { "\($0.name): \($0.found)" } == [
                "NAT by docker: ip docker-bridges at prerouting -100; ip6 docker-bridges at prerouting -100",
                "NAT by firewalld: inet firewalld at prerouting -90",
            ])
    }

    @Test("chains of other types, and Sluice's own, are nobody's NAT")
    func noNAT() {
        let facts = good.listing([
            ListedChain(
                TableID(.inet, "filter"), "input", base: BaseChain(.filter, hook: .input, priority: 0)),
            ListedChain(Self.ipNAT, "DOCKER"),
            .nat(TableID(.ip, "sluice"), "prerouting", .prerouting, -100),
            .nat(TableID(.ip6, "sluice"), "prerouting", .prerouting, -100),
        ])
        #expect(complaints(facts) == [])
        #expect(facts[check: "other NAT"]?.state == .ok)
    }

    @Test("what kube-proxy left, and that it runs, is a warning")
    func kubeProxy() {
        expect(
            good.with { $0.kubeProxy.processes = [12, 34] }, "kube-proxy", .warning,
            found: "running (process 12, process 34)", advice: "Take it off this node")
        let tables = [TableID(.ip, "kube-proxy"), TableID(.ip6, "kube-proxy")]
        expect(
            good.listing(tables.map { .nat($0, "nat-prerouting", .prerouting, -100) }), "kube-proxy",
            .warning,
            found: "tables ip kube-proxy, ip6 kube-proxy", advice: "--adopt-from-kube-proxy")
        expect(
            good.listing([
                .nat(Self.ipNAT, "PREROUTING", .prerouting, -100), ListedChain(Self.ipNAT, "KUBE-SERVICES"),
            ]), "kube-proxy", .warning, found: "chain KUBE-SERVICES in ip nat",
            advice: "--adopt-from-kube-proxy"
        )
        expect(
            good.with {
                $0.kubeProxy = KubeProxyPresence(processes: [], rules: $0.rules, links: ["lo", "kube-ipvs0"])
            },
            "kube-proxy", .warning, found: "link kube-ipvs0", advice: "--adopt-from-kube-proxy")
    }

    @Test("a nat table of the old iptables is a note that says where to look")
    func legacy() {
        expect(
            good.with { $0.legacyNAT = [.ipv4, .ipv6] }, "legacy iptables", .note, found: "IPv4 and IPv6",
            advice: "`iptables-legacy -t nat -S` and `ip6tables-legacy -t nat -S`")
        expect(
            good.with { $0.legacyNAT = nil }, "legacy iptables", .note, found: "can't be seen", advice: "root"
        )
    }

    @Test("whose Sluice's tables are is told")
    func ownTables() {
        func found(_ tables: ListedTable...) -> Check? {
            good.with { $0.rules = .listed(tables, []) }[check: "Sluice's tables"]
        }
        let (ip, ip6) = (TableID(.ip, "sluice"), TableID(.ip6, "sluice"))
        #expect(found()?.found == "not there yet")
        #expect(
            found(ListedTable(ip), ListedTable(ip6))?.found
                == "ip sluice, ip6 sluice; they belong to no program")
        #expect(
            found(ListedTable(ip, flags: .owned, owner: 77), ListedTable(ip6, flags: .owned, owner: 77))?
                .found
                == "ip sluice, ip6 sluice; they belong to netlink port 77: Sluice runs")
        #expect(found(ListedTable(ip))?.state == .note)
        #expect(found(ListedTable(TableID(.inet, "sluice")))?.found == "not there yet")
    }
}
