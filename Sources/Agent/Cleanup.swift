import Glibc
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

    /// How long it is watched whether somebody makes them again.
    private static let attention = Duration.milliseconds(600)

    /// Whether tables that were removed come back: a Sluice that doesn't own its tables runs, and puts right what was done
    /// to them.
    public static func areBack(_ connection: Connection) throws(KernelError) -> Bool {
        let end = ContinuousClock.now + attention
        repeat {
            usleep(50_000)
            if try !connection.tables().filter(ObjectNames.tables.contains).isEmpty { return true }
        } while ContinuousClock.now < end
        return false
    }
}
