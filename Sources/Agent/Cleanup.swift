public import NFTables
public import NFTablesKernel
import Ruleset

/// Removes what Sluice made and nothing else.
public enum Cleanup {
    /// - Returns: the tables that were there and are gone.
    /// - Throws: `KernelError.owned` where one belongs to a Sluice that still runs, and nothing is removed.
    public static func run(_ connection: Connection) throws(KernelError) -> [TableID] {
        let present = try connection.tables().filter(ObjectNames.tables.contains).sorted()
        for id in present { try connection.checkOwner(of: id) }
        try connection.commit(present.map { .deleteTable($0) })
        return present
    }
}
