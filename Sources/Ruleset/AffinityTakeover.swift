public import IPAddressing
import KubernetesAPI
public import NFTables
public import ServiceModel

/// The affinity maps of one pool, ready to remember clients that another proxy led.
public struct AffinityTakeover: Sendable {
    public let table: TableID
    private let memories: [AffinityMemory]

    fileprivate init(table: TableID, memories: [AffinityMemory]) {
        self.table = table
        self.memories = memories
    }

    /// The maps, one for each port that endpoints listen on.
    public var maps: [String] { memories.map(\.map) }

    /// The operations that remember the clients whose endpoints the pool has and of which no map knows anything yet.
    ///
    /// - Parameter standing: what the maps hold, by map.
    public func operations(_ clients: [LedClient], standing: [String: [Element]]) -> [Operation] {
        var known = Set(standing.values.joined().map(\.key))
        var room = memories.map {
            Int(Frame.affinityClients) - AffinityChange.reserve - (standing[$0.map]?.count ?? 0)
        }
        var added: [[Element]] = memories.map { _ in [] }
        for client in clients {
            let key = RegisterValue(client.client)
            guard
                let index = memories.firstIndex(where: {
                    $0.targetPort == client.endpoint.port && $0.alive.contains(client.endpoint.address)
                }), room[index] > 0, known.insert(key).inserted
            else { continue }
            room[index] -= 1
            let timeout = memories[index].milliseconds
            added[index].append(
                Element(
                    key, data: .value(RegisterValue(client.endpoint.address)), timeout: timeout,
                    expiration: min(client.remaining, timeout)))
        }
        return zip(memories, added).compactMap { memory, elements in
            elements.isEmpty ? nil : .addElements(table, set: memory.map, elements)
        }
    }
}

extension RulesetCompiler {
    /// The maps that may remember clients of a service port: those of each pool apart. A client's choice counts for
    /// each pool that has the endpoint.
    public func affinityTakeovers(of id: ServicePortID, _ family: AddressFamily) -> [AffinityTakeover] {
        guard let port = services[id.service]?.ports.first(where: { $0.id == id && $0.family == family })
        else {
            return []
        }
        let memories = Dictionary(grouping: port.memories, by: \.isMain)
        return [true, false].compactMap { isMain in
            memories[isMain].map { AffinityTakeover(table: ObjectNames.tableID(family), memories: $0) }
        }
    }
}
