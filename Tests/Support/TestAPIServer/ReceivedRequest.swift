public import Foundation

/// A request as the server understood it.
public struct ReceivedRequest: Sendable {
    /// What access rules are about: `list` and so on.
    public enum Verb: String, Sendable, Hashable {
        case list, watch, get, create, patch
        /// A path that isn't a resource's, such as `/healthz`.
        case other
    }

    /// Counted from 0 over the server's life.
    public internal(set) var number = 0
    /// The connection it came on, counted from 0: two requests with the same one shared a connection.
    public internal(set) var connection = 0
    public var method: String
    /// Path and query as they came.
    public var uri: String
    public var verb: Verb
    /// Empty for the core group, and for other paths.
    public var group = ""
    /// The resource's name in the path, whether or not the server has such a one; empty for other paths.
    public var resource = ""
    public var namespace: String?
    public var name: String?
    public var query: [String: String]
    /// Names in lower case; of repeated ones, the values with a comma between them.
    public var headers: [String: String]
    /// When it was here in whole.
    public internal(set) var time = ContinuousClock.now
    /// Who the server took the client for; nil: it didn't know.
    public internal(set) var user: String?
    /// Of a POST or PATCH.
    public internal(set) var body = Data()

    /// A page of a list that is not the first.
    public var isContinuation: Bool { query["continue", default: ""] != "" }
    /// A watch that is to begin with all objects.
    public var wantsInitialEvents: Bool { query["sendInitialEvents"] == "true" }

    var bearerToken: String? {
        guard let value = headers["authorization"], value.hasPrefix("Bearer ") else { return nil }
        return String(value.dropFirst(7))
    }

    init(method: String, uri: String, headers: [(name: String, value: String)]) {
        self.method = method
        self.uri = uri
        // As Go's url.ParseQuery: a plus sign is a space.
        let components = URLComponents(string: uri.replacing("+", with: "%20"))
        query = Dictionary(
            (components?.queryItems ?? []).map { ($0.name, $0.value ?? "") },
            uniquingKeysWith: { first, _ in first })
        self.headers = Dictionary(
            headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { "\($0),\($1)" })
        verb = .other
        var path = (components?.path ?? "").split(separator: "/").map(String.init)
        if path.starts(with: ["api", "v1"]) {
            path.removeFirst(2)
        } else if path.count >= 3, path[0] == "apis" {
            // Kinds of other versions than v1 are kinds that the server doesn't have.
            group = path[2] == "v1" ? path[1] : "\(path[1])/\(path[2])"
            path.removeFirst(3)
        } else {
            return
        }
        if path.count >= 3, path[0] == "namespaces" {
            namespace = path[1]
            path.removeFirst(2)
        }
        guard let first = path.first, path.count <= 2 else { return }
        resource = first
        name = path.count == 2 ? path[1] : nil
        switch method {
        case "GET" where ["1", "true"].contains(query["watch"]): verb = .watch
        case "GET": verb = name == nil ? .list : .get
        case "POST": verb = .create
        case "PATCH": verb = .patch
        default: verb = .other
        }
    }

    /// The resource, when the server could have it.
    var knownResource: APIResource? {
        guard let known = APIResource(rawValue: resource), known.group == group else { return nil }
        return known
    }

    /// What the query and the path select, or what is wrong with them.
    ///
    /// - Parameter takesClusterIP: whether Services can be selected by `spec.clusterIP`.
    func selection(takesClusterIP: Bool) throws(APIStatus) -> ObjectSelection {
        guard let labels = LabelSelector(query["labelSelector"] ?? "") else {
            throw .badRequest("unable to parse requirement: \(query["labelSelector"] ?? "")")
        }
        var selection = ObjectSelection(labels: labels, namespace: namespace, name: name)
        for term in (query["fieldSelector"] ?? "").split(separator: ",") {
            if term.hasPrefix("metadata.name=") {
                selection.name = String(term.trimmingPrefix("metadata.name=").trimmingPrefix("="))
            } else if term == "spec.clusterIP!=None", knownResource == .services, takesClusterIP {
                selection.leavesOutHeadless = true
            } else {
                throw .badRequest("field label not supported: \(term)")
            }
        }
        return selection
    }

    /// The media type to answer in: the first acceptable one by the client's order and weights; nil: none.
    func mediaType(of offered: [MediaType]) -> MediaType? {
        let accepted = (headers["accept"] ?? "*/*").split(separator: ",").map { range in
            let parts = range.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
            let weight =
                parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            return (type: parts.first ?? "", weight: weight)
        }
        // `sorted` is stable.
        for (range, weight) in accepted.sorted(by: { $0.weight > $1.weight }) where weight > 0 {
            let match = offered.first {
                range == $0.rawValue || range == "*/*" || (range == "application/*")
            }
            if let match { return match }
        }
        return nil
    }
}
