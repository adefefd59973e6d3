public import NFTables

/// A transaction that the kernel would refuse as a whole.
public struct Refusal: Error, CustomStringConvertible {
    public let operation: NFTables.Operation
    /// The errno's name and what it means here.
    public let reason: String

    public var description: String { "\(operation): \(reason)" }
}

extension PacketSimulator {
    /// Applies a transaction: all of it, or none when one operation is refused.
    ///
    /// - Throws: `Refusal`, for what the kernel refuses too: objects that are missing, elements that are there
    ///   with other data, chains that are still referred to.
    public mutating func apply(_ operations: [NFTables.Operation]) throws(Refusal) {
        let before = tables
        do {
            for operation in operations { try apply(operation) }
            try checkReferences(after: operations)
        } catch {
            tables = before
            throw error
        }
    }

    private mutating func apply(_ operation: NFTables.Operation) throws(Refusal) {
        func missing(_ what: String) -> Refusal {
            Refusal(operation: operation, reason: "ENOENT: no \(what)")
        }
        let id = operation.table
        if case .addTable(_, let comment, _) = operation {
            if tables[id] == nil { tables[id] = LiveTable(Table(id, comment: comment), now: now) }
            return
        }
        guard var table = tables[id] else { throw missing("table \(id)") }
        tables[id] = nil
        defer {
            if case .deleteTable = operation {} else { tables[id] = table }
        }
        switch operation {
        case .addTable, .deleteTable: break
        case .addChain(_, let chain):
            table.add(chain)
        case .deleteChain(_, let chain):
            guard table.removeChain(chain) else { throw missing("chain \(chain)") }
        case .flushChain(_, let chain):
            guard table.chains[chain] != nil else { throw missing("chain \(chain)") }
            table.chains[chain]?.rules = []
        case .addRule(_, let chain, let rule):
            guard table.chains[chain] != nil else { throw missing("chain \(chain)") }
            table.chains[chain]?.rules.append(LiveRule(rule))
        case .deleteRule(_, let chain, let handle):
            guard let index = table.chains[chain]?.rules.firstIndex(where: { $0.rule.handle == handle })
            else {
                throw missing("rule with handle \(handle) in \(chain)")
            }
            table.chains[chain]?.rules.remove(at: index)
        case .addSet(_, let set): table.add(set, now: now)
        case .deleteSet(_, let set):
            guard table.sets[set] != nil else { throw missing("set \(set)") }
            table.removeSet(set)
        case .flushSet(_, let set):
            guard table.sets[set] != nil else { throw missing("set \(set)") }
            table.sets[set]?.flush()
        case .addElements(_, let name, let elements):
            guard let set = table.sets[name] else { throw missing("set \(name)") }
            for element in elements {
                if let old = set.exact(element, now: now), old.data != element.data {
                    throw Refusal(
                        operation: operation, reason: "EEXIST: \(element.key) is there with other data")
                }
            }
            let fresh = elements.filter { set.exact($0, now: now) == nil }
            table.sets[name]?.insert(fresh, now: now)
        case .deleteElements(_, let name, let elements):
            guard let set = table.sets[name] else { throw missing("set \(name)") }
            for element in elements where set.exact(element, now: now) == nil {
                throw missing("element \(element.key) in \(name)")
            }
            table.sets[name]?.remove(elements)
        case .destroyElements(_, let name, let elements):
            guard table.sets[name] != nil else { throw missing("set \(name)") }
            table.sets[name]?.remove(elements)
        }
    }

    /// What the kernel checks at the end of a transaction, or keeps by counting uses.
    private func checkReferences(after operations: [NFTables.Operation]) throws(Refusal) {
        guard let last = operations.last else { return }
        for id in Set(operations.map(\.table)) {
            guard let table = tables[id] else { continue }
            for chain in table.chains.values {
                for expression in chain.rules.lazy.flatMap(\.rule.expressions) {
                    if let set = expression.boundSet, table.sets[set] == nil {
                        throw Refusal(
                            operation: last, reason: "EBUSY: chain \(chain.definition.name) uses set \(set)")
                    }
                    if case .verdict(let verdict) = expression, let target = verdict.target,
                        table.chains[target] == nil
                    {
                        throw Refusal(
                            operation: last,
                            reason: "EBUSY: chain \(chain.definition.name) leads to chain \(target)")
                    }
                }
            }
            for (name, set) in table.sets where set.definition.data == .verdict {
                for element in set.elements(now: now) {
                    guard case .verdict(let verdict)? = element.data, let target = verdict.target,
                        table.chains[target] == nil
                    else { continue }
                    throw Refusal(operation: last, reason: "EBUSY: map \(name) leads to chain \(target)")
                }
            }
        }
    }
}

extension LiveSet {
    /// The element with this very key (and, in an interval set, this kind of border).
    func exact(_ element: Element, now: UInt64) -> Element? {
        guard definition.flags.contains(.interval) else { return find(element.key, now: now) }
        return elements(now: now).first { $0.key == element.key && $0.isIntervalEnd == element.isIntervalEnd }
    }
}
