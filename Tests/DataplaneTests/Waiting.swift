import Foundation
import Synchronization
import TestNetwork
import Testing

/// Looks again and again until `condition` holds; false when it doesn't within a time that only a broken program or
/// machine needs.
func eventually(within limit: Duration = .seconds(30), _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = ContinuousClock.now.advanced(by: limit)
    while true {
        if try condition() { return true }
        if ContinuousClock.now > deadline { return false }
        usleep(5000)
    }
}

/// What the environment says of how long or how often something is tried.
func environmentNumber(_ name: String, _ otherwise: UInt64) -> UInt64 {
    ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? otherwise
}

extension ChildProcess {
    /// Waits until it has said this on standard error; one that ends without has failed.
    func waitForLog(_ text: String) throws {
        let found = try eventually { try standardError.contains(text) || !isRunning }
        let log = try standardError
        try #require(found && log.contains(text), "\(text) is missing in:\n\(log)")
    }
}

/// A thread of its own that does something over and over until it is told to stop. Tasks would not do: a test that
/// blocks holds one of the few threads that tasks share.
final class BackgroundLoop: Sendable {
    private struct State {
        var isStopping = false
        var rounds = 0
        var failure: (any Error)?
    }

    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    init(_ body: @escaping @Sendable () throws -> Void) {
        Thread { [self] in
            while !state.withLock({ $0.isStopping }) {
                do {
                    try body()
                    state.withLock { $0.rounds += 1 }
                } catch {
                    state.withLock {
                        $0.failure = error
                        $0.isStopping = true
                    }
                }
            }
            ended.signal()
        }.start()
    }

    /// How often the body has been carried out.
    var rounds: Int { state.withLock { $0.rounds } }
    var hasFailed: Bool { state.withLock { $0.failure != nil } }

    /// Waits until the body has been carried out so often again; throws what ended it before.
    func waitForRounds(_ count: Int) throws {
        let goal = rounds + count
        _ = eventually { rounds >= goal || hasFailed }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Ends it; to be called once.
    func stop() throws {
        state.withLock { $0.isStopping = true }
        ended.wait()
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }
}
