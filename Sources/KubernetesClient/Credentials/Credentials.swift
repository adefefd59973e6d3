import NIOSSL

/// What one request is sent with; all files read.
struct Credentials: Sendable, Equatable {
    /// Where to, and by which TLS; another one needs other connections.
    var endpoint: Endpoint
    /// The header `Authorization`.
    var authorization: Secret<String>?
}

/// A server and how connections to it are made.
struct Endpoint: Sendable, Hashable {
    var server: ServerURL
    var serverName: String?
    var proxy: ProxyURL?
    var isInCluster: Bool
    /// Nil over plain HTTP.
    var tls: TLS?

    struct TLS: Sendable, Hashable {
        enum Trust: Sendable, Hashable {
            case systemRoots
            case authorities([NIOSSLCertificate])
            case anything
        }

        var trust: Trust
        var certificates: [NIOSSLCertificate] = []
        var key: NIOSSLPrivateKey?

        var configuration: TLSConfiguration {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            switch trust {
            case .systemRoots: configuration.trustRoots = .default
            case .authorities(let certificates): configuration.trustRoots = .certificates(certificates)
            case .anything: configuration.certificateVerification = .none
            }
            configuration.certificateChain = certificates.map { .certificate($0) }
            configuration.privateKey = key.map { .privateKey($0) }
            return configuration
        }
    }
}
