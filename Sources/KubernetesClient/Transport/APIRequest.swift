import Foundation

/// A request to the API server.
struct APIRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case patch = "PATCH"
    }

    var method = Method.get
    /// From the API's root.
    var path: String
    var query: [(name: String, value: String)] = []
    /// The header `Accept`.
    var accept: String
    var body: [UInt8]?
    /// The header `Content-Type`, with a body.
    var contentType: String?
    /// As in messages and in RBAC: `list`, `watch`, `create`.
    var verb: String
    /// As in messages and in RBAC: `services`.
    var resource: String

    /// Path and query as they are sent.
    func target(prefix: String) -> String {
        guard !query.isEmpty else { return prefix + path }
        let parts = query.map { "\($0.name)=\(Self.escape($0.value))" }
        return "\(prefix)\(path)?\(parts.joined(separator: "&"))"
    }

    private static let plain = CharacterSet(
        charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")

    private static func escape(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: plain) ?? ""
    }
}
