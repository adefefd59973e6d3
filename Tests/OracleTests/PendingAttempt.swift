import Foundation
import Synchronization
import TestNetwork

/// A connection that is being attempted on a thread of its own. Tasks would not do: one that blocks holds one of the
/// few threads that tasks share.
final class PendingAttempt: Sendable {
    private let result = Mutex<Result<Attempt, any Error>?>(nil)
    private let done = DispatchSemaphore(value: 0)

    init(_ body: @escaping @Sendable () throws -> Attempt) {
        Thread.detachNewThread { [self] in
            let outcome = Result { try body() }
            result.withLock { $0 = outcome }
            done.signal()
        }
    }

    /// To be called once.
    func wait() throws -> Attempt {
        done.wait()
        guard let outcome = result.withLock({ $0 }) else { preconditionFailure("it has left its result") }
        return try outcome.get()
    }
}
