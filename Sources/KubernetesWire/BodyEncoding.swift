/// How an API server writes a body.
public enum BodyEncoding: Sendable, CaseIterable {
    case protobuf
    case json

    /// As in `Accept`.
    public var mediaType: String {
        switch self {
        case .protobuf: "application/vnd.kubernetes.protobuf"
        case .json: "application/json"
        }
    }

    /// The encoding that a `Content-Type` names; its parameters (`;stream=watch`, a charset) don't
    /// matter. Nil for any other.
    public init?(contentType: String) {
        let type = contentType.prefix { $0 != ";" }.lowercased().filter { !$0.isWhitespace }
        guard let encoding = Self.allCases.first(where: { $0.mediaType == type }) else { return nil }
        self = encoding
    }
}
