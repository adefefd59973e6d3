public import HostNetwork
public import KubernetesAPI
public import NFTablesKernel
public import StatusServers
import Synchronization

/// Changes on their way from the sources to the loop.
///
/// Only the last word on each object is kept, so however fast changes come and however long the loop is busy, it holds
/// no more than the cluster does.
public final class ChangeInbox: Sendable {
    /// What has gathered.
    public struct Changes: Sendable {
        /// By object: its new state, or nil when it was removed.
        public var objects: [ClusterObject.Key: ClusterObject?] = [:]
        public var problems: [ObjectProblem] = []
        /// The host's addresses, all of them; nil when they have not changed.
        public var hostAddresses: [HostAddress]?
        /// By EndpointSlice: when the oldest change that is in here happened, in nanoseconds since 1970.
        public var triggerTimes: [ClusterObject.Key: Int64] = [:]
        /// What others have done to the tables.
        public var foreign = ForeignChange()
        /// It is time to see whether the tables are still as they should be.
        public var isCheckDue = false

        public var isEmpty: Bool {
            objects.isEmpty && problems.isEmpty && hostAddresses == nil && foreign.isEmpty && !isCheckDue
        }

        public init() {}

        /// All objects of a source; of two with one key, the last counts.
        public init(_ objects: [ClusterObject]) {
            for object in objects { self.objects.updateValue(object, forKey: object.key) }
        }
    }

    private struct State {
        var changes = Changes()
        /// Of the objects in `changes`.
        var pending = ChangeCounts()
        /// There is something that nobody has taken yet.
        var isWaiting = false
    }

    /// Problems beyond this many wait in the source's own state and are only counted here.
    static let problemLimit = 10_000

    let metrics: AgentMetrics
    let health: ProxyHealthRecord
    private let state = Mutex(State())
    private let continuation: AsyncStream<Void>.Continuation
    /// Yields once after something was put in; for one reader.
    public let signals: AsyncStream<Void>

    /// - Parameters:
    ///   - metrics: counts what passes, and what the loop makes of it.
    ///   - health: told when something waits, when it is taken, and by the loop when it is in force.
    public init(
        metrics: AgentMetrics = AgentMetrics(), health: ProxyHealthRecord = ProxyHealthRecord()
    ) {
        self.metrics = metrics
        self.health = health
        (signals, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// - Parameter triggerTimes: by EndpointSlice among `upserted`, its annotation
    ///   `endpoints.kubernetes.io/last-change-trigger-time` in nanoseconds since 1970.
    public func put(
        upserted: [ClusterObject] = [], removed: [ClusterObject.Key] = [], problems: [ObjectProblem] = [],
        triggerTimes: [ClusterObject.Key: Int64] = [:]
    ) {
        change { state in
            var seen = ChangeCounts()
            func put(_ key: ClusterObject.Key, _ object: ClusterObject?) {
                seen.add(key)
                // Of several changes, the times of those before a removal are nobody's any more.
                if object == nil { state.changes.triggerTimes[key] = nil }
                if state.changes.objects.updateValue(object, forKey: key) == nil { state.pending.add(key) }
            }
            for key in removed { put(key, nil) }
            for object in upserted { put(object.key, object) }
            for (key, time) in triggerTimes where state.changes.objects[key] != nil {
                state.changes.triggerTimes[key] = min(time, state.changes.triggerTimes[key] ?? time)
            }
            state.changes.problems += problems.prefix(
                max(0, Self.problemLimit - state.changes.problems.count))
            metrics.received(seen, pending: state.pending)
        }
    }

    /// - Parameter hostAddresses: all that the host has now.
    public func put(hostAddresses: [HostAddress]) {
        change { $0.changes.hostAddresses = hostAddresses }
    }

    /// - Parameter foreign: what others have done to the tables.
    public func put(foreign: ForeignChange) {
        change { $0.changes.foreign.formUnion(foreign) }
    }

    /// Whether something that others have done to the tables waits to be taken.
    var holdsForeignChange: Bool { state.withLock { !$0.changes.foreign.isEmpty } }

    /// Asks for a look at whether the tables are still as they should be.
    public func putCheck() {
        change { $0.changes.isCheckDue = true }
    }

    /// Metrics and health are told within the lock: what they say of the inbox is what was so at one moment.
    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            body(&state)
            guard !state.isWaiting, !state.changes.isEmpty else { return }
            state.isWaiting = true
            metrics.queued()
            health.queued()
        }
        continuation.yield()
    }

    /// Tells metrics and health of objects that the reader has from elsewhere, and in hand.
    func began(_ objects: some Sequence<ClusterObject.Key>) {
        state.withLock { state in
            var seen = ChangeCounts()
            for key in objects { seen.add(key) }
            metrics.received(seen, pending: state.pending)
            metrics.queued()
            health.began()
        }
    }

    /// Wakes the reader without a change.
    public func wake() { continuation.yield() }

    /// Ends the signals.
    public func finish() { continuation.finish() }

    /// Takes out all that has gathered.
    public func take() -> Changes {
        state.withLock { state in
            defer { state = State() }
            metrics.setPending(ChangeCounts())
            if state.isWaiting { health.taken() }
            return state.changes
        }
    }
}

/// How many changes there are, by what kube-proxy counts.
struct ChangeCounts: Sendable, Equatable {
    var services = 0
    var endpointSlices = 0
    var others = 0

    mutating func add(_ key: ClusterObject.Key) {
        switch key {
        case .service: services += 1
        case .endpointSlice: endpointSlices += 1
        case .node, .serviceCIDR: others += 1
        }
    }
}
