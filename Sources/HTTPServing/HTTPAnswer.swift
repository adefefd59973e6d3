/// A request, as far as servers that only tell something look at it: a GET or a HEAD.
public struct HTTPRequest: Sendable, Equatable {
    /// The request target without its query: `/healthz`. As it came: nothing is decoded.
    public var path: String

    public init(path: String) { self.path = path }

    /// - Parameter target: in origin form (RFC 9112, section 3.2.1).
    init(target: String) {
        path = String(target.prefix { $0 != "?" && $0 != "#" })
    }
}

/// The answer to one request.
public struct HTTPAnswer: Sendable, Equatable {
    public struct Field: Sendable, Equatable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The status code, such as 200.
    public var status: Int
    /// Beside those about length and connection, which the server adds itself.
    public var fields: [Field]
    public var body: String

    public init(status: Int = 200, fields: [Field] = [], body: String = "") {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// An answer with a body of one type, which no browser shall take for another.
    public init(status: Int = 200, type: String, body: String) {
        self.init(
            status: status,
            fields: [Field("Content-Type", type), Field("X-Content-Type-Options", "nosniff")], body: body)
    }

    /// Plain text in UTF-8.
    public static func text(_ body: String, status: Int = 200) -> HTTPAnswer {
        HTTPAnswer(status: status, type: "text/plain; charset=utf-8", body: body)
    }

    public static func json(_ body: String, status: Int = 200) -> HTTPAnswer {
        HTTPAnswer(status: status, type: "application/json", body: body)
    }
}

/// What one port grants its clients.
public struct HTTPLimits: Sendable, Equatable {
    /// Connections at once; a further one closes the oldest.
    public var connections: Int
    /// How long a client may take for a whole request, and for taking the answer.
    public var patience: Duration

    public init(connections: Int = 256, patience: Duration = .seconds(10)) {
        self.connections = connections
        self.patience = patience
    }
}
