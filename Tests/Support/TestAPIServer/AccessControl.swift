internal import Synchronization

/// Who may do what: authentication by bearer token or client certificate, and rules by verb and resource.
public final class AccessControl: Sendable {
    private struct State {
        var tokens: Set<String> = []
        var needsCredentials = false
        var forbidden: Set<Rule> = []
    }

    private struct Rule: Hashable {
        /// nil: all.
        var verb: ReceivedRequest.Verb?
        var resource: String
    }

    private let state = Mutex(State())

    public init() {}

    /// From now on only these are accepted; without tokens, only client certificates.
    public func accept(tokens: Set<String>) {
        state.withLock {
            $0.tokens = tokens
            $0.needsCredentials = true
        }
    }

    /// Anyone may come, with or without credentials: how the server begins.
    public func acceptAnyone() { state.withLock { $0.needsCredentials = false } }

    /// - Parameter verb: nil for all of them.
    public func forbid(_ verb: ReceivedRequest.Verb? = nil, _ resource: String) {
        _ = state.withLock { $0.forbidden.insert(Rule(verb: verb, resource: resource)) }
    }

    public func allowAll() { state.withLock { $0.forbidden = [] } }

    /// - Parameter certificate: the subject of the client's certificate, once TLS has checked it.
    /// - Returns: the user's name.
    func authenticate(_ request: ReceivedRequest, certificate: String?) throws(APIStatus) -> String {
        let (tokens, needsCredentials) = state.withLock { ($0.tokens, $0.needsCredentials) }
        if let certificate { return certificate }
        if let token = request.bearerToken, tokens.contains(token) { return "token \(token)" }
        if needsCredentials { throw APIStatus(code: 401) }
        return "system:anonymous"
    }

    func authorize(_ request: ReceivedRequest) throws(APIStatus) {
        let isForbidden = state.withLock { state in
            state.forbidden.contains(Rule(verb: nil, resource: request.resource))
                || state.forbidden.contains(Rule(verb: request.verb, resource: request.resource))
        }
        if isForbidden { throw .forbidden(request) }
    }
}
