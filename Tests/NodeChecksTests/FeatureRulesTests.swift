import Agent
import NFTables
import NodeInspection
import Testing

@testable import NodeChecks

@Suite("What is tried")
struct FeatureRulesTests {
    /// The shape of an instruction: its name, and what a kernel may know it without.
    private func shape(_ expression: Expression) -> String {
        switch expression {
        case .meta(let key, _): "meta \(key)"
        case .setMeta(let key, _): "meta set \(key)"
        case .conntrack(let key, let direction, _): "ct \(key) \(direction.map { "\($0)" } ?? "")"
        case .payload(let base, _, _, _): "payload \(base)"
        case .lookup(_, _, let target):
            switch target {
            case .membership: "lookup"
            case .absence: "lookup inverted"
            case .data: "lookup data"
            case .verdict: "lookup verdict"
            }
        case .numgen(let kind, _, _, _): "numgen \(kind)"
        case .nat(let kind, let family, let address, let port, let flags):
            "nat \(kind) \(family) \(address != nil) \(port != nil) \(flags.rawValue)"
        case .masquerade: "masquerade"
        case .reject(let rejection): "reject \(rejection)"
        case .dynamicSet(let operation, _, _, let data, let timeout):
            "dynset \(operation) \(data != nil) \(timeout != nil)"
        case .fib(let result, let flags, _): "fib \(result) \(flags.rawValue)"
        case .compare(_, let comparison, _): "cmp \(comparison)"
        case .bitwise: "bitwise"
        case .immediate: "immediate"
        case .verdict: "verdict"
        case .counter: "counter"
        case .unsupported(let name): "unsupported \(name)"
        }
    }

    private func rules(_ operations: [Operation]) -> [Rule] {
        operations.compactMap { operation in
            if case .addRule(_, _, let rule) = operation { rule } else { nil }
        }
    }

    private var sample: [Table] { SampleCluster.settings.flatMap { SampleCluster.tables($0) } }

    @Test("no instruction of the rules is without a feature that tries it")
    func everyInstruction() {
        var tried: Set<String> = []
        for feature in Feature.allCases {
            for family in [Family.ip, .ip6] {
                let operations = feature.operations(in: TableID(family, "t"), isHooked: true)
                tried.formUnion(rules(operations).flatMap(\.expressions).map(shape))
            }
        }
        let used = Set(sample.flatMap(\.chains.values).flatMap(\.rules).flatMap(\.expressions).map(shape))
        #expect(used.subtracting(tried) == [])
        #expect(used.count > 20, "\(used)")
    }

    @Test("the sample has a chain or set of every kind that Services make, in both families")
    func everyKind() {
        for table in sample {
            let names = Array(table.chains.keys) + Array(table.sets.keys)
            for prefix in [
                "pool-", "local-", "external-", "firewall-", "sources-", "remember-", "affinity-pool-",
                "affinity-local-", "members-", "slots-",
            ] {
                #expect(names.contains { $0.hasPrefix(prefix) }, "\(table.id) \(prefix)")
            }
            let empty = table.sets.keys.filter { table.elements[$0, default: []].isEmpty }
                // What packets write, and what only some modes use.
                .filter {
                    !$0.hasPrefix("affinity-pool-") && !$0.hasPrefix("affinity-local-") && $0 != "local-pods"
                }
            #expect(empty == [], "\(table.id)")
        }
    }

    @Test("without hooks nothing that a packet could meet is made")
    func unhooked() {
        for feature in Feature.allCases where feature != .ownedTables {
            let table = TableID(.ip6, "t")
            let (hooked, unhooked) = (
                feature.operations(in: table, isHooked: true), feature.operations(in: table, isHooked: false)
            )
            let base = unhooked.contains {
                if case .addChain(_, let chain) = $0 { chain.base != nil } else { false }
            }
            #expect(!base)
            #expect(rules(hooked) == rules(unhooked))
            #expect(hooked.count == unhooked.count)
        }
    }
}
