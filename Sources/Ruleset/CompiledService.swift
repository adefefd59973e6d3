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
    static func arrange(
        _ endpoints: [PoolEndpoint], before: [AddressPort], seed: UInt64
    ) -> [PoolEndpoint] {
        var waiting = Dictionary(endpoints.map { ($0.target, $0) }, uniquingKeysWith: { first, _ in first })
        var slots = [PoolEndpoint?](repeating: nil, count: waiting.count)
        for (index, target) in before.prefix(slots.count).enumerated() {
            slots[index] = waiting.removeValue(forKey: target)
        }
        guard !waiting.isEmpty else { return slots.compactMap { $0 } }
        let ordered = waiting.values.map { (rank($0.target, seed), $0) }.sorted {
            ($0.0, $0.1.target) < ($1.0, $1.1.target)
        }
        var next = ordered.makeIterator()
        for index in slots.indices where slots[index] == nil { slots[index] = next.next()?.1 }
        return slots.compactMap { $0 }
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
