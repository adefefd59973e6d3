import Glibc
import NFTables

/// A set or map with its elements.
struct FakeSet: Sendable {
    typealias Refusal = FakeRuleset.Refusal

    struct Key: Hashable, Sendable {
        let key: RegisterValue
        let isIntervalEnd: Bool
    }

    let definition: NamedSet
    var elements: [Key: Element] = [:]

    init(_ definition: NamedSet) { self.definition = definition }

    private var isInterval: Bool { definition.flags.contains(.interval) }

    private func key(of element: Element) throws(Refusal) -> Key {
        guard element.key.count == definition.key.length else { throw Refusal(EINVAL) }
        guard !element.isIntervalEnd || isInterval else { throw Refusal(EINVAL) }
        return Key(key: element.key, isIntervalEnd: element.isIntervalEnd)
    }

    mutating func add(_ element: Element, chains: [String: FakeTable.NumberedChain]) throws(Refusal) {
        let key = try key(of: element)
        if element.timeout != nil || element.expiration != nil, !definition.flags.contains(.timeout) {
            throw Refusal(EINVAL)
        }
        if let left = element.expiration, left > element.timeout ?? definition.timeout ?? .max {
            throw Refusal(ERANGE)
        }
        switch (definition.data, element.data) {
        case (nil, nil): break
        case (.value(let shape)?, .value(let value)?):
            guard value.count == shape.length else { throw Refusal(EINVAL) }
        case (.verdict?, .verdict(let verdict)?): try FakeTable.check(verdict, chains)
        default: throw Refusal(EINVAL)
        }
        if let before = elements[key] {
            guard before.data == element.data else { throw Refusal(EEXIST) }
            return
        }
        if isInterval { try checkOverlap(key) }
        if let size = definition.size, elements.count >= size { throw Refusal(ENFILE) }
        var element = element
        element.comment = element.comment.map(FakeRuleset.stored)
        if definition.flags.contains(.timeout), let timeout = element.timeout, element.expiration == nil {
            element.expiration = timeout
        }
        elements[key] = element
    }

    /// Starts lie outside of the intervals that are there; an end closes the start before it.
    private func checkOverlap(_ key: Key) throws(Refusal) {
        let below = elements.keys.filter {
            $0.key < key.key || ($0.key == key.key && key.isIntervalEnd == false)
        }
        let last = below.max { ($0.key, $0.isIntervalEnd ? 0 : 1) < ($1.key, $1.isIntervalEnd ? 0 : 1) }
        let isInside = last.map { !$0.isIntervalEnd } ?? false
        guard isInside == key.isIntervalEnd else { throw Refusal(EEXIST) }
    }

    mutating func remove(_ element: Element) throws(Refusal) {
        guard elements.removeValue(forKey: try key(of: element)) != nil else { throw Refusal(ENOENT) }
    }

    mutating func destroy(_ element: Element) throws(Refusal) {
        elements.removeValue(forKey: try key(of: element))
    }
}
