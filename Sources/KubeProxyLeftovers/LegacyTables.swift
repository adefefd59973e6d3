import IPAddressing
import NFTables
import NFTablesKernel
import XTables

/// kube-proxy's chains in the tables of legacy iptables.
enum LegacyTables {
    /// The tables that may hold any, as far as somebody has used them.
    static func read(_ family: Family) throws(KernelError) -> [XTable] {
        let address: AddressFamily = family == .ip ? .ipv4 : .ipv6
        let names = Set(XTablesSocket.names(address)).intersection(IPTablesChains.tables).sorted()
        guard !names.isEmpty else { return [] }
        let socket = try XTablesSocket(address)
        var result: [XTable] = []
        for name in names { result.append(try socket.table(name)) }
        return result
    }

    /// Removes kube-proxy's chains and what leads to them, a table at a time.
    static func remove(_ family: Family) throws(KernelError) -> [(table: TableID, removal: ChainRemoval)] {
        let found = try read(family)
        let heads = found.flatMap { table in
            table.chains.map { ChainHead(table: TableID(family, table.name), name: $0) }
        }
        let own = IPTablesChains.own(heads)
        guard !own.isEmpty else { return [] }
        let lock = try XTablesLock.take()
        defer { withExtendedLifetime(lock) {} }
        let socket = try XTablesSocket(family == .ip ? .ipv4 : .ipv6)
        var result: [(table: TableID, removal: ChainRemoval)] = []
        for (id, _) in own.sorted(by: { $0.key < $1.key }) {
            // Again, now that nobody changes it.
            let table = try socket.table(id.name)
            let removal = ChainRemoval(
                table: id.name, present: table.chains.filter { IPTablesChains.contains($0, in: id.name) },
                links: table.links.map {
                    ChainLink(chain: $0.chain, handle: UInt64($0.rule), target: $0.target)
                })
            let (replacement, origins) = try table.removing(
                chains: Set(removal.chains), rules: Set(removal.jumps.map { Int($0.handle) }))
            try socket.replace(table, by: replacement, origins: origins)
            result.append((id, removal))
        }
        return result
    }
}
