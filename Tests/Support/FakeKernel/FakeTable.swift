import Glibc
import NFTables

/// One table: what it holds, and what the kernel does with operations on it (net/netfilter/nf_tables_api.c).
struct FakeTable: Sendable {
    typealias Refusal = FakeRuleset.Refusal

    struct NumberedChain: Sendable {
        var chain: Chain
        /// Chains are looked at in the order in which they were made.
        let number: UInt64
    }

    var comment: String?
    var sets: [String: FakeSet] = [:]
    var chains: [String: NumberedChain] = [:]
    private var lastHandle: UInt64 = 0

    init(comment: String?) { self.comment = comment }

    func value(id: TableID) -> Table {
        var table = Table(id, comment: comment)
        table.sets = sets.mapValues(\.definition)
        table.elements = sets.mapValues { Array($0.elements.values) }
        table.chains = chains.mapValues(\.chain)
        return table
    }

    mutating func apply(_ operation: Operation) throws(Refusal) {
        switch operation {
        case .addTable, .deleteTable: preconditionFailure("the ruleset's own")
        case .addChain(_, let chain): try add(chain)
        case .deleteChain(_, let name):
            guard chains[name] != nil else { throw Refusal(ENOENT) }
            guard !isReferenced(chain: name) else { throw Refusal(EBUSY) }
            chains[name] = nil
        case .flushChain(_, let name):
            guard chains[name] != nil else { throw Refusal(ENOENT) }
            chains[name]?.chain.rules = []
        case .addRule(_, let name, let rule):
            guard chains[name] != nil else { throw Refusal(ENOENT) }
            for expression in rule.expressions { try check(expression) }
            var rule = rule
            lastHandle += 1
            rule.handle = lastHandle
            rule.comment = rule.comment.map(FakeRuleset.stored)
            chains[name]?.chain.rules.append(rule)
        case .deleteRule(_, let name, let handle):
            guard let index = chains[name]?.chain.rules.firstIndex(where: { $0.handle == handle }) else {
                throw Refusal(ENOENT)
            }
            chains[name]?.chain.rules.remove(at: index)
        case .addSet(_, let set): try add(set)
        case .deleteSet(_, let name):
            guard sets[name] != nil else { throw Refusal(ENOENT) }
            guard !isBound(set: name) else { throw Refusal(EBUSY) }
            sets[name] = nil
        case .flushSet(_, let name):
            guard sets[name] != nil else { throw Refusal(ENOENT) }
            sets[name]?.elements = [:]
        case .addElements(_, let name, let elements):
            let chains = chains
            try change(name) { (set) throws(Refusal) in
                for element in elements { try set.add(element, chains: chains) }
            } isNoOp: {
                elements.isEmpty
            }
        case .deleteElements(_, let name, let elements):
            try change(name) { (set) throws(Refusal) in
                for element in elements { try set.remove(element) }
            } isNoOp: {
                elements.isEmpty
            }
        case .destroyElements(_, let name, let elements):
            try change(name) { (set) throws(Refusal) in
                for element in elements { try set.destroy(element) }
            } isNoOp: {
                elements.isEmpty
            }
        }
    }

    /// Without elements nothing is sent, so that nothing can be wrong.
    private mutating func change(
        _ name: String, _ body: (inout FakeSet) throws(Refusal) -> Void, isNoOp: () -> Bool
    ) throws(Refusal) {
        guard !isNoOp() else { return }
        guard var set = sets.removeValue(forKey: name) else { throw Refusal(ENOENT) }
        defer { sets[name] = set }
        try body(&set)
    }

    private mutating func add(_ chain: Chain) throws(Refusal) {
        try FakeRuleset.check(name: chain.name)
        if let before = chains[chain.name]?.chain {
            guard let base = chain.base else { return }
            // What is attached stays where it is; only the policy can be changed.
            guard let old = before.base else { throw Refusal(EOPNOTSUPP) }
            guard old.kind == base.kind else { throw Refusal(EEXIST) }
            guard old.hook == base.hook, old.priority == base.priority else { throw Refusal(EOPNOTSUPP) }
            chains[chain.name]?.chain.base = base
            return
        }
        lastHandle += 1
        var bare = Chain(chain.name, base: chain.base, comment: chain.comment.map(FakeRuleset.stored))
        bare.rules = []
        chains[chain.name] = NumberedChain(chain: bare, number: lastHandle)
    }

    private mutating func add(_ set: NamedSet) throws(Refusal) {
        try FakeRuleset.check(name: set.name)
        if let before = sets[set.name]?.definition {
            guard before.key.typeNumber == set.key.typeNumber, before.data == set.data,
                before.flags == set.flags, before.size == set.size, before.timeout == set.timeout
            else { throw Refusal(EEXIST) }
            return
        }
        var set = set
        set.comment = set.comment.map(FakeRuleset.stored)
        sets[set.name] = FakeSet(set)
    }

    // MARK: References

    private func isReferenced(chain name: String) -> Bool {
        let byRule = chains.values.contains { other in
            other.chain.name != name
                && other.chain.rules.contains { rule in
                    rule.expressions.contains {
                        if case .verdict(let verdict) = $0 { verdict.target == name } else { false }
                    }
                }
        }
        return byRule
            || sets.values.contains { set in
                set.definition.data == .verdict
                    && set.elements.values.contains { element in
                        if case .verdict(let verdict) = element.data {
                            verdict.target == name
                        } else {
                            false
                        }
                    }
            }
    }

    private func isBound(set name: String) -> Bool {
        chains.values.contains { chain in
            chain.chain.rules.contains { rule in rule.expressions.contains { $0.boundSet == name } }
        }
    }

    /// What is wrong with an instruction in itself.
    private func check(_ expression: Expression) throws(Refusal) {
        switch expression {
        case .verdict(let verdict): try Self.check(verdict, chains)
        case .lookup(let name, _, let target):
            guard let set = sets[name]?.definition else { throw Refusal(ENOENT) }
            switch (target, set.data) {
            case (.data, .value?), (.verdict, .verdict?), (.membership, _), (.absence, _): break
            default: throw Refusal(EINVAL)
            }
        case .dynamicSet(_, let name, _, let data, let timeout):
            guard let set = sets[name]?.definition else { throw Refusal(ENOENT) }
            if timeout != nil, !set.flags.contains(.timeout) { throw Refusal(EOPNOTSUPP) }
            switch (data, set.data) {
            case (nil, nil), (_?, .value?): break
            case (_?, nil), (_?, .verdict?): throw Refusal(EOPNOTSUPP)
            case (nil, _?): throw Refusal(EINVAL)
            }
        default: break
        }
    }

    static func check(_ verdict: Verdict, _ chains: [String: NumberedChain]) throws(Refusal) {
        guard let target = verdict.target else { return }
        guard let chain = chains[target] else { throw Refusal(ENOENT) }
        guard chain.chain.base == nil else { throw Refusal(EOPNOTSUPP) }
    }
}
