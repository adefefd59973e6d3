import Agent
import Glibc
import HostProcess
import IPAddressing
import NFTables
import NFTablesKernel
import NodeChecks
import Ruleset

/// Has the kernel take what Sluice's rules are made of.
enum FeatureTrial {
    /// In a network namespace of its own, where there can be one; else in transactions that the kernel takes back.
    static func run(onNode connection: Connection) -> FeatureTrials {
        do throws(HostProcessError) {
            return try ScratchNetwork.run { inScratchNetwork() }
        } catch {
            return takenBack(connection, why: "\(error)")
        }
    }

    private static var families: [Family] { AddressFamily.allCases.map(\.nft) }

    // MARK: In a namespace of its own

    private static func inScratchNetwork() -> FeatureTrials {
        let connection: Connection
        do throws(KernelError) {
            connection = try Connection()
        } catch {
            return FeatureTrials(.none(why: "\(error)"))
        }
        var trials: [FeatureTrials.Trial] = []
        for feature in Feature.allCases {
            for family in families {
                let table = TableID(family, "sluice-preflight")
                let refusal = refusal { () throws(KernelError) in
                    if feature == .ownedTables {
                        try own(table, connection)
                    } else {
                        try connection.commit(feature.operations(in: table, isHooked: true))
                        try connection.commit([.deleteTable(table)])
                    }
                }
                trials.append(.init(feature, family, refusal: refusal))
            }
        }
        return FeatureTrials(.scratchNetwork, trials, ruleset: program(connection))
    }

    /// An owner makes a table and ends; the next takes it over.
    private static func own(_ table: TableID, _ connection: Connection) throws(KernelError) {
        func make() throws(KernelError) {
            try Connection().commit([.addTable(table, comment: nil, flags: .owned)])
        }
        try make()
        try connection.commit([.addTable(table, comment: nil, flags: .owned)])
        try connection.commit([.deleteTable(table)])
    }

    /// Programs Services of every kind as `sluice run` does, under each way to tell local pods.
    private static func program(_ connection: Connection) -> FeatureTrials.WholeRuleset {
        var operations = 0
        do throws(KernelError) {
            for settings in SampleCluster.settings {
                let (plans, environment) = SampleCluster.plans(settings)
                let writer = RulesetWriter(settings: settings, kernel: connection)
                operations += try writer.write(plans, environment: environment).operations
            }
        } catch {
            return .refused("\(error)")
        }
        return .taken(operations: operations)
    }

    // MARK: On the node

    /// Nothing is in force at any moment, and no packet meets it: there are no base chains.
    private static func takenBack(_ connection: Connection, why: String) -> FeatureTrials {
        let name = "sluice-preflight-\(getpid())"
        var trials: [FeatureTrials.Trial] = []
        for feature in Feature.allCases where feature != .natChains {
            for family in families {
                let table = TableID(family, name)
                let refusal = refusal { () throws(KernelError) in
                    if feature == .ownedTables {
                        try connection.check([.addTable(table, comment: nil, flags: .owned)])
                    } else {
                        try connection.check(feature.operations(in: table, isHooked: false))
                    }
                }
                trials.append(.init(feature, family, refusal: refusal))
            }
        }
        return FeatureTrials(.takenBack(why: why), trials, ruleset: check(connection, table: name))
    }

    private static func check(_ connection: Connection, table: String) -> FeatureTrials.WholeRuleset {
        var count = 0
        let refusal = refusal { () throws(KernelError) in
            for settings in SampleCluster.settings {
                let operations = SampleCluster.tables(settings).flatMap {
                    unhookedOperations($0, in: TableID($0.id.family, table))
                }
                try connection.check(operations)
                count += operations.count
            }
        }
        return refusal.map { .refused($0) } ?? .taken(operations: count)
    }

    /// What makes a table under another name, its base chains ordinary ones.
    private static func unhookedOperations(_ table: Table, in id: TableID) -> [Operation] {
        let chains = table.chains.values.sorted { $0.name < $1.name }.map { Chain($0.name, rules: $0.rules) }
        return [.addTable(id, comment: nil)]
            + table.sets.values.sorted { $0.name < $1.name }.map { .addSet(id, $0) }
            + chains.map { .addChain(id, $0) }
            + chains.flatMap { chain in chain.rules.map { .addRule(id, chain: chain.name, $0) } }
            + table.elements.sorted { $0.key < $1.key }.filter { !$0.value.isEmpty }.map {
                .addElements(id, set: $0.key, $0.value)
            }
    }

    private static func refusal(_ body: () throws(KernelError) -> Void) -> String? {
        do throws(KernelError) {
            try body()
            return nil
        } catch {
            return "\(error)"
        }
    }
}
