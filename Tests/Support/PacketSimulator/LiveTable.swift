import NFTables

/// A set as packets and transactions change it.
struct LiveSet: Sendable {
    struct Entry: Sendable {
        var element: Element
        /// Milliseconds of the simulator's clock.
        var expires: UInt64?
    }

    let definition: NamedSet
    private var entries: [RegisterValue: Entry] = [:]
    /// Of an interval set, sorted; ends before beginnings at the same key.
    private var borders: [Element] = []

    init(_ definition: NamedSet, _ elements: [Element], now: UInt64) {
        self.definition = definition
        insert(elements, now: now)
    }

    private var isInterval: Bool { definition.flags.contains(.interval) }

    func elements(now: UInt64) -> [Element] {
        if isInterval { return borders }
        return entries.values.filter { $0.expires.map { $0 > now } ?? true }.map { entry in
            var element = entry.element
            if let expires = entry.expires { element.expiration = expires - now }
            return element
        }
    }

    mutating func insert(_ elements: [Element], now: UInt64) {
        if isInterval {
            borders += elements
            borders.sort { ($0.key, $0.isIntervalEnd ? 0 : 1) < ($1.key, $1.isIntervalEnd ? 0 : 1) }
            return
        }
        for element in elements {
            let lifetime = element.expiration ?? element.timeout ?? definition.timeout
            entries[element.key] = Entry(element: element, expires: lifetime.map { now + $0 })
        }
    }

    mutating func remove(_ elements: [Element]) {
        for element in elements {
            if isInterval {
                borders.removeAll { $0.key == element.key && $0.isIntervalEnd == element.isIntervalEnd }
            } else {
                entries[element.key] = nil
            }
        }
    }

    mutating func flush() {
        entries = [:]
        borders = []
    }

    func find(_ key: RegisterValue, now: UInt64) -> Element? {
        if isInterval {
            guard let last = borders.last(where: { $0.key <= key }), !last.isIntervalEnd else { return nil }
            return last
        }
        guard let entry = entries[key], entry.expires.map({ $0 > now }) ?? true else { return nil }
        return entry.element
    }

    /// `nft_dynset_eval`: false when the set is full, or a deleted element wasn't there.
    ///
    /// An update of an element that is there starts its timeout again and leaves its data alone.
    mutating func change(
        _ operation: Expression.DynamicOperation, _ key: RegisterValue, _ data: RegisterValue?,
        timeout: UInt64?,
        now: UInt64
    ) -> Bool {
        let lifetime = timeout ?? definition.timeout
        if find(key, now: now) != nil {
            switch operation {
            case .add: break
            case .update: entries[key]?.expires = lifetime.map { now + $0 }
            case .delete: entries[key] = nil
            }
            return true
        }
        guard operation != .delete else { return false }
        entries[key] = nil
        if let size = definition.size, entries.count >= Int(size) {
            entries = entries.filter { $0.value.expires.map { $0 > now } ?? true }
            guard entries.count < Int(size) else { return false }
        }
        let element = Element(key, data: data.map { .value($0) }, timeout: timeout)
        entries[key] = Entry(element: element, expires: lifetime.map { now + $0 })
        return true
    }
}

/// A rule in the kernel, with the counters of its `numgen` expressions.
struct LiveRule: Sendable {
    let rule: Rule
    /// By the position of the expression.
    var counters: [Int: UInt32] = [:]

    init(_ rule: Rule) { self.rule = rule }
}

struct LiveChain: Sendable {
    var definition: Chain
    var rules: [LiveRule]

    init(_ chain: Chain) {
        definition = chain
        definition.rules = []
        rules = chain.rules.map(LiveRule.init)
    }
}

/// A table in the kernel.
struct LiveTable: Sendable {
    /// Without chains and elements: what rules are printed with.
    private(set) var frame: Table
    var sets: [String: LiveSet] = [:]
    var chains: [String: LiveChain] = [:]
    /// The names of those with a hook, among thousands without.
    private(set) var baseChains: Set<String> = []

    init(_ table: Table, now: UInt64) {
        frame = Table(table.id, comment: table.comment, flags: table.flags)
        update(table, now: now)
    }

    /// Takes over what the table says as a transaction would that flushes and fills every chain that differs:
    /// rules that stay keep their counters, sets that packets write keep their elements.
    mutating func update(_ table: Table, now: UInt64) {
        frame.sets = table.sets
        for (name, chain) in table.chains {
            var bare = chain
            bare.rules = []
            if let live = chains[name], live.rules.map(\.rule) == chain.rules {
                chains[name]?.definition = bare
            } else {
                chains[name] = LiveChain(chain)
            }
        }
        chains = chains.filter { table.chains[$0.key] != nil }
        baseChains = Set(chains.values.filter { $0.definition.base != nil }.map(\.definition.name))
        for (name, set) in table.sets {
            let elements = table.elements[name] ?? []
            if set.flags.contains(.dynamic), let live = sets[name], live.definition == set {
                sets[name]?.insert(elements, now: now)
            } else {
                sets[name] = LiveSet(set, elements, now: now)
            }
        }
        sets = sets.filter { table.sets[$0.key] != nil }
    }

    /// Adds the chain without its rules, unless it is there.
    mutating func add(_ chain: Chain) {
        guard chains[chain.name] == nil else { return }
        var bare = chain
        bare.rules = []
        chains[chain.name] = LiveChain(bare)
        if chain.base != nil { baseChains.insert(chain.name) }
    }

    /// False when there is none.
    mutating func removeChain(_ name: String) -> Bool {
        baseChains.remove(name)
        return chains.removeValue(forKey: name) != nil
    }

    mutating func add(_ set: NamedSet, now: UInt64) {
        guard sets[set.name] == nil else { return }
        frame.sets[set.name] = set
        sets[set.name] = LiveSet(set, [], now: now)
    }

    mutating func removeSet(_ name: String) {
        frame.sets[name] = nil
        sets[name] = nil
    }

    /// The table as a dump would show it.
    func snapshot(now: UInt64) -> Table {
        var table = frame
        for (name, chain) in chains {
            table.chains[name] = chain.definition
            table.chains[name]?.rules = chain.rules.map(\.rule)
        }
        for (name, set) in sets { table.elements[name] = set.elements(now: now) }
        return table
    }
}
