import Documents
import ObjectReading

/// A refusal or failure that an API server reports (`v1.Status`): the body of an answer that isn't
/// 2xx, or the object of a watch's ERROR event.
public struct StatusError: Error, Sendable, Equatable {
    /// The HTTP status code, such as 410; 0 when the server left it out.
    public var code: Int
    /// `reason`, such as `Expired`.
    public var reason: String
    /// `message`, as it was sent: any text of any length.
    public var message: String
    /// `details.retryAfterSeconds`; nil when 0 or unset.
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
        let decoded: Self? =
            switch encoding {
            case .protobuf: try? Self(protobuf: Envelope(body))
            case .json: (try? decodeJSON(RawStatus.self, body)).flatMap(Self.init)
            }
        guard let decoded else {
            throw WireError(kind: Self.kind, offset: 0, message: "not a Status")
        }
        self = decoded
    }

    static let kind = "Status"
}

extension StatusError {
    init(protobuf envelope: Envelope) throws {
        guard envelope.kind == Self.kind else { throw Envelope.Unreadable() }
        let status = try decodeProtobuf(ProtoStatus.self, envelope.object)
        self.init(
            code: Int(status.code), reason: status.reason, message: status.message,
            retryAfterSeconds: Self.positive(Int(status.details.retryAfterSeconds)))
    }

    /// Nil when it isn't a Status.
    init?(_ raw: RawStatus) {
        guard raw.kind.ifValid == Self.kind else { return nil }
        self.init(
            code: raw.code.ifValid ?? 0, reason: raw.reason.ifValid ?? "",
            message: raw.message.ifValid ?? "",
            retryAfterSeconds: raw.details.ifValid?.retryAfterSeconds.ifValid.flatMap(Self.positive))
    }

    private static func positive(_ seconds: Int) -> Int? { seconds > 0 ? seconds : nil }
}

extension StatusError: CustomStringConvertible {
    /// One line: `410 Expired: "too old resource version"`.
    public var description: String {
        let plainReason = Text.isPlain(reason) ? reason : Text.quoted(reason)
        return "\(code) \(plainReason): \(Text.quoted(message))"
    }
}

struct RawStatus: Decodable, Sendable {
    struct Details: Decodable, Sendable {
        var retryAfterSeconds: Field<Int>
    }

    var kind: Field<String>
    var code: Field<Int>
    var reason: Field<String>
    var message: Field<String>
    var details: Field<Details>
}
