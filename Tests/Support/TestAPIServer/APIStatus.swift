/// A `meta/v1.Status` that says no.
public struct APIStatus: Error, Sendable, Equatable {
    /// The HTTP status.
    public var code: Int
    /// `Expired`, `Forbidden` …
    public var reason: String
    public var message: String
    /// Of 429 and 503: sent as the header `Retry-After` and in `details`.
    public var retryAfterSeconds: Int?
    /// Of an expired list: `metadata.continue`, to go on from there with what is new.
    public var continueToken = ""

    public init(code: Int, reason: String, message: String, retryAfterSeconds: Int? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// The words the API server has for a code.
    public init(code: Int, retryAfterSeconds: Int? = nil) {
        let (reason, message) =
            switch code {
            case 400: ("BadRequest", "the request is not one")
            case 401: ("Unauthorized", "Unauthorized")
            case 403: ("Forbidden", "forbidden")
            case 404: ("NotFound", "the server could not find the requested resource")
            case 406: ("NotAcceptable", "only the following media types are accepted: \(Self.mediaTypes)")
            case 410: ("Expired", "too old resource version")
            case 415: ("UnsupportedMediaType", "the body is of a type that can't be read")
            case 422: ("Invalid", "the request is invalid")
            case 429: ("TooManyRequests", "Too many requests, please try again later.")
            case 503: ("ServiceUnavailable", "the server is currently unable to handle the request")
            case 504: ("Timeout", "the request did not complete within the allotted time")
            default: ("InternalError", "Internal error occurred: etcdserver: request timed out")
            }
        self.init(code: code, reason: reason, message: message, retryAfterSeconds: retryAfterSeconds)
    }

    private static let mediaTypes = MediaType.allCases.map(\.rawValue).joined(separator: ", ")

    static func badRequest(_ message: String) -> APIStatus {
        APIStatus(code: 400, reason: "BadRequest", message: message)
    }

    static func invalid(_ message: String) -> APIStatus {
        APIStatus(code: 422, reason: "Invalid", message: message)
    }

    /// As in `pods is forbidden: User "x" cannot list resource "pods" in API group "" at the cluster scope`.
    static func forbidden(_ request: ReceivedRequest) -> APIStatus {
        APIStatus(
            code: 403, reason: "Forbidden",
            message:
                "\(request.resource) is forbidden: User \"\(request.user ?? "system:anonymous")\" cannot "
                + "\(request.verb) resource \"\(request.resource)\" in API group \"\(request.group)\" "
                + (request.namespace.map { "in the namespace \"\($0)\"" } ?? "at the cluster scope"))
    }

    static func tooOld(_ version: UInt64, oldest: UInt64? = nil) -> APIStatus {
        APIStatus(
            code: 410, reason: "Expired",
            message: "too old resource version: \(version)" + (oldest.map { " (\($0))" } ?? ""))
    }

    static func continueTooOld(next: String) -> APIStatus {
        var status = APIStatus(
            code: 410, reason: "Expired",
            message: "The provided continue parameter is too old to display a consistent list result.")
        status.continueToken = next
        return status
    }

    static func tooNew(_ version: UInt64, current: UInt64) -> APIStatus {
        APIStatus(
            code: 504, reason: "Timeout",
            message: "Too large resource version: \(version), current: \(current)",
            retryAfterSeconds: 1)
    }

    func document(_ type: MediaType) -> [UInt8] {
        var metadata = APIMessage()
        metadata.addPlain(1, "selfLink", .string(""))
        metadata.addPlain(2, "resourceVersion", .string(""))
        metadata.addPlain(3, "continue", .string(continueToken))
        var item = APIMessage()
        // JSON has `"metadata":{}` even then.
        item.add(1, "metadata", .message(metadata))
        item.add(2, "status", .string("Failure"))
        item.add(3, "message", .string(message))
        item.add(4, "reason", .string(reason))
        if let retryAfterSeconds {
            let details: APIMessage = [
                .init(number: 5, name: "retryAfterSeconds", value: .integer(Int64(retryAfterSeconds)))
            ]
            item.add(5, "details", .message(details))
        }
        item.add(6, "code", .integer(Int64(code)))
        let bytes = type == .protobuf ? item.protobuf : Array(item.json)
        return Envelope.document(bytes, apiVersion: "v1", kind: "Status", type)
    }
}
