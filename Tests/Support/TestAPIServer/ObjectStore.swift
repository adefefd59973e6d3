internal import Foundation
public import KubernetesAPI
internal import Synchronization

/// The objects of a cluster with one rising version over all of them, and the last changes: what etcd and the API
/// server's watch cache are to a real cluster.
public final class ObjectStore: Sendable {
    struct Change: Sendable {
        /// Its version, which the object has from then on.
        var version: UInt64
        var resource: APIResource
        var before: StoredVersion?
        var after: StoredVersion?
    }

    private struct State {
        var version: UInt64
        /// Changes up to this version are forgotten.
        var compacted: UInt64
        var objects: [APIResource: [Place: StoredVersion]] = [:]
        var history: [Change] = []
        /// The last snapshot of a resource: pages of one list ask for the same one.
        var snapshots: [APIResource: (version: UInt64, objects: [StoredVersion])] = [:]
        var watchers: [Int: @Sendable () -> Void] = [:]
        var watcherCount = 0
        var objectCount = 0
    }

    /// Changes kept at least; up to half as many more are.
    public let historyLimit: Int
    private let state: Mutex<State>

    public init(firstVersion: UInt64 = 1_000, historyLimit: Int = 4_096) {
        self.historyLimit = historyLimit
        state = Mutex(State(version: firstVersion, compacted: firstVersion))
    }

    /// The version of the last change.
    public var version: UInt64 { state.withLock(\.version) }

    /// Creates or replaces an object; returns the version it has from then on.
    @discardableResult
    public func put(_ object: APIObject) -> UInt64 {
        change { state in
            let before = state.objects[object.key.resource]?[object.key.place]
            state.objectCount += before == nil ? 1 : 0
            let uid = before?.uid ?? Self.uid(state.objectCount)
            let after = StoredVersion(object, uid: uid, version: state.version)
            state.objects[object.key.resource, default: [:]][object.key.place] = after
            return Change(version: state.version, resource: object.key.resource, before: before, after: after)
        }
    }

    /// - Returns: the version of the deletion; nil when there was no such object.
    @discardableResult
    public func delete(_ key: ClusterObject.Key) -> UInt64? {
        guard object(key) != nil else { return nil }
        return change { state in
            let before = state.objects[key.resource]?.removeValue(forKey: key.place)
            return Change(version: state.version, resource: key.resource, before: before, after: nil)
        }
    }

    public func object(_ key: ClusterObject.Key) -> APIObject? {
        state.withLock { $0.objects[key.resource]?[key.place]?.object }
    }

    /// What a client that asks with this label selector must have in the end, broken objects left out.
    public func values(_ resource: APIResource, labelSelector: String = "") -> [ClusterObject.Key:
        ClusterObject]
    {
        guard let selector = LabelSelector(labelSelector) else {
            preconditionFailure("'\(labelSelector)' is not a selector")
        }
        return state.withLock { state in
            var result: [ClusterObject.Key: ClusterObject] = [:]
            for version in (state.objects[resource] ?? [:]).values where selector.matches(version.labels) {
                result[version.object.key] = version.object.value
            }
            return result
        }
    }

    /// Forgets all changes until now: watches and continue tokens of older versions are 410 from then on.
    public func compact() {
        let watchers = state.withLock { state in
            state.history = []
            state.compacted = state.version
            return Array(state.watchers.values)
        }
        for tell in watchers { tell() }
    }

    /// Encodes all objects now, so that no request waits for it.
    public func encodeAll(_ type: MediaType) {
        let all = state.withLock { state in state.objects.values.flatMap(\.values) }
        for version in all { _ = version.item(type) }
    }

    private func change(_ make: (inout State) -> Change) -> UInt64 {
        let (version, watchers) = state.withLock { state in
            state.version += 1
            state.history.append(make(&state))
            if state.history.count > historyLimit + historyLimit / 2 {
                let excess = state.history.count - historyLimit
                state.compacted = state.history[excess - 1].version
                state.history.removeFirst(excess)
            }
            return (state.version, Array(state.watchers.values))
        }
        for tell in watchers { tell() }
        return version
    }

    private static func uid(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }

    // MARK: - For lists and watches

    /// The objects as they were at a version, in order; nil when that is forgotten.
    ///
    /// - Parameter version: nil for the newest.
    func snapshot(_ resource: APIResource, at version: UInt64? = nil) -> (UInt64, [StoredVersion])? {
        state.withLock { state in
            let wanted = version ?? state.version
            guard wanted >= state.compacted, wanted <= state.version else { return nil }
            if let (version, objects) = state.snapshots[resource], version == wanted {
                return (wanted, objects)
            }
            var objects = state.objects[resource] ?? [:]
            for change in state.history.reversed() where change.resource == resource {
                guard change.version > wanted else { break }
                guard let key = (change.after ?? change.before)?.object.key else { continue }
                objects[key.place] = change.before
            }
            let sorted = objects.sorted { $0.key < $1.key }.map(\.value)
            state.snapshots[resource] = (wanted, sorted)
            return (wanted, sorted)
        }
    }

    /// The changes after a version, in order, at most `limit`; nil when some are forgotten.
    func changes(_ resource: APIResource, after version: UInt64, limit: Int) -> (
        changes: [Change], upTo: UInt64
    )? {
        state.withLock { state in
            guard version >= state.compacted else { return nil }
            // The history is sorted by version, one apart.
            let first = state.history.count - Int(state.version - min(version, state.version))
            var found: [Change] = []
            for change in state.history[max(0, first)...] where change.resource == resource {
                if found.count == limit { return (found, found[limit - 1].version) }
                found.append(change)
            }
            return (found, max(version, state.version))
        }
    }

    /// `tell` is called after each change, from any thread.
    func watch(_ tell: @escaping @Sendable () -> Void) -> Int {
        state.withLock { state in
            state.watcherCount += 1
            state.watchers[state.watcherCount] = tell
            return state.watcherCount
        }
    }

    func unwatch(_ number: Int) {
        _ = state.withLock { $0.watchers.removeValue(forKey: number) }
    }

    var watcherCount: Int { state.withLock(\.watchers.count) }
}
