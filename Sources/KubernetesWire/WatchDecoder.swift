import Documents
public import ObjectReading

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
///
/// Each event is handed out as soon as its last byte is there; no more than one is held.
public struct WatchDecoder: Sendable {
    private let label: String
    private let encoding: BodyEncoding
    private var decoder: ObjectDecoder
    private var protobuf: FrameSplitter
    private var json: JSONStreamSplitter

    /// - Parameters:
    ///   - source: names the API server in problems.
    ///   - interner: shared by the decoders of one process, names that repeat are in memory once.
    public init(
        _ kind: ResourceKind, _ encoding: BodyEncoding, source: String, interner: Interner = Interner()
    ) {
        label = "watch of \(kind.kind)s"
        self.encoding = encoding
        decoder = ObjectDecoder(kind, source: source, interner: interner)
        protobuf = FrameSplitter(kind: label)
        json = JSONStreamSplitter(kind: label)
    }

    /// Takes the next bytes of the body, in chunks of any size; hands out each event they complete.
    /// - Throws: `WireError` when the body can't be read on; the decoder is then of no more use.
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ each: (WatchEvent) -> Void
    ) throws(WireError) {
        switch encoding {
        case .protobuf:
            try protobuf.consume(bytes) { frame, offset throws(WireError) in
                guard let event = try? decoder.event(protobuf: frame) else {
                    throw WireError(kind: label, offset: offset, message: "this event doesn't decode")
                }
                each(event)
            }
        case .json:
            try json.consume(bytes) { value, isTooDeep, offset throws(WireError) in
                let event =
                    isTooDeep ? try? decoder.event(tooDeepJSON: value) : try? decoder.event(json: value)
                guard let event else {
                    throw WireError(kind: label, offset: offset, message: "this event doesn't decode")
                }
                each(event)
            }
        }
    }

    /// True when all bytes so far made whole events: the body may end here.
    public var isAtFrameBoundary: Bool {
        encoding == .protobuf ? protobuf.isAtFrameBoundary : json.isAtFrameBoundary
    }
}
