import Foundation

/// Where the API server is and what proves who asks, as a configuration says it: files it names aren't read yet.
struct ServerAccess: Sendable, Equatable {
    /// Bytes from the configuration, or a file that is read when they are needed.
    struct Material: Sendable, Equatable {
        enum Place: Sendable, Equatable {
            case data(Secret<[UInt8]>)
            case file(String)
        }

        var place: Place
        /// The configuration's file and field, for messages.
        var origin: Origin

        /// Nil for bytes from the configuration itself.
        var file: String? { if case .file(let path) = place { path } else { nil } }
    }

    struct Origin: Sendable, Equatable {
        var file: String?
        var field: String?

        func error(_ message: String) -> CredentialError {
            CredentialError(file: file, field: field, message: message)
        }
    }

    /// How the server proves who it is.
    enum Verification: Sendable, Equatable {
        /// By the host's certificate authorities.
        case systemRoots
        case authority(Material)
        /// Not at all (`insecure-skip-tls-verify`).
        case none
    }

    /// How this client proves who it is; without any, it asks as `system:anonymous`.
    struct Identity: Sendable, Equatable {
        var certificate: Material?
        var key: Material?
        var token: Secret<String>?
        /// Wins over `token` while it can be read.
        var tokenFile: Material?
        var basic: Secret<[String]>?
        /// Counts when nothing above is given.
        var exec: ExecPlugin?

        var isEmpty: Bool { self == Identity() }
    }

    var server: ServerURL
    /// The name the server's certificate must have; nil: the host of the URL (`tls-server-name`).
    var serverName: String?
    var verification: Verification
    var proxy: ProxyURL?
    var identity: Identity
    /// True when it comes from the pod's environment.
    var isInCluster = false

    /// Whether the server's certificate can be checked through a proxy. The TLS library checks an address against the
    /// peer of the connection, which is the proxy then.
    var canBeProxied: Bool {
        server.scheme == .http || !server.isAddress || serverName != nil || verification == .none
    }
}

/// A proxy on the way to the API server.
struct ProxyURL: Sendable, Hashable {
    enum Kind: Sendable { case http, socks5 }

    var kind: Kind
    var host: String
    var port: UInt16
    /// User and password.
    var basic: Secret<[String]>?

    init(_ text: String) throws(ServerURL.Refusal) {
        guard let separator = text.firstRange(of: "://") else {
            throw ServerURL.Refusal(message: "a URL of scheme http or socks5 is needed")
        }
        switch text[..<separator.lowerBound].lowercased() {
        case "http": kind = .http
        case "socks5", "socks5h": kind = .socks5
        default: throw ServerURL.Refusal(message: "a URL of scheme http or socks5 is needed")
        }
        var authority = text[separator.upperBound...].prefix { $0 != "/" }
        if let at = authority.lastIndex(of: "@") {
            let parts = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard kind == .http, parts.count == 2, let user = String(parts[0]).removingPercentEncoding,
                let password = String(parts[1]).removingPercentEncoding
            else { throw ServerURL.Refusal(message: "user and password go with a proxy of scheme http only") }
            basic = Secret([user, password])
            authority = authority[authority.index(after: at)...]
        }
        (host, port) = try ServerURL.split(authority, port: kind == .http ? 80 : 1080)
    }
}
