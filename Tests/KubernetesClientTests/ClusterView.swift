import Foundation
import KubernetesAPI
import KubernetesClient
import KubernetesWire
import Synchronization

/// What a client has been told, put together as the agent does, and what in that was wrong.
final class ClusterView: Sendable {
    struct State: Sendable {
        var objects: [ClusterObject.Key: ClusterObject] = [:]
        /// Kinds in the order in which they were complete.
        var completed: [ResourceKind] = []
        /// How often an object was told to be gone.
        var removals: [ClusterObject.Key: Int] = [:]
        var problems: [ObjectProblem] = []
        var triggerTimes: [ClusterObject.Key: Int64] = [:]
        var observations: [ClusterSource.Observation] = []
        /// What must never happen.
        var faults: [String] = []
    }

    private struct Waiter {
        var holds: @Sendable (State) -> Bool
        var continuation: CheckedContinuation<Void, any Error>
    }

    private let state = Mutex<(state: State, waiters: [UUID: Waiter])>((State(), [:]))
    /// Looks at each update before it is taken in; returns what is wrong with it.
    private let examine: @Sendable (SourceUpdate, State) -> [String]

    init(examine: @escaping @Sendable (SourceUpdate, State) -> [String] = { _, _ in [] }) {
        self.examine = examine
    }

    var current: State { state.withLock(\.state) }

    func take(_ update: SourceUpdate) {
        change { state in
            state.faults += examine(update, state)
            for key in update.removed {
                state.objects[key] = nil
                state.removals[key, default: 0] += 1
            }
            for object in update.upserted {
                state.objects[object.key] = object
                if update.removed.contains(object.key) {
                    state.faults.append("\(object.key) came and went at once")
                }
            }
            state.triggerTimes.merge(update.triggerTimes) { _, new in new }
            state.problems += update.problems
            if update.isFirstComplete {
                if state.completed.contains(update.kind) {
                    state.faults.append("\(update.kind) complete twice")
                }
                state.completed.append(update.kind)
            }
        }
    }

    func take(_ observation: ClusterSource.Observation) { change { $0.observations.append(observation) } }

    private func change(_ body: (inout State) -> Void) {
        let woken = state.withLock { all in
            body(&all.state)
            let ids = all.waiters.filter { $0.value.holds(all.state) }.keys
            return ids.compactMap { all.waiters.removeValue(forKey: $0) }
        }
        for waiter in woken { waiter.continuation.resume() }
    }

    /// Waits until `holds` is true of what was told; looks again after each update.
    func wait(until holds: @escaping @Sendable (State) -> Bool) async throws {
        let id = UUID()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<Void, any Error>) in
                let isDone = state.withLock { all in
                    if holds(all.state) { return true }
                    all.waiters[id] = Waiter(holds: holds, continuation: continuation)
                    return false
                }
                if isDone { return continuation.resume() }
                // Cancelled before it waited: nobody else will end it.
                if Task.isCancelled { cancel(id) }
            }
        } onCancel: {
            cancel(id)
        }
    }

    private func cancel(_ id: UUID) {
        let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
        waiter?.continuation.resume(throwing: CancellationError())
    }
}

/// What didn't come in time.
struct Overdue: Error, CustomStringConvertible {
    let description: String
}

/// Runs `body`, and cancels it when it takes longer than the deadline.
///
/// Nothing here is expected to come near the deadline: it turns a test that would hang into one that fails.
///
/// - Parameter text: for the error: what didn't come.
func within<Value: Sendable>(
    _ text: @autoclosure @escaping @Sendable () -> String, deadline: Duration = .seconds(60),
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: deadline)
            return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let value = first else {
            throw Overdue(description: text())
        }
        return value
    }
}
