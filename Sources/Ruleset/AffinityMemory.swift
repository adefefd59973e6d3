import IPAddressing
import KubernetesAPI
import NFTables

/// An affinity map as it is wanted: which endpoint each client of a pool keeps, for the endpoints of one port.
struct AffinityMemory {
    let map: String
    /// The set of the endpoints that the map may hold.
    let members: String
    /// Whether it is the one that stays whatever the traffic policies are.
    let isMain: Bool
    let targetPort: UInt16
    /// The endpoints' addresses.
    let alive: Set<IPAddress>
    /// Seconds.
    let timeout: UInt32
    var milliseconds: UInt64 { UInt64(timeout) * 1000 }
}

extension CompiledPort {
    /// The name that a pool's affinity goes by.
    ///
    /// That of the pool of all endpoints, or of the only pool, is the same under either policy: where a policy changes,
    /// the map stays, and with it the clients whose endpoints stay.
    private func memoryName(_ policy: Service.TrafficPolicy) -> String {
        ObjectNames.pool(ObjectNames.identity(id), policy)
    }

    private func isMain(_ pool: CompiledPool) -> Bool { pool.name == cluster.pool?.name }

    /// The map that a pool asks.
    func affinityMap(of pool: CompiledPool, targetPort: UInt16) -> String {
        ObjectNames.affinity(memoryName(isMain(pool) ? .cluster : .local), port: targetPort)
    }

    /// All its affinity maps.
    var memories: [AffinityMemory] {
        pools.flatMap { pool -> [AffinityMemory] in
            guard let timeout = pool.affinityTimeout else { return [] }
            let isMain = isMain(pool)
            let name = memoryName(isMain ? .cluster : .local)
            return pool.targetPorts.map { port in
                AffinityMemory(
                    map: ObjectNames.affinity(name, port: port),
                    members: ObjectNames.members(name, port: port),
                    isMain: isMain, targetPort: port, alive: pool.addresses(port: port), timeout: timeout)
            }
        }
    }

    /// The name of the map that stands beside this one where traffic of both policies is served.
    fileprivate func counterpart(of memory: AffinityMemory) -> String {
        ObjectNames.affinity(memoryName(memory.isMain ? .local : .cluster), port: memory.targetPort)
    }

    /// Whether clients that were led to this node's endpoints alone are led to the main pool now.
    fileprivate var hasOnePool: Bool { local == nil }
}

extension [AffinityMemory] {
    /// The maps of the same pool for other ports.
    fileprivate func siblings(of memory: AffinityMemory) -> [String] {
        filter { $0.isMain == memory.isMain && $0.targetPort != memory.targetPort }.map(\.map)
    }
}

extension AffinityChange {
    /// What a Service that changes asks of its affinity maps in one family.
    static func all(
        from old: CompiledService, to new: CompiledService, _ family: AddressFamily
    ) -> [AffinityChange] {
        var result: [AffinityChange] = []
        for port in new.ports where port.family == family {
            let memories = port.memories
            guard !memories.isEmpty,
                let previous = old.ports.first(where: { $0.family == family && $0.id == port.id })
            else { continue }
            let before = Dictionary(
                previous.memories.map { ($0.map, $0.alive) }, uniquingKeysWith: { $0.union($1) })
            for memory in memories {
                let (standing, other) = (before[memory.map], port.counterpart(of: memory))
                let takesOver = standing == nil || (memory.isMain && port.hasOnePool)
                // Without an endpoint in common there is no entry in common.
                let isShared = before[other].map { !$0.isDisjoint(with: memory.alive) } ?? false
                let source: Source? =
                    takesOver && isShared
                    ? Source(map: other, stays: memories.contains { $0.map == other }) : nil
                let isLeaving = standing.map { !$0.isSubset(of: memory.alive) } ?? false
                guard source != nil || isLeaving else { continue }
                result.append(
                    AffinityChange(
                        table: ObjectNames.tableID(family), map: memory.map, alive: memory.alive,
                        timeout: memory.milliseconds, isNew: standing == nil, source: source,
                        siblings: memories.siblings(of: memory).filter { before[$0] != nil }))
            }
        }
        return result
    }

    /// What a Service's affinity maps take from a table that goes as a whole.
    static func carried(
        of service: CompiledService, _ family: AddressFamily, from actual: Table, _ frame: Frame
    ) -> [AffinityChange] {
        // Of a map with other keys or data, nothing is understood.
        func isReadable(_ map: String) -> Bool {
            let wanted = frame.affinity(map)
            guard let set = actual.sets[map] else { return false }
            return set.key == wanted.key && set.data == wanted.data && set.flags == wanted.flags
        }
        return service.ports.filter { $0.family == family }.flatMap { port in
            port.memories.compactMap { memory in
                let other = port.counterpart(of: memory)
                let (isThere, isOther) = (isReadable(memory.map), isReadable(other))
                guard isThere || isOther else { return nil }
                return AffinityChange(
                    table: actual.id, map: memory.map, alive: memory.alive, timeout: memory.milliseconds,
                    isNew: !isThere, source: isThere ? nil : Source(map: other, stays: false), siblings: [],
                    isReplaced: true)
            }
        }
    }

    /// What a Service asks of its affinity maps where they are not what is wanted: they hold endpoints which are not
    /// behind their pools, or may until the change is in force, since pools still lead to such endpoints; or clients
    /// are to be found in a map in which they aren't.
    ///
    /// - Parameters:
    ///   - actual: the table as the kernel has it.
    ///   - led: where the kernel's pools lead to, by their chains' names; none where nothing will change.
    static func all(
        of service: CompiledService, _ family: AddressFamily, in actual: Table, led: [String: [AddressPort]]
    ) -> [AffinityChange] {
        var result: [AffinityChange] = []
        for port in service.ports where port.family == family {
            let memories = port.memories
            guard !memories.isEmpty else { continue }
            // Whichever of the pools wrote the map until now.
            let identity = ObjectNames.identity(port.id)
            let targets = [Service.TrafficPolicy.cluster, .local].flatMap {
                led[ObjectNames.pool(identity, $0)] ?? []
            }
            for memory in memories {
                let (isNew, other) = (actual.sets[memory.map] == nil, port.counterpart(of: memory))
                let takesOver = isNew || (memory.isMain && port.hasOnePool)
                let source: Source? =
                    takesOver && actual.sets[other] != nil
                    ? Source(map: other, stays: memories.contains { $0.map == other }) : nil
                let change = AffinityChange(
                    table: actual.id, map: memory.map, alive: memory.alive, timeout: memory.milliseconds,
                    isNew: isNew, source: source,
                    siblings: memories.siblings(of: memory).filter { actual.sets[$0] != nil })
                let isLeaving = targets.contains {
                    $0.port == memory.targetPort && !memory.alive.contains($0.address)
                }
                let isStale = isLeaving || (actual.elements[memory.map] ?? []).contains(where: change.isStale)
                if source != nil || (!isNew && isStale) { result.append(change) }
            }
        }
        return result
    }
}
