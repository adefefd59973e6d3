import Synchronization

/// Hands one value to one taker, on whatever thread: an owner that isn't for sharing goes from the code that made it to
/// the service that runs it.
final class Handover<Value>: Sendable {
    private let value: Mutex<Value?>

    init(_ value: consuming sending Value) { self.value = Mutex(value) }

    /// The value, once; nil from then on.
    func take() -> sending Value? {
        value.withLock { value in
            let taken = value
            value = nil
            return taken
        }
    }
}
