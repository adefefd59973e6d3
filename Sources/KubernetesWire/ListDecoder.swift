/// What a list says beside its items (`v1.ListMeta`).
public struct ListMetadata: Sendable, Equatable {
    /// Where a watch starts from; never empty.
    public var resourceVersion: String
    /// `continue`: asks for the next page; nil on the last.
    public var continueToken: String?
    public var remainingItemCount: Int?

    public init(resourceVersion: String, continueToken: String? = nil, remainingItemCount: Int? = nil) {
        self.resourceVersion = resourceVersion
        self.continueToken = continueToken
        self.remainingItemCount = remainingItemCount
    }
}

/// Decodes the body of one list while it arrives.
public struct ListDecoder: Sendable {
    /// - Parameter source: names the API server in problems.
    public init(_ kind: ResourceKind, _ encoding: BodyEncoding, source: String) {
        fatalError("being written")
    }

    /// Takes the next bytes of the body, in chunks of any size; hands out each item they complete.
    /// - Throws: `WireError` when the body can't be read on; the decoder is then of no more use.
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ each: (DecodedObject) -> Void
    ) throws(WireError) {
        fatalError("being written")
    }

    /// Ends the body.
    /// - Throws: `WireError` when the body isn't complete.
    public mutating func finish() throws(WireError) -> ListMetadata {
        fatalError("being written")
    }
}
