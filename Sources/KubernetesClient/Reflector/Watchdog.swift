import Synchronization

/// Notices that a body doesn't come on.
final class Watchdog: Sendable {
    private struct State {
        /// When something more must have come.
        var due: ContinuousClock.Instant?
        /// When all must have come.
        var deadline: ContinuousClock.Instant?
    }

    private let state = Mutex(State())
    private let interval: Duration

    /// - Parameter interval: how often to look while there is nothing to wait for.
    init(interval: Duration) { self.interval = interval }

    /// The body begins; nil: it may take as long as it likes.
    func begin(deadline: Duration?, patience: Duration?) {
        let now = ContinuousClock.now
        state.withLock { $0 = State(due: patience.map { now + $0 }, deadline: deadline.map { now + $0 }) }
    }

    /// Something came; nil: what comes next may take as long as it likes.
    func expect(within patience: Duration?) {
        let due = patience.map { ContinuousClock.now + $0 }
        state.withLock { $0.due = due }
    }

    /// Waits until what is expected is overdue.
    ///
    /// - Returns: nil when the task is cancelled.
    func wait() async -> Reflector.End? {
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let (due, deadline) = state.withLock { ($0.due, $0.deadline) }
            if let deadline, now >= deadline {
                return .failure(RequestFailure(.silence, "the watch didn't end in its time"))
            }
            if let due, now >= due { return .failure(RequestFailure(.silence, "nothing came any more")) }
            let next = [deadline, due].compactMap { $0 }.reduce(now + interval, min)
            try? await Task.sleep(until: next, clock: .continuous)
        }
        return nil
    }
}
