internal import Foundation
internal import Synchronization

/// The last requests, and who waits for one.
final class RequestLog: Sendable {
    private struct Waiter {
        var matches: @Sendable (ReceivedRequest) -> Bool
        var continuation: CheckedContinuation<ReceivedRequest, any Error>
    }

    private struct State {
        var kept: [ReceivedRequest] = []
        var count = 0
        var waiters: [UUID: Waiter] = [:]
    }

    private let state = Mutex(State())
    private static let limit = 4_096

    /// Numbers the request and wakes who waits for it.
    func add(_ request: ReceivedRequest) {
        let woken = state.withLock { state in
            var request = request
            request.number = state.count
            state.count += 1
            state.kept.append(request)
            if state.kept.count > 2 * Self.limit { state.kept.removeFirst(Self.limit) }
            let ids = state.waiters.filter { $0.value.matches(request) }.keys
            return ids.compactMap { state.waiters.removeValue(forKey: $0) }.map { ($0, request) }
        }
        for (waiter, request) in woken { waiter.continuation.resume(returning: request) }
    }

    var requests: [ReceivedRequest] { state.withLock(\.kept) }

    var count: Int { state.withLock(\.count) }

    /// The first request from `number` on that matches, as soon as it is there.
    func request(
        from number: Int, where matches: @escaping @Sendable (ReceivedRequest) -> Bool
    ) async throws -> ReceivedRequest {
        let id = UUID()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let known: ReceivedRequest? = state.withLock { state in
                    if let found = state.kept.first(where: { $0.number >= number && matches($0) }) {
                        return found
                    }
                    state.waiters[id] = Waiter(matches: matches, continuation: continuation)
                    return nil
                }
                if let known { return continuation.resume(returning: known) }
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
