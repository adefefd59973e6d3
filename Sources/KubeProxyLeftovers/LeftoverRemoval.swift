import Glibc
import IPAddressing
public import NFTables
public import NFTablesKernel

/// What a removal did.
public struct LeftoverRemoval: Sendable, Equatable {
    /// What was there and is gone.
    public internal(set) var removed = Leftovers()
    /// Chains of kube-proxy's that stay, because rules of others lead to them.
    public internal(set) var kept: [TableID: [String]] = [:]
}

extension LeftoverRemoval {
    mutating func add(_ removal: ChainRemoval, _ table: TableID) {
        if !removal.kept.isEmpty { kept[table, default: []] += removal.kept }
    }
}

extension Leftovers {
    /// How often it is begun anew when somebody changes what is to be removed.
    private static let attempts = 3

    /// Removes what kube-proxy left in nf_tables, as one transaction, and then what it left in each table of legacy
    /// iptables, which is replaced as a whole.
    ///
    /// Rules of others, the kubelet's chains and iptables' own tables and built-in chains stay.
    public static func remove(_ connection: Connection) throws(KernelError) -> LeftoverRemoval {
        let found = try find(connection)
        var result = try retrying { () throws(KernelError) in try removeOnce(connection) }
        for family in families {
            let legacy = try retrying { () throws(KernelError) in try LegacyTables.remove(family) }
            for (table, removal) in legacy {
                result.add(removal, table)
                if !removal.chains.isEmpty { result.removed.legacyChains[table] = removal.chains }
            }
        }
        result.removed.guardedForwarding = found.guardedForwarding.filter { family in
            [result.removed.chains, result.removed.legacyChains].contains {
                $0[TableID(family, "filter")]?.contains("KUBE-FORWARD") == true
            }
        }
        return result
    }

    private static func retrying<Result>(
        _ body: () throws(KernelError) -> Result
    ) throws(KernelError) -> Result {
        var attempt = 1
        while true {
            do throws(KernelError) {
                return try body()
            } catch {
                // A handle or a chain of which somebody else disposed, a chain that got a rule since, or a legacy table
                // that has another number of rules.
                let isRace = [ENOENT, EBUSY, EAGAIN].contains(error.errno)
                guard isRace, attempt < attempts else { throw error }
                attempt += 1
            }
        }
    }

    private static func removeOnce(_ connection: Connection) throws(KernelError) -> LeftoverRemoval {
        let found = try find(connection)
        var result = LeftoverRemoval()
        var operations = found.tables.map { Operation.deleteTable($0) }
        result.removed.tables = found.tables
        for (table, chains) in found.chains.sorted(by: { $0.key < $1.key }) {
            let own = Set(chains)
            // Most rules are those of kube-proxy's own chains. They count only where one of these has to stay.
            var links = try connection.links(in: table) { own.contains($1) && !own.contains($0) }
            var removal = ChainRemoval(table: table.name, present: chains, links: links)
            if !removal.kept.isEmpty {
                links = try connection.links(in: table) { own.contains($1) }
                removal = ChainRemoval(table: table.name, present: chains, links: links)
            }
            result.add(removal, table)
            operations += removal.operations(table)
            if !removal.chains.isEmpty { result.removed.chains[table] = removal.chains }
        }
        try connection.commit(operations)
        return result
    }

    /// The ClientIP affinity that the nftables mode's tables hold.
    public static func affinity(_ connection: Connection) throws(KernelError) -> HeldAffinity {
        var result = HeldAffinity()
        for family in AddressFamily.allCases {
            let table = TableID(family == .ipv4 ? .ip : .ip6, Self.table)
            var sets: [(name: String, elements: [Element])] = []
            for name in try connection.setNames(in: table) where AffinitySetName.isOne(name) {
                do throws(KernelError) {
                    sets.append((name, try connection.elements(of: name, in: table)))
                } catch {
                    // kube-proxy still runs, and the endpoint left.
                    guard case .read(_, ENOENT) = error else { throw error }
                }
            }
            result.add(sets, family)
        }
        return result
    }
}
