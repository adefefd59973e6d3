public import IPAddressing
public import NFTables

/// What a change of rules asks of one affinity map: clients of endpoints that are gone are set free, and those come over
/// that were remembered in another map. What the maps hold only the kernel knows.
public struct AffinityChange: Sendable, Hashable {
    /// The map of the same port from which clients come over.
    public struct Source: Sendable, Hashable {
        public let map: String
        /// Whether it is there after the change as well.
        public let stays: Bool
    }

    public let table: TableID
    public let map: String
    /// The endpoint addresses that clients may keep.
    public let alive: Set<IPAddress>
    /// How long a client is remembered, milliseconds.
    public let timeout: UInt64
    /// Whether the change of rules makes the map.
    public let isNew: Bool
    public let source: Source?
    /// The other maps of the same pool that were there, for endpoints on other ports: one of them may still remember a
    /// client that comes over, elsewhere.
    public let siblings: [String]
    /// Whether the whole table goes, and a new one comes in its place: what is remembered is carried from one to the
    /// other.
    public var isReplaced = false

    /// The same once it is in force.
    public var inForce: AffinityChange {
        var change = self
        change.isReplaced = false
        return change
    }

    /// Whether an element of a map leads to an endpoint that is gone.
    public func isStale(_ element: Element) -> Bool {
        guard case .value(let data) = element.data, let address = data.address else { return true }
        return !alive.contains(address)
    }

    /// The entry as it can be added.
    ///
    /// A packet that refreshes an entry gives it the rule's time to live, and leaves the timeout that it was made with
    /// (`nft_dynset_eval`): where the Service's was raised since, the entry has more time left than its timeout is, and
    /// the kernel refuses that of who adds it (ERANGE).
    private func addable(_ element: Element) -> Element {
        var element = element
        element.timeout = timeout
        element.expiration = element.expiration.map { min($0, timeout) }
        return element
    }

    /// The first entry of each client.
    ///
    /// The kernel can hold two of one: while an entry that a transaction added comes into force, a packet's own look
    /// for an entry to refresh passes it over (`nft_rhash_update` asks for one of both generations), and makes another.
    /// They agree as a rule; where they don't, to add both would make a transaction fail (EBUSY).
    private static func unique(_ elements: [Element]) -> [Element] {
        var known: Set<RegisterValue> = []
        return elements.filter { known.insert($0.key).inserted }
    }

    /// Clients that may come, between the look into a map and the change, to one that is nearly full.
    static let reserve = 4096

    /// The operation that makes a client who comes over nobody's in another map of the pool; nil where nobody is there.
    ///
    /// - Parameters:
    ///   - entries: what the other map holds.
    ///   - others: what the source holds.
    public func operation(
        onSibling sibling: String, _ entries: [Element], from others: [Element]
    ) -> Operation? {
        let coming = Set(others.lazy.filter { !isStale($0) }.map(\.key))
        let removed = entries.filter { coming.contains($0.key) }
        return removed.isEmpty ? nil : .destroyElements(table, set: sibling, removed)
    }

    /// The operations that make the map what it is to be, in the transaction of the rules or behind it.
    ///
    /// Where two maps remember a client differently, the source counts: it is what the client was led by. A packet that
    /// writes the very entry at the moment in which it is added makes the transaction fail, and then all is compared;
    /// for that the client must have been in the source and not in the map, which nearly always get it together.
    ///
    /// An entry can expire between reading and removing. Where the kernel can't remove what may be gone, the map is
    /// emptied and the living entries are put back. All entries keep the time that they have left, as far as the timeout
    /// goes.
    ///
    /// - Parameters:
    ///   - entries: what the map holds.
    ///   - others: what the source holds.
    ///   - canDestroy: whether the kernel knows `destroy element`.
    public func operations(
        _ entries: [Element], from others: [Element] = [], canDestroy: Bool
    ) -> [Operation] {
        var removed = entries.filter(isStale)
        var living = entries.filter { !isStale($0) }
        var added: [Element] = []
        // The kernel removes by key: of two entries of one client it may find the living one.
        let freed = Set(removed.map(\.key))
        let mixed = living.filter { freed.contains($0.key) }
        if !mixed.isEmpty {
            removed += mixed
            living.removeAll { freed.contains($0.key) }
            added = Self.unique(mixed.map(addable))
        }
        let coming = Self.unique(others.filter { !isStale($0) })
        if !coming.isEmpty {
            let standing = Dictionary(
                living.map { ($0.key, $0.data) }, uniquingKeysWith: { first, _ in first })
            // A map that runs full would make the whole transaction fail.
            var room =
                Int(Frame.affinityClients) - (isNew && entries.isEmpty ? 0 : entries.count + Self.reserve)
            var replaced: Set<RegisterValue> = []
            added.removeAll { element in coming.contains { $0.key == element.key } }
            for element in coming where standing[element.key] != element.data {
                if standing[element.key] != nil {
                    replaced.insert(element.key)
                } else {
                    guard room > 0 else { continue }
                    room -= 1
                }
                added.append(addable(element))
            }
            removed += living.filter { replaced.contains($0.key) }
            living.removeAll { replaced.contains($0.key) }
        }
        guard !isReplaced else {
            added = Array(
                Self.unique(living.map(addable) + added).prefix(Int(Frame.affinityClients)))
            return added.isEmpty ? [] : [.addElements(table, set: map, added)]
        }
        guard !removed.isEmpty else {
            return added.isEmpty ? [] : [.addElements(table, set: map, added)]
        }
        guard canDestroy else {
            let all = Self.unique(living.map(addable) + added)
            return [.flushSet(table, set: map), .addElements(table, set: map, all)]
        }
        let destroyed = Operation.destroyElements(table, set: map, removed)
        return added.isEmpty ? [destroyed] : [destroyed, .addElements(table, set: map, added)]
    }
}
