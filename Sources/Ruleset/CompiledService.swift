import IPAddressing
import NFTables
import ServiceModel

/// A pool as it is programmed: its endpoints in the order of their slots.
struct CompiledPool: Hashable, Sendable {
    /// What the names of its objects end in.
    let identity: String
    let transport: TransportProtocol
    /// At least one; more than one only with a region.
    var members: [PoolEndpoint]
    /// Where the slots are; nil for a single endpoint.
    var region: SlotRegion?
    /// Seconds; nil for no affinity.
    var affinityTimeout: UInt32?

    /// The ports that the endpoints listen on: nearly always one.
    var targetPorts: [UInt16] { Set(members.map(\.target.port)).sorted() }

    /// The addresses that clients may keep, by target port.
    func addresses(port: UInt16) -> Set<IPAddress> {
        Set(members.lazy.filter { $0.target.port == port }.map(\.target.address))
    }
}

/// What a virtual address and port leads to.
enum CompiledTarget: Hashable, Sendable {
    /// One endpoint without affinity: an element of the data map, no chain, no rule.
    case direct(PoolEndpoint)
    case pool(CompiledPool)
    case refuse
    case drop
}

/// One service port in one family, with all that was decided for it.
struct CompiledPort: Hashable, Sendable {
    let id: ServicePortID
    let family: AddressFamily
    let addresses: [IPAddress]
    let port: UInt16
    var target: CompiledTarget
}

/// One Service, with all that was decided for it. What its objects in the kernel are follows from this value alone.
struct CompiledService: Hashable, Sendable {
    var clusterIPs: [IPAddress] = []
    var ports: [CompiledPort] = []

    func pool(_ identity: String, _ family: AddressFamily) -> CompiledPool? {
        for port in ports where port.family == family {
            if case .pool(let pool) = port.target, pool.identity == identity { return pool }
        }
        return nil
    }
}

/// The order of a pool's slots.
enum SlotOrder {
    /// Survivors keep their slots, the others fill the holes.
    ///
    /// New ones come in an order that differs from node to node: a rule that is made anew starts counting at its
    /// first slot, and all nodes make it anew at about the same moment.
    ///
    /// - Parameter endpoints: each address and port once.
    static func arrange(
        _ endpoints: [PoolEndpoint], before: [AddressPort], seed: UInt64
    ) -> [PoolEndpoint] {
        // A cold start arranges all endpoints of the cluster so.
        guard !before.isEmpty else { return shuffled(endpoints, seed) }
        var waiting = Dictionary(endpoints.map { ($0.target, $0) }, uniquingKeysWith: { first, _ in first })
        var slots = [PoolEndpoint?](repeating: nil, count: waiting.count)
        for (index, target) in before.prefix(slots.count).enumerated() {
            slots[index] = waiting.removeValue(forKey: target)
        }
        guard !waiting.isEmpty else { return slots.compactMap { $0 } }
        var next = shuffled(waiting.values, seed).makeIterator()
        for index in slots.indices where slots[index] == nil { slots[index] = next.next() }
        return slots.compactMap { $0 }
    }

    private static func shuffled(_ endpoints: some Sequence<PoolEndpoint>, _ seed: UInt64) -> [PoolEndpoint] {
        endpoints.map { (rank: rank($0.target, seed), endpoint: $0) }
            .sorted { $0.rank != $1.rank ? $0.rank < $1.rank : $0.endpoint.target < $1.endpoint.target }
            .map(\.endpoint)
    }

    private static func rank(_ target: AddressPort, _ seed: UInt64) -> UInt64 {
        var hash = StableHash()
        hash.combine(seed)
        hash.combine(target.address.high)
        hash.combine(target.address.low)
        hash.combine(UInt64(target.port))
        return hash.value
    }
}
