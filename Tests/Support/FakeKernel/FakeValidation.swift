import Glibc
import NFTables

/// What the kernel checks along every way from the base chains (`nft_chain_validate`).
extension FakeTable {
    /// NFT_JUMP_STACK_SIZE
    private static let deepest = 16

    func validate() throws(Refusal) {
        let roots = chains.values.filter { $0.chain.base != nil }.sorted { $0.number < $1.number }
        for root in roots {
            guard let base = root.chain.base else { continue }
            var seen: [String: Int] = [:]
            try walk(root.chain, base, depth: 0, &seen)
        }
    }

    private func walk(
        _ chain: Chain, _ base: BaseChain, depth: Int, _ seen: inout [String: Int]
    ) throws(Refusal) {
        guard depth < Self.deepest else { throw Refusal(EMLINK) }
        // What was looked at from as deep or deeper is as good from here.
        if let before = seen[chain.name], before >= depth { return }
        seen[chain.name] = depth
        for rule in chain.rules {
            for expression in rule.expressions {
                try Self.check(expression, base)
                for target in targets(expression) {
                    guard let next = chains[target]?.chain else { continue }
                    try walk(next, base, depth: depth + 1, &seen)
                }
            }
        }
    }

    private func targets(_ expression: Expression) -> [String] {
        switch expression {
        case .verdict(let verdict): return verdict.target.map { [$0] } ?? []
        case .lookup(let set, _, .verdict):
            return sets[set]?.elements.values.compactMap { element in
                if case .verdict(let verdict) = element.data { verdict.target } else { nil }
            } ?? []
        default: return []
        }
    }

    /// Whether an instruction may run behind a hook (the `validate` operations of each expression).
    private static func check(_ expression: Expression, _ base: BaseChain) throws(Refusal) {
        switch expression {
        case .nat(let kind, _, _, _, _):
            let hooks: Set<BaseChain.Hook> =
                kind == .destination ? [.prerouting, .output] : [.postrouting, .input]
            guard base.kind == .nat, hooks.contains(base.hook) else { throw Refusal(EOPNOTSUPP) }
        case .masquerade:
            guard base.kind == .nat, base.hook == .postrouting else { throw Refusal(EOPNOTSUPP) }
        case .reject:
            guard [.prerouting, .input, .forward, .output].contains(base.hook) else {
                throw Refusal(EOPNOTSUPP)
            }
        default: break
        }
    }
}
