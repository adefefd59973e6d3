/// One change inside a transaction, named as in nft's grammar.
public enum Operation: Sendable, Hashable {
    /// One that is there with the same flags stays as it is. With `TableFlags.owned`, one that an ended owner left is taken
    /// over.
    case addTable(TableID, comment: String?, flags: TableFlags = [])
    /// Fails when the table isn't there.
    case deleteTable(TableID)
    /// Adds the chain without its rules.
    case addChain(TableID, Chain)
    case deleteChain(TableID, chain: String)
    /// Removes all rules of a chain.
    case flushChain(TableID, chain: String)
    /// Appends a rule.
    case addRule(TableID, chain: String, Rule)
    case deleteRule(TableID, chain: String, handle: UInt64)
    /// Adds a set or map without elements.
    case addSet(TableID, NamedSet)
    case deleteSet(TableID, set: String)
    /// Removes all elements of a set.
    case flushSet(TableID, set: String)
    /// Adds elements; one that is there with other data fails the transaction.
    case addElements(TableID, set: String, [Element])
    /// Removes elements; one that isn't there fails the transaction.
    case deleteElements(TableID, set: String, [Element])
    /// Removes those of the elements that are there (kernel 6.3).
    case destroyElements(TableID, set: String, [Element])

    public var table: TableID {
        switch self {
        case .addTable(let table, _, _), .deleteTable(let table), .addChain(let table, _),
            .deleteChain(let table, _), .flushChain(let table, _), .addRule(let table, _, _),
            .deleteRule(let table, _, _), .addSet(let table, _), .deleteSet(let table, _),
            .flushSet(let table, _), .addElements(let table, _, _), .deleteElements(let table, _, _),
            .destroyElements(let table, _, _):
            table
        }
    }
}

extension Operation: CustomStringConvertible {
    /// Operation and object, for error messages: `add element ip sluice services (3 elements)`.
    public var description: String {
        switch self {
        case .addTable(let table, _, _): "add table \(table)"
        case .deleteTable(let table): "delete table \(table)"
        case .addChain(let table, let chain): "add chain \(table) \(chain.name)"
        case .deleteChain(let table, let chain): "delete chain \(table) \(chain)"
        case .flushChain(let table, let chain): "flush chain \(table) \(chain)"
        case .addRule(let table, let chain, _): "add rule \(table) \(chain)"
        case .deleteRule(let table, let chain, let handle):
            "delete rule \(table) \(chain) handle \(handle)"
        case .addSet(let table, let set): "add \(set.isMap ? "map" : "set") \(table) \(set.name)"
        case .deleteSet(let table, let set): "delete set \(table) \(set)"
        case .flushSet(let table, let set): "flush set \(table) \(set)"
        case .addElements(let table, let set, let elements):
            "add element \(table) \(set) (\(elements.count) elements)"
        case .deleteElements(let table, let set, let elements):
            "delete element \(table) \(set) (\(elements.count) elements)"
        case .destroyElements(let table, let set, let elements):
            "destroy element \(table) \(set) (\(elements.count) elements)"
        }
    }
}
