import NFTables

/// What leads from one table to another.
enum TableDiff {
    /// - Parameters:
    ///   - actual: what the kernel holds; nil when it has no such table.
    ///   - wanted: what it shall hold. The elements of dynamic sets are the kernel's own and are let alone.
    ///   - order: names of chains that others jump to or that come last, in the order to make them; all other chains
    ///     are made before them.
    ///   - isReplacing: whether a table that stands goes as a whole, whatever is right in it.
    static func difference(
        from actual: Table?, to wanted: Table, order: [String] = [], isReplacing: Bool = false
    ) -> [Operation] {
        guard let actual else { return creation(of: wanted, order: order) }
        guard !isReplacing, !replaces(actual, by: wanted) else {
            return [.deleteTable(wanted.id)] + creation(of: wanted, order: order)
        }
        // Its owner has ended: taken over as it is.
        let takeover: [Operation] =
            wanted.flags.contains(.owner) && !actual.flags.contains(.owner)
            ? [.addTable(wanted.id, comment: wanted.comment, flags: wanted.flags)] : []
        var changes = Changeset(wanted.id)
        changes.newSets = sorted(wanted.sets.values.filter { actual.sets[$0.name] == nil })
        // An anonymous set goes with the rule that somebody put it into.
        changes.deadSets = actual.sets.values
            .filter { wanted.sets[$0.name] == nil && !$0.flags.contains(.anonymous) }.map(\.name).sorted()
        changes.newChains = sorted(wanted.chains.values.filter { actual.chains[$0.name] == nil }, order)
        changes.deadChains = actual.chains.keys.filter { wanted.chains[$0] == nil }.sorted()
        changes.refilledChains = sorted(
            wanted.chains.values.filter { chain in
                actual.chains[chain.name].map { $0.rules != chain.rules } ?? false
            }, order)
        // A map that goes takes its verdicts along, but only then, when the chains they lead to are to be gone.
        changes.flushedSets += changes.deadSets.filter { actual.sets[$0]?.data == .verdict }
        for set in wanted.sets.values where !set.flags.contains(.dynamic) {
            let before = actual.sets[set.name] == nil ? [] : comparable(actual.elements[set.name] ?? [], set)
            let after = wanted.elements[set.name] ?? []
            if set.flags.contains(.interval) {
                // Starts and ends lie between each other: changed as a whole.
                guard before != after.sorted(by: intervalOrder) else { continue }
                if !before.isEmpty { changes.flushedSets.append(set.name) }
                changes.addedElements[set.name] = after
            } else {
                changes.addElements(of: set.name, from: before, to: after)
            }
        }
        // Dead chains may jump to each other and verdicts of kept sets to them: all such verdicts go first, and so do
        // the dead chains' own rules.
        return takeover + changes.operationsWithDeadChainsEmptied
    }

    /// Whether a table has to go as a whole for the wanted one to come, in the same transaction.
    ///
    /// It does where it is of another layout, and where something can't be changed where it stands: a set's type, a
    /// chain's hook, a table that would go with its owner. Nor is anything understood of one that is switched off, or
    /// that holds things which Sluice has none of.
    static func replaces(_ actual: Table, by wanted: Table) -> Bool {
        guard actual.comment == wanted.comment, actual.others.isEmpty, !actual.flags.contains(.dormant),
            actual.flags.isSubset(of: [.owner, .persist]),
            actual.flags.contains(.persist) || !wanted.flags.contains(.persist)
        else { return true }
        return !canChange(actual, into: wanted)
    }

    /// A table from nothing.
    private static func creation(of table: Table, order: [String]) -> [Operation] {
        var changes = Changeset(table.id)
        changes.newSets = sorted(Array(table.sets.values))
        changes.newChains = sorted(Array(table.chains.values), order)
        changes.addedElements = table.elements
        return [.addTable(table.id, comment: table.comment, flags: table.flags)] + changes.operations
    }

    private static func canChange(_ actual: Table, into wanted: Table) -> Bool {
        for (name, set) in wanted.sets {
            if let before = actual.sets[name], before != set { return false }
        }
        for (name, chain) in wanted.chains {
            if let before = actual.chains[name], before.base != chain.base || before.comment != chain.comment
            {
                return false
            }
        }
        return true
    }

    private static func sorted(_ sets: [NamedSet]) -> [NamedSet] { sets.sorted { $0.name < $1.name } }

    private static func sorted(_ chains: [Chain], _ order: [String]) -> [Chain] {
        let rank = Dictionary(order.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        var (others, ranked) = ([Chain](), [(rank: Int, chain: Chain)]())
        for chain in chains {
            if let rank = rank[chain.name] { ranked.append((rank, chain)) } else { others.append(chain) }
        }
        return others.sorted { $0.name < $1.name } + ranked.sorted { $0.rank < $1.rank }.map(\.chain)
    }

    /// The elements as they compare: an interval set in a fixed order, without the end of all that the kernel or nft
    /// put at its bottom.
    private static func comparable(_ elements: [Element], _ set: NamedSet) -> [Element] {
        guard set.flags.contains(.interval) else { return elements }
        return elements.filter { element in
            !(element.isIntervalEnd && element.key.bytes.allSatisfy { $0 == 0 })
        }.sorted(by: intervalOrder)
    }

    private static func intervalOrder(_ a: Element, _ b: Element) -> Bool {
        (a.key, a.isIntervalEnd ? 0 : 1) < (b.key, b.isIntervalEnd ? 0 : 1)
    }
}

extension Changeset {
    /// Like `operations`, for chains of unknown content: their rules go before any chain does.
    var operationsWithDeadChainsEmptied: [Operation] {
        var emptied = self
        emptied.refilledChains = deadChains.map { Chain($0) } + refilledChains
        return emptied.operations
    }
}
