/// A refusal or failure that an API server reports (`v1.Status`): the body of an answer that isn't
/// 2xx, or the object of a watch's ERROR event.
public struct StatusError: Error, Sendable, Equatable {
    /// The HTTP status code, such as 410.
    public var code: Int
    /// `reason`, such as `Expired`.
    public var reason: String
    /// `message`, as it was sent: any text of any length.
    public var message: String
    /// `details.retryAfterSeconds`.
    public var retryAfterSeconds: Int?

    public init(code: Int, reason: String, message: String, retryAfterSeconds: Int? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// Decodes the body of an answer.
    /// - Throws: `WireError` when it isn't a `v1.Status`.
    public init(decoding body: UnsafeRawBufferPointer, _ encoding: BodyEncoding) throws(WireError) {
        fatalError("being written")
    }
}
