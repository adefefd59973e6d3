import AsyncHTTPClient
import Glibc
import KubernetesWire
import NIOCore
import NIOPosix
import NIOSSL

/// Why a request came to nothing, or a response broke off.
struct RequestFailure: Error, Equatable {
    /// What tells one failure from another in the log: the same again is not told again.
    enum Reason: Hashable, Sendable {
        /// Files or a plugin: nothing was sent.
        case credentials(String)
        /// No connection; the error number where the kernel gave one.
        case unreachable(CInt?)
        case nameUnknown
        /// The server's certificate isn't one that is trusted, or not of this name.
        case certificate
        case tls
        /// A proxy on the way.
        case proxy
        case connectTimeout
        case headTimeout
        /// The body stopped coming, or a watch outlived its time.
        case silence
        /// The body ended before its end.
        case brokenOff
        /// A watch that ended as soon as it had begun.
        case endedAtOnce
        /// A status that isn't 2xx, or the ERROR event of a watch.
        case status(Int)
        /// A body that can't be read on, or of a type nobody asked for.
        case undecodable
        case other(String)
    }

    var reason: Reason
    /// For people, in one line.
    var message: String
    /// What the server says of when to ask again.
    var retryAfter: Duration?
    /// `reason` of the server's `v1.Status`; empty without.
    var statusReason = ""

    init(_ reason: Reason, _ message: String, retryAfter: Duration? = nil, statusReason: String = "") {
        self.reason = reason
        self.message = message
        self.retryAfter = retryAfter
        self.statusReason = statusReason
    }

    init(_ error: CredentialError) {
        self.init(.credentials(error.problem), error.description)
    }

    /// - Parameter retryAfter: the header `Retry-After`.
    init(_ status: StatusError, retryAfter: Duration? = nil) {
        let name =
            switch status.code {
            case 401: "unauthorized"
            case 403: "forbidden"
            case 404: "not found"
            case 410: "gone"
            case 429: "too many requests"
            default: status.code >= 500 ? "the server failed" : "refused"
            }
        let message = Self.oneLine(status.message)
        self.init(
            .status(status.code), "\(status.code) \(name)" + (message.isEmpty ? "" : ": \(message)"),
            retryAfter: retryAfter ?? status.retryAfterSeconds.map { .seconds($0) },
            statusReason: status.reason)
    }

    /// Text from a server, fit for one line of a log.
    static func oneLine(_ text: String) -> String {
        var line = ""
        for scalar in text.unicodeScalars.prefix(300) {
            switch scalar {
            case "\u{20}"..."\u{7e}": line.unicodeScalars.append(scalar)
            case "\n", "\r", "\t": line.append(" ")
            default: line.append("?")
            }
        }
        return line
    }

    /// True when the version asked from is no longer kept, or not yet known.
    var isVersionUnavailable: Bool {
        switch reason {
        case .status(410): true
        case .status(let code):
            statusReason == "Expired" || (code == 504 && message.contains("Too large resource version"))
        default: false
        }
    }

    var code: Int? { if case .status(let code) = reason { code } else { nil } }
}

extension RequestFailure {
    /// What AsyncHTTPClient and the layers below it throw.
    init(connecting error: any Error) {
        switch error {
        case let failure as RequestFailure: self = failure
        case let error as CredentialError: self.init(error)
        case let error as HTTPClientError: self.init(error)
        case let error as NIOConnectionError: self.init(error)
        case let error as IOError:
            self.init(.unreachable(error.errnoCode), Self.text(error))
        case let error as NIOSSLError: self.init(error)
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            self.init(.certificate, "the server's certificate is for other names than this")
        case let error as NIOSSLExtraError: self.init(.tls, "TLS: \(Self.oneLine("\(error)"))")
        case let error as ChannelError
        where error == .eof || error == .ioOnClosedChannel
            || error == .inputClosed || error == .alreadyClosed || error == .outputClosed:
            self.init(.brokenOff, "the server closed the connection")
        case ChannelError.connectTimeout:
            self.init(.connectTimeout, "no connection in time")
        default:
            self.init(.other("\(type(of: error))"), Self.oneLine("\(error)"))
        }
    }

    private init(_ error: HTTPClientError) {
        switch error {
        case .connectTimeout: self.init(.connectTimeout, "no connection in time")
        case .tlsHandshakeTimeout: self.init(.connectTimeout, "no TLS handshake in time")
        case .deadlineExceeded, .getConnectionFromPoolTimeout:
            self.init(.headTimeout, "no response in time")
        case .readTimeout: self.init(.silence, "the response stopped")
        case .remoteConnectionClosed, .uncleanShutdown, .cancelled, .requestStreamCancelled:
            self.init(.brokenOff, "the server closed the connection")
        case .invalidProxyResponse, .proxyAuthenticationRequired, .socksHandshakeTimeout,
            .httpProxyHandshakeTimeout:
            self.init(.proxy, "the proxy: \(error.shortDescription)")
        default: self.init(.other(error.shortDescription), error.shortDescription)
        }
    }

    private init(_ error: NIOConnectionError) {
        let failures = error.connectionErrors.compactMap { $0.error as? IOError }
        if let first = failures.first {
            self.init(.unreachable(first.errnoCode), Self.text(first))
        } else if error.dnsAError != nil || error.dnsAAAAError != nil {
            self.init(.nameUnknown, "the name \(error.host) has no address")
        } else if error.connectionErrors.contains(where: {
            if case ChannelError.connectTimeout = $0.error { true } else { false }
        }) {
            self.init(.connectTimeout, "no connection in time")
        } else {
            self.init(.unreachable(nil), "no connection to \(error.host)")
        }
    }

    private init(_ error: NIOSSLError) {
        switch error {
        case .handshakeFailed(let inner):
            let text = "\(inner)"
            if text.contains("CERTIFICATE_VERIFY_FAILED") {
                self.init(
                    .certificate,
                    "the server's certificate isn't signed by a trusted authority, or not valid now")
            } else if text.contains("CERTIFICATE_REQUIRED") || text.contains("ALERT_BAD_CERTIFICATE")
                || text.contains("UNKNOWN_CA") || text.contains("CERTIFICATE_EXPIRED")
            {
                self.init(.tls, "the server refused this client's certificate")
            } else if text.contains("EOF") {
                self.init(.brokenOff, "the server closed the connection in the TLS handshake")
            } else {
                self.init(.tls, "TLS handshake: \(Self.reason(of: text))")
            }
        case .unableToValidateCertificate, .noCertificateToValidate:
            self.init(.certificate, "the server's certificate can't be checked")
        case .uncleanShutdown: self.init(.brokenOff, "the server closed the connection")
        default: self.init(.tls, "TLS: \(error)")
        }
    }

    /// OpenSSL's `error:code:library:function:REASON at file:line`: the reason.
    private static func reason(of text: String) -> String {
        for word in text.split(whereSeparator: { $0 == ":" || $0 == " " })
        where word.count > 4 && word.allSatisfy({ $0.isUppercase || $0.isNumber || $0 == "_" })
            && word.contains("_")
        {
            return String(word)
        }
        return oneLine(text)
    }

    private static func text(_ error: IOError) -> String {
        String(cString: strerror(error.errnoCode)).lowercased()
    }
}
