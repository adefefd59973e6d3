import IPAddressing
import NFTables
import NFTablesKernel
import Ruleset

extension NodeFacts {
    /// Who else makes rules on this node.
    var ruleChecks: [Check] {
        var checks: [Check] = []
        if case .listed(let tables, let chains) = rules {
            checks.append(Self.ownCheck(tables))
            checks.append(kubeProxy.check)
            checks += Self.translationChecks(chains)
        } else {
            checks.append(kubeProxy.check)
        }
        return checks + [legacyCheck]
    }

    private static func ownCheck(_ tables: [ListedTable]) -> Check {
        let name = "Sluice's tables"
        let own = tables.filter { ObjectNames.tables.contains($0.id) }
        guard !own.isEmpty else { return .ok(name, "not there yet") }
        let names = own.map(\.id.description).joined(separator: ", ")
        if let owner = own.compactMap(\.owner).first {
            return .ok(name, "\(names); they belong to netlink port \(owner): Sluice runs")
        }
        guard own.count == ObjectNames.tables.count else {
            return .note(name, "only \(names)", advice: "Nothing: `sluice run` makes the other one.")
        }
        return .ok(name, "\(names); they belong to no program")
    }

    // MARK: Translation by others

    /// What tells a program by the rules it makes.
    private static let programs: [(name: String, tables: Set<String>, chains: [String])] = [
        ("antrea", [], ["ANTREA-"]),
        ("calico", ["calico"], ["cali-"]),
        ("cilium", [], ["CILIUM_", "OLD_CILIUM_"]),
        ("CNI port maps", ["cni_hostport"], ["CNI-"]),
        ("docker", ["docker-bridges"], ["DOCKER"]),
        ("firewalld", ["firewalld"], []),
        ("flannel", ["flannel-ipv4", "flannel-ipv6"], ["FLANNEL-"]),
        ("libvirt", ["libvirt_network"], ["LIBVIRT_"]),
        ("podman", ["netavark"], ["NETAVARK-"]),
        ("tailscale", [], ["ts-"]),
        ("weave", [], ["WEAVE"]),
    ]

    /// One check for each program that translates addresses on Sluice's hooks.
    private static func translationChecks(_ chains: [ListedChain]) -> [Check] {
        let ours = Set(ObjectNames.tables + KubeProxyPresence.ownTables)
        let byTable = Dictionary(grouping: chains.filter { !ours.contains($0.table) }, by: \.table)
        var tablesOfProgram: [String: [TableID]] = [:]
        for (table, chains) in byTable where chains.contains(where: { $0.base?.kind == .nat }) {
            let names = chains.map(\.name)
            let known = programs.filter { program in
                program.tables.contains(table.name)
                    || program.chains.contains { prefix in names.contains { $0.hasPrefix(prefix) } }
            }.map(\.name)
            // kube-proxy's own check tells of its chains.
            let isKubeProxys = names.contains { $0.hasPrefix("KUBE-") }
            for program in known.isEmpty && !isKubeProxys ? [unknown(table)] : known {
                tablesOfProgram[program, default: []].append(table)
            }
        }
        guard !tablesOfProgram.isEmpty else { return [.ok("other NAT", "no chains in nf_tables")] }
        return tablesOfProgram.sorted { $0.key.lowercased() < $1.key.lowercased() }.map { program, tables in
            let places = tables.sorted().map { table in
                let hooks = (byTable[table] ?? []).compactMap(\.base).filter { $0.kind == .nat }
                    .sorted { ($0.hook.rawValue, $0.priority) < ($1.hook.rawValue, $1.priority) }
                return "\(table) at \(hooks.map { "\($0.hook) \($0.priority)" }.joined(separator: ", "))"
            }
            return .note(
                "NAT by \(program)", places.joined(separator: "; "), advice: advice(program))
        }
    }

    private static func unknown(_ table: TableID) -> String { "table \(table.name)" }

    private static func advice(_ program: String) -> String {
        switch program {
        case "cilium":
            "See that its kubeProxyReplacement is false: two proxies must not serve the same Services."
        case "docker":
            "Nothing, unless a port that it publishes is a node port too: the earlier rule gets it."
        default: "Nothing, unless it translates an address of Services too: the earlier rule gets it."
        }
    }

    private var legacyCheck: Check {
        let name = "legacy iptables"
        guard let legacyNAT else {
            return .note(name, "can't be seen", advice: "Run as root to see it.")
        }
        guard !legacyNAT.isEmpty else { return .ok(name, "no nat table") }
        let families = legacyNAT.map { "IPv\($0.rawValue)" }.joined(separator: " and ")
        let commands = legacyNAT.map { "`ip\($0 == .ipv4 ? "" : "6")tables-legacy -t nat -S`" }
        return .note(
            name, "a nat table for \(families)",
            advice:
                "Look with \(commands.joined(separator: " and ")): rules for an address of Services, kube-proxy's too, have to go."
        )
    }
}
