import NFTables

/// Changes of one table, gathered in any order and put into the one in which the kernel takes them.
struct Changeset {
    let table: TableID
    var newSets: [NamedSet] = []
    var newChains: [Chain] = []
    /// By set: elements that leave, or that come back with other data.
    var removedElements: [String: [Element]] = [:]
    /// Chains that get other rules.
    var refilledChains: [Chain] = []
    var flushedSets: [String] = []
    var addedElements: [String: [Element]] = [:]
    var deadChains: [String] = []
    var deadSets: [String] = []
    var affinity: [AffinityChange] = []

    init(_ table: TableID) { self.table = table }

    /// The operations, in an order that
    /// - makes what is named before it is named, and unmakes it after,
    /// - takes elements out before others come in under the same keys,
    /// - puts rules before elements: a rule that binds a map walks all of its elements, an empty map has none,
    /// - brings in verdicts last: each new verdict makes the kernel check the chains behind it.
    var operations: [Operation] {
        var result: [Operation] = []
        result += newSets.map { .addSet(table, $0) }
        result += newChains.map { .addChain(table, $0) }
        for set in removedElements.keys.sorted() {
            if let elements = removedElements[set], !elements.isEmpty {
                result.append(.deleteElements(table, set: set, elements))
            }
        }
        for chain in refilledChains {
            result.append(.flushChain(table, chain: chain.name))
            result += chain.rules.map { .addRule(table, chain: chain.name, $0) }
        }
        for chain in newChains { result += chain.rules.map { .addRule(table, chain: chain.name, $0) } }
        result += flushedSets.map { .flushSet(table, set: $0) }
        let verdicts = [
            ObjectNames.masquerade, ObjectNames.masqueradeNodePorts, ObjectNames.affinity,
            ObjectNames.affinityNodePorts, ObjectNames.services, ObjectNames.nodePorts,
        ]
        let names = addedElements.keys.filter { !verdicts.contains($0) }.sorted() + verdicts
        for set in names {
            if let elements = addedElements[set], !elements.isEmpty {
                result.append(.addElements(table, set: set, elements))
            }
        }
        result += deadChains.map { .deleteChain(table, chain: $0) }
        result += deadSets.map { .deleteSet(table, set: $0) }
        return result
    }

    /// What leads from one fragment to the other; shared elements are the caller's.
    mutating func add(from old: Fragment, to new: Fragment) {
        let oldSets = Dictionary(old.sets.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let newSetNames = Set(new.sets.map(\.name))
        newSets += new.sets.filter { oldSets[$0.name] == nil }
        deadSets += old.sets.map(\.name).filter { !newSetNames.contains($0) }
        let oldChains = Dictionary(old.chains.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let newChainNames = Set(new.chains.map(\.name))
        for chain in new.chains {
            if let before = oldChains[chain.name] {
                if before.rules != chain.rules { refilledChains.append(chain) }
            } else {
                newChains.append(chain)
            }
        }
        deadChains += old.chains.map(\.name).filter { !newChainNames.contains($0) }
        let intervals = Set((old.sets + new.sets).filter { $0.flags.contains(.interval) }.map(\.name))
        for (set, elements) in new.elements {
            let before = old.elements[set] ?? []
            if intervals.contains(set) {
                replaceElements(of: set, from: before, to: elements)
            } else {
                addElements(of: set, from: before, to: elements)
            }
        }
        for (set, elements) in old.elements where new.elements[set] == nil {
            if !intervals.contains(set) {
                removedElements[set, default: []] += elements
            } else if newSetNames.contains(set) {
                flushedSets.append(set)
            }
        }
    }

    /// Changes an interval set as a whole: its starts and ends lie between each other, and the kernel takes none that
    /// lies inside an interval which stands for that moment.
    mutating func replaceElements(of set: String, from old: [Element], to new: [Element]) {
        guard old != new else { return }
        if !old.isEmpty { flushedSets.append(set) }
        addedElements[set] = new
    }

    /// What leads from one list of a set's elements to the other; elements are told apart by their keys.
    mutating func addElements(of set: String, from old: [Element], to new: [Element]) {
        guard !old.isEmpty else {
            if !new.isEmpty { addedElements[set, default: []] += new }
            return
        }
        guard old != new else { return }
        var left = Dictionary(old.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        for element in new {
            guard let before = left.removeValue(forKey: element.key) else {
                addedElements[set, default: []].append(element)
                continue
            }
            if before != element {
                removedElements[set, default: []].append(before)
                addedElements[set, default: []].append(element)
            }
        }
        if !left.isEmpty { removedElements[set, default: []] += old.filter { left[$0.key] != nil } }
    }
}
