/// How all objects are asked for: what the server has refused until now decides.
struct ListManner: Sendable {
    private let settings: ReflectorSettings
    /// The server no longer has the version, or not yet: only its newest is sure to be had.
    private var isVersionUnavailable = false
    /// The next list comes by pages, whatever the settings say.
    private var mustPage = false
    /// An expired continue token, or one that leads nowhere: the next list comes whole.
    private var mustBeWhole = false

    init(_ settings: ReflectorSettings) { self.settings = settings }

    /// What to ask for first.
    ///
    /// - Parameters:
    ///   - version: what all told objects are at least of; nil: nothing was told.
    ///   - seconds: how long a stream may go on behind its objects.
    func purpose(from version: String?, seconds: Int) -> ReflectorRequest.Purpose {
        if settings.streamsLists && !mustPage {
            // Not older than what was told, or else the newest.
            return .stream(version: isVersionUnavailable ? "" : version ?? "", seconds: seconds)
        }
        // As client-go: 0 lets the server answer from memory. A server ignores a limit then, or has no such memory;
        // with another version a limit would keep it from using that memory.
        let from = isVersionUnavailable ? "" : version ?? "0"
        let limit = (from.isEmpty || from == "0") && !mustBeWhole ? settings.pageSize : 0
        return .list(version: from, limit: limit, continueToken: nil)
    }

    /// All objects have come: what was refused may be had next time.
    mutating func complete() { self = ListManner(settings) }

    /// The server can't stream, or the stream came to nothing.
    mutating func page() { mustPage = true }

    /// The pages of a list lead nowhere; without pages there may be no such trouble.
    mutating func takeWhole() { mustBeWhole = true }

    /// The kind isn't there; when it is, it may be streamed.
    mutating func absent() { mustPage = false }

    /// The server can't answer a list or stream for its version: the newest is asked for.
    ///
    /// - Returns: whether to ask at once; false where the newest was asked for already.
    mutating func versionRefused(for purpose: ReflectorRequest.Purpose) -> Bool {
        defer { isVersionUnavailable = true }
        switch purpose {
        case .list(_, let limit, let token) where token != nil && limit > 0:
            // The token has expired; a list that comes whole needs none.
            mustBeWhole = true
            return true
        case .stream where isVersionUnavailable:
            mustPage = true
            return false
        default: return !isVersionUnavailable
        }
    }
}
