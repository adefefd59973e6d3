import IPAddressing

/// An API server's address: `https://host:port/prefix`.
struct ServerURL: Hashable, Sendable {
    enum Scheme: String, Sendable {
        case http
        case https

        var port: UInt16 { self == .https ? 443 : 80 }
    }

    /// What is wrong with the text of a URL.
    struct Refusal: Error, Equatable {
        var message: String
    }

    var scheme: Scheme
    /// A name, or an IP address without brackets.
    var host: String
    var port: UInt16
    /// What comes before each path of the API; without a slash at its end.
    var prefix: String

    init(scheme: Scheme, host: String, port: UInt16, prefix: String = "") {
        self.scheme = scheme
        self.host = host
        self.port = port
        self.prefix = prefix
    }

    /// - Parameter fallback: the scheme when the text names none (`host:port`).
    init(_ text: String, fallback: Scheme) throws(Refusal) {
        var rest = Substring(text)
        scheme = fallback
        if let separator = text.firstRange(of: "://") {
            guard let named = Scheme(rawValue: text[..<separator.lowerBound].lowercased()) else {
                throw Refusal(message: "a URL of scheme https or http is needed")
            }
            scheme = named
            rest = text[separator.upperBound...]
        }
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        guard !authority.contains("@") else {
            throw Refusal(message: "a user in the URL is of no use: name it in the kubeconfig file")
        }
        guard
            path.utf8.allSatisfy({
                $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#")
            })
        else { throw Refusal(message: "the URL may have a path, but no query and no fragment") }
        (host, port) = try Self.split(authority, port: scheme.port)
        prefix = String(path)
        while prefix.hasSuffix("/") { prefix.removeLast() }
    }

    /// `host`, `host:port`, `1.2.3.4:port`, `[::1]:port`.
    static func split(_ authority: Substring, port: UInt16) throws(Refusal) -> (String, UInt16) {
        let host: Substring
        var rest: Substring
        if authority.hasPrefix("[") {
            host = authority.dropFirst().prefix { $0 != "]" }
            rest = authority.dropFirst(host.count + 1)
            guard rest.hasPrefix("]"), IPAddress(host)?.family == .ipv6 else {
                throw Refusal(message: "what stands in brackets is not an IPv6 address")
            }
            rest = rest.dropFirst()
        } else {
            host = authority.prefix { $0 != ":" }
            rest = authority.dropFirst(host.count)
            guard !host.isEmpty, host.utf8.count <= 253, host.utf8.allSatisfy(isNameByte) else {
                throw Refusal(message: "the URL names no host")
            }
        }
        guard !rest.isEmpty else { return (String(host), port) }
        guard rest.hasPrefix(":"), let number = UInt16(rest.dropFirst()), number > 0 else {
            throw Refusal(message: "the port is not a number from 1 to 65535")
        }
        return (String(host), number)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    var isAddress: Bool { IPAddress(host) != nil }

    /// As in messages and in the header `Host`; the port always with it.
    var hostAndPort: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension ServerURL: CustomStringConvertible {
    var description: String { "\(scheme.rawValue)://\(hostAndPort)\(prefix)" }
}
