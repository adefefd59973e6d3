import Synchronization

/// Carries out the newest of the values that are put in, one after the other. What fails is tried again by itself, less
/// and less often, until it goes through or a newer value takes its place.
///
/// However fast values come, it holds two: the one it works on, and the newest. A value that its successor doesn't make
/// needless can be merged into it.
public final class RetryLoop<Value: Sendable>: Sendable {
    /// How long the first failure is waited after; each one that follows doubles it.
    static var firstPause: Duration { .seconds(1) }
    static var longestPause: Duration { .seconds(60) }
    /// How often a value is tried at most once `finish` was called.
    static var lastAttempts: Int { 8 }

    private let newest = Mutex<Value?>(nil)
    private let signals: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let sleep: @Sendable (Duration) async throws -> Void
    private let merge: @Sendable (_ undone: Value, _ new: Value) -> Value

    /// - Parameters:
    ///   - sleep: waits; throws when its task is cancelled.
    ///   - merge: what takes the place of a value that was not carried out; without one, the new value as it is.
    public init(
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
        merge: @escaping @Sendable (_ undone: Value, _ new: Value) -> Value = { $1 }
    ) {
        self.merge = merge
        (signals, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.sleep = sleep
    }

    /// Asks for a value to be carried out; an older one that isn't yet will not be any more.
    public func put(_ value: Value) {
        newest.withLock { newest in newest = newest.map { merge($0, value) } ?? value }
        continuation.yield()
    }

    /// Lets `run` end when it is done with what was put in.
    public func finish() { continuation.finish() }

    /// Works until `finish` was called and nothing is left, or the task is cancelled; to be called once.
    ///
    /// - Parameter attempt: carries a value out; false when it is to be tried again.
    public func run(_ attempt: (Value) async -> Bool) async {
        var current: Value?
        var failures = 0
        var waiting: Task<Void, Never>?
        defer { waiting?.cancel() }
        func takeNewest() {
            guard let value = newest.withLock({ $0.take() }) else { return }
            (current, failures) = (current.map { merge($0, value) } ?? value, 0)
        }
        func work() async {
            takeNewest()
            guard let value = current else { return }
            if await attempt(value) { current = nil } else { failures += 1 }
        }
        for await _ in signals {
            waiting?.cancel()
            waiting = nil
            if Task.isCancelled { return }
            await work()
            guard current != nil else { continue }
            let pause = Self.pause(after: failures)
            waiting = Task { [sleep, continuation] in
                do { try await sleep(pause) } catch { return }
                continuation.yield()
            }
        }
        while !Task.isCancelled, failures < Self.lastAttempts {
            takeNewest()
            guard current != nil else { return }
            if failures > 0 {
                do { try await sleep(Self.pause(after: failures)) } catch { return }
            }
            await work()
        }
    }

    /// A second, then twice as long each time, up to a minute.
    static func pause(after failures: Int) -> Duration {
        min(firstPause * (1 << min(max(failures, 1) - 1, 16)), longestPause)
    }
}
