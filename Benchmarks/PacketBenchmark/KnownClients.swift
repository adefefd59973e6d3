import ClusterGenerator
import Glibc
import IPAddressing
import NFTables
import NFTablesKernel
import TestNetwork

/// Makes clients known to a service with affinity before they connect, each with one of its endpoints in turn.
struct KnownClients {
    let port: ServicePort

    /// What the kernel's module `recent` remembers of a list (its parameter `ip_list_tot`).
    private static let recentListLength = 100

    private var timeout: UInt32 { port.affinityTimeout ?? 0 }

    /// The clients of an endpoint.
    private func clients(of endpoint: Int) -> StrideTo<Int> {
        stride(from: endpoint, to: Clients.count, by: port.endpoints.count)
    }

    /// - Returns: how many are known afterwards.
    func fill(_ arena: Arena) throws -> Int {
        switch arena.opponent {
        case .sluice: return try fillSluice(arena)
        case .serviceChains: return try fillServiceChains(arena)
        case .iptables: return try fillRecentLists(arena)
        default: return 0
        }
    }

    private func fillSluice(_ arena: Arena) throws -> Int {
        guard let connection = arena.kept.lazy.compactMap({ $0 as? Connection }).first else { return 0 }
        let table = TableID(.ip, "sluice")
        let maps = try connection.table(table)?.sets.keys.filter {
            $0.hasPrefix("affinity-pool-") && $0.hasSuffix("/\(port.endpoints[0].port)")
                && $0.contains("/\(port.transport)/")
        }
        guard let map = maps?.first, maps?.count == 1 else {
            throw RuleLoadingError(description: "Sluice's table has no single affinity map for \(port.title)")
        }
        let elements = (0..<Clients.count).map { client in
            Element(
                RegisterValue(Clients.address(client).bytes),
                data: .value(RegisterValue(port.endpoints[client % port.endpoints.count].address.bytes)),
                timeout: UInt64(timeout) * 1_000)
        }
        try connection.commit([.addElements(table, set: map, elements)])
        return elements.count
    }

    private func fillServiceChains(_ arena: Arena) throws -> Int {
        var script = ""
        for endpoint in port.endpoints.indices {
            script += ServiceChainRules.elements(
                clients(of: endpoint).map { "\(Clients.address($0))" },
                of: "affinity-\(RuleNames.endpoint(port, endpoint))")
        }
        try arena.node.loadRules(script)
        return Clients.count
    }

    private func fillRecentLists(_ arena: Arena) throws -> Int {
        try arena.node.run {
            var known = 0
            for endpoint in port.endpoints.indices {
                let path = "/proc/thread-self/net/xt_recent/\(RuleNames.iptablesEndpoint(port, endpoint))"
                for client in clients(of: endpoint).prefix(Self.recentListLength) {
                    // The module takes one address from each opening of the file.
                    let file = open(path, O_WRONLY | O_CLOEXEC)
                    guard file >= 0 else { throw LoadError("open \(path)") }
                    defer { close(file) }
                    let line = Array("+\(Clients.address(client))\n".utf8)
                    guard write(file, line, line.count) == line.count else {
                        throw LoadError("write to \(path)")
                    }
                    known += 1
                }
            }
            return known
        }
    }
}
