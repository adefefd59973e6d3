import Glibc
package import KubernetesAPI
import Synchronization

/// Hands out one copy of strings and placements that repeat.
///
/// A quarter of a million endpoints name a thousand nodes: without this, each name that is longer
/// than the 15 bytes a String holds in itself would be on the heap once per endpoint.
public final class Interner: Sendable {
    /// By hash of the bytes, so that one that is known is found without a String being made.
    private let strings = Mutex<[Int: String]>([:])
    private let placements = Mutex<Set<Placement>>([])

    /// Nodes come and go for as long as the process runs: beyond this many it starts afresh, and what
    /// is in use is then twice in memory at most.
    static let limit = 1 << 16

    public init() {}

    package func intern(_ string: String) -> String {
        guard string.utf8.count > 15 else { return string }
        var string = string
        return string.withUTF8 { intern(UnsafeRawBufferPointer($0)) }
    }

    /// The string of these bytes, which are UTF-8.
    package func intern(_ utf8: UnsafeRawBufferPointer) -> String {
        guard utf8.count > 15 else { return String(decoding: utf8, as: UTF8.self) }
        var hasher = Hasher()
        hasher.combine(bytes: utf8)
        let hash = hasher.finalize()
        return strings.withLock { strings in
            if let known = strings[hash] {
                // Of two strings with one hash (seeded, 64 bits) the second is not shared.
                return Self.equal(known, utf8) ? known : String(decoding: utf8, as: UTF8.self)
            }
            if strings.count >= Self.limit { strings.removeAll(keepingCapacity: true) }
            let string = String(decoding: utf8, as: UTF8.self)
            strings[hash] = string
            return string
        }
    }

    package func intern(_ placement: Placement) -> Placement {
        placements.withLock { placements in
            if placements.count >= Self.limit { placements.removeAll(keepingCapacity: true) }
            return placements.insert(placement).memberAfterInsert
        }
    }

    private static func equal(_ string: String, _ utf8: UnsafeRawBufferPointer) -> Bool {
        var string = string
        return string.withUTF8 { own in
            guard own.count == utf8.count, let own = own.baseAddress, let other = utf8.baseAddress
            else { return false }
            return memcmp(own, other, utf8.count) == 0
        }
    }
}
