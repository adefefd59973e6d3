import NFTables

/// Tables as they compare, however they came to be.
enum TableComparison {
    /// Elements in a fixed order; nothing of what packets bring in or the kernel numbers; without the end of all that
    /// nft puts at the bottom of an interval set.
    static func comparable(_ table: Table) -> Table {
        var table = table
        (table.flags, table.owner) = ([], nil)
        for (name, set) in table.sets {
            let elements = set.flags.contains(.dynamic) ? [] : table.elements[name] ?? []
            let kept = elements.filter { element in
                !(element.isIntervalEnd && element.key.bytes.allSatisfy { $0 == 0 })
            }
            table.elements[name] = kept.sorted {
                ($0.key, $0.isIntervalEnd ? 0 : 1) < ($1.key, $1.isIntervalEnd ? 0 : 1)
            }
        }
        return table
    }
}
