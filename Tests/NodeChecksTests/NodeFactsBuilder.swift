import Agent
import IPAddressing
import NFTables
import NFTablesKernel

@testable import NodeChecks

extension NodeFacts {
    /// A node on which all is well, and nothing runs yet.
    static var good: NodeFacts {
        NodeFacts(
            release: KernelRelease(6, 12), rights: .init(netAdmin: true, sysAdmin: true),
            rules: .listed([], []),
            trials: FeatureTrials(
                .scratchNetwork,
                Feature.allCases.flatMap { [.init($0, .ip), .init($0, .ip6)] },
                ruleset: .taken(operations: 300)),
            conntrack: ConntrackFacts(answer: .given, count: 10, limit: 1000, lockedParameters: []),
            network: NetworkFacts(
                forwarding: [.ipv4: true, .ipv6: true], addressed: [.ipv4, .ipv6],
                bridgeFilter: [.ipv4: true, .ipv6: true], strictInterfaces: []),
            legacyNAT: [], kubeProxy: KubeProxyPresence())
    }

    /// The same but for what `change` makes of it.
    func with(_ change: (inout NodeFacts) -> Void) -> NodeFacts {
        var facts = self
        change(&facts)
        return facts
    }

    /// The same with these chains, each in a table that is there as well.
    func listing(_ chains: [ListedChain]) -> NodeFacts {
        with {
            $0.rules = .listed(Set(chains.map(\.table)).sorted().map { ListedTable($0) }, chains)
            $0.kubeProxy = KubeProxyPresence(processes: [], rules: $0.rules, links: [])
        }
    }

    /// The same with a feature that the kernel refused in one family.
    func refusing(_ feature: Feature, _ family: Family = .ip, _ why: String = "ENOENT") -> NodeFacts {
        with { facts in
            for index in facts.trials.trials.indices
            where facts.trials.trials[index].feature == feature
                && facts.trials.trials[index].family == family
            {
                facts.trials.trials[index].refusal = why
            }
        }
    }

    subscript(check name: String) -> Check? { NodeReport(self).checks.first { $0.name == name } }
}

extension ListedChain {
    /// A chain on a nat hook.
    static func nat(_ table: TableID, _ name: String, _ hook: BaseChain.Hook, _ priority: Int32)
        -> ListedChain
    {
        ListedChain(table, name, base: BaseChain(.nat, hook: hook, priority: priority))
    }
}
