import IPAddressing
import ServiceModel

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
