import KubernetesAPI
import KubernetesWire

/// What has been told of one kind's objects: names and versions, no objects.
struct ObjectRegister: Sendable {
    private struct Entry: Sendable {
        /// As it was seen last, whether it was told or not.
        var version: String
        /// Whether the other side has it.
        var isTold: Bool
    }

    private var entries: [ClusterObject.Key: Entry] = [:]
    /// What changed since the last `take`.
    private var pending = PendingUpdate()

    /// How many objects the other side has, the pending ones included.
    var count: Int { entries.values.count { $0.isTold } }

    mutating func upsert(_ object: DecodedObject) {
        guard let key = object.key else {
            pending.problems += object.problems
            return
        }
        let past = entries[key]
        // Told before, its problems too. A version that can't be told is no proof.
        if let past, past.version == object.resourceVersion, !past.version.isEmpty { return }
        pending.problems += object.problems
        switch object.content {
        case .object(.service(let service)) where service.isHeadless:
            // A server that can't select by `spec.clusterIP` sends these, too.
            remove(key)
        case .object(let content):
            entries[key] = Entry(version: object.resourceVersion, isTold: true)
            pending.upsert(key, content, triggerTime: object.triggerTime, isNew: past?.isTold != true)
        case .refused:
            // What was good stays, and so the object isn't taken for gone.
            entries[key] = Entry(version: object.resourceVersion, isTold: past?.isTold ?? false)
        case .passedOver:
            remove(key)
        }
    }

    mutating func remove(_ key: ClusterObject.Key) {
        guard let past = entries.removeValue(forKey: key), past.isTold else { return }
        pending.remove(key)
    }

    /// Makes a whole list the truth: what is new or changed is upserted, what it lacks is removed; but nothing is where
    /// the list holds objects whose names can't be told, since it may be one of those.
    ///
    /// - Returns: whether that leaves objects in doubt.
    mutating func replace(with list: ObjectList) -> Bool {
        let missing = entries.keys.filter { !list.contains($0) }
        let isInDoubt = list.hasNameless && !missing.isEmpty
        if !isInDoubt { for key in missing { remove(key) } }
        for object in list.changed.values { upsert(object) }
        pending.problems += list.problems
        return isInDoubt
    }

    /// Whether the list need not hold this object, since it was told so already.
    func knows(_ key: ClusterObject.Key, _ version: String) -> Bool {
        !version.isEmpty && entries[key]?.version == version
    }

    /// What changed, once.
    mutating func take() -> PendingUpdate {
        defer { pending = PendingUpdate() }
        return pending
    }
}

/// The last word on each object that changed.
struct PendingUpdate: Sendable {
    var upserted: [ClusterObject.Key: ClusterObject] = [:]
    var removed: Set<ClusterObject.Key> = []
    var problems: [ObjectProblem] = []
    var triggerTimes: [ClusterObject.Key: Int64] = [:]
    /// Upserted ones that the other side has never heard of: when they go again, there is nothing to remove.
    private var fresh: Set<ClusterObject.Key> = []

    mutating func upsert(_ key: ClusterObject.Key, _ object: ClusterObject, triggerTime: Int64?, isNew: Bool)
    {
        if isNew, !removed.contains(key) { fresh.insert(key) }
        upserted[key] = object
        triggerTimes[key] = triggerTime
        removed.remove(key)
    }

    mutating func remove(_ key: ClusterObject.Key) {
        upserted[key] = nil
        triggerTimes[key] = nil
        if fresh.remove(key) == nil { removed.insert(key) }
    }
}

/// A list while it comes in.
struct ObjectList: Sendable {
    private var keys: Set<ClusterObject.Key> = []
    /// Those that differ from what was told before.
    private(set) var changed: [ClusterObject.Key: DecodedObject] = [:]
    /// Of objects whose names can't be told.
    private(set) var problems: [ObjectProblem] = []
    private(set) var hasNameless = false

    var count: Int { keys.count }

    func contains(_ key: ClusterObject.Key) -> Bool { keys.contains(key) }

    mutating func upsert(_ object: DecodedObject, known: ObjectRegister) {
        guard let key = object.key else {
            problems += object.problems
            hasNameless = true
            return
        }
        keys.insert(key)
        changed[key] = known.knows(key, object.resourceVersion) ? nil : object
    }

    mutating func remove(_ key: ClusterObject.Key) {
        keys.remove(key)
        changed[key] = nil
    }
}
