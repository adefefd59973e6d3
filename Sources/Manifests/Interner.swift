import Synchronization

/// Hands out one copy of strings that repeat.
///
/// A quarter of a million endpoints name a thousand nodes: without this, each name that is longer
/// than the 15 bytes a String holds in itself would be on the heap once per endpoint.
final class Interner: Sendable {
    private let strings = Mutex<Set<String>>([])

    func intern(_ string: String) -> String {
        guard string.utf8.count > 15 else { return string }
        return strings.withLock { $0.insert(string).memberAfterInsert }
    }
}
