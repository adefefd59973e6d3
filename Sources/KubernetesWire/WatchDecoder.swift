/// One event of a watch (`v1.WatchEvent`).
public enum WatchEvent: Sendable, Equatable {
    /// ADDED or MODIFIED.
    case upserted(DecodedObject)
    /// DELETED; the object as it was last.
    case deleted(DecodedObject)
    /// BOOKMARK. `endsInitialEvents` with the annotation `k8s.io/initial-events-end`: all that
    /// existed when the watch began has been sent.
    case bookmark(resourceVersion: String, endsInitialEvents: Bool)
    case error(StatusError)
    case unknown(type: String)
}

/// Decodes the body of a watch while it arrives.
public struct WatchDecoder: Sendable {
    /// - Parameter source: names the API server in problems.
    public init(_ kind: ResourceKind, _ encoding: BodyEncoding, source: String) {
        fatalError("being written")
    }

    /// Takes the next bytes of the body, in chunks of any size; hands out each event they complete.
    /// - Throws: `WireError` when the body can't be read on; the decoder is then of no more use.
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ each: (WatchEvent) -> Void
    ) throws(WireError) {
        fatalError("being written")
    }

    /// True when all bytes so far made whole events: the body may end here.
    public var isAtFrameBoundary: Bool { fatalError("being written") }
}
