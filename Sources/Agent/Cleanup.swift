import Glibc
public import NFTables
public import NFTablesKernel
import Ruleset

/// Removes what Sluice made and nothing else.
public enum Cleanup {
    /// - Returns: the tables that were there and are gone, and whether whoever made them may make them again: their like
    ///   doesn't belong to anybody.
    /// - Throws: `KernelError.owned` where one belongs to a Sluice that still runs, or one is seen to run that would make
    ///   them again, and nothing is removed.
    public static func run(
        _ connection: Connection
    ) throws(KernelError) -> (tables: [TableID], mayComeBack: Bool) {
        var present: [TableID] = []
        var mayComeBack = false
        for id in ObjectNames.tables.sorted() {
            guard let table = try connection.table(id, only: TableScope()) else { continue }
            try connection.checkOwner(of: id)
            present.append(id)
            mayComeBack = mayComeBack || !table.flags.contains(.persist)
        }
        if mayComeBack { try connection.checkRival() }
        try connection.commit(present.map { .deleteTable($0) })
        return (present, mayComeBack)
    }

    /// How long it is watched whether somebody makes them again. A Sluice that does may have waited a second.
    private static let attention = Duration.seconds(3)

    /// Whether tables that were removed come back: from a container, whoever makes them can't be seen.
    public static func areBack(_ connection: Connection) -> Bool {
        let end = ContinuousClock.now + attention
        repeat {
            usleep(50_000)
            if let tables = try? connection.tables(), tables.contains(where: ObjectNames.tables.contains) {
                return true
            }
        } while ContinuousClock.now < end
        return false
    }
}
