import Synchronization

/// What was told, in order, for a test that waits for it.
final class Observed<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init() { (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1)) }

    var all: [Value] { values.withLock { $0 } }

    func add(_ value: Value) {
        values.withLock { $0.append(value) }
        signal.yield()
    }

    /// Waits until what was told matches; for one caller at a time.
    func wait(_ matches: @escaping @Sendable ([Value]) -> Bool) async throws {
        try await within("never so: \(self.all)") {
            if matches(self.all) { return }
            for await _ in self.signals where matches(self.all) { return }
        }
    }
}
