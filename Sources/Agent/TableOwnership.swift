import NFTables
public import NFTablesKernel
import Ruleset

/// Tables that a program which has ended left.
public enum TableOwnership {
    /// Takes over what is nobody's and of the known layout, as it is: it may be long until anything can be compared, and
    /// nobody shall change it meanwhile. Where that can't be done, the first comparison sees to it.
    public static func takeOver(_ connection: Connection) throws(KernelError) {
        guard connection.canOwnTables else { return }
        var operations: [Operation] = []
        for id in ObjectNames.tables {
            guard let table = try connection.table(id, only: TableScope()), table.flags == .persist,
                table.comment == ObjectNames.layout
            else { continue }
            operations.append(.addTable(id, comment: table.comment, flags: .owned))
        }
        try connection.commit(operations)
    }
}
