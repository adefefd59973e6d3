import IPAddressing
import NIOCore
import NIOSSL

/// What the server's certificate must be for: the name or the address that the configuration gives, nothing else.
///
/// NIOSSL's own check is content with a certificate for the name *or* for the address that the connection leads to, and
/// with the common name of one that is for neither. So whoever holds a certificate for an address could stand in for a
/// server that is given by its name. Go's crypto/x509, by which kube-proxy checks, asks for the one that was given.
enum ServerIdentity: Sendable, Hashable {
    case name(String)
    case address(IPAddress)

    /// - Parameter host: as a URL or `tls-server-name` has it.
    init(_ host: String) {
        self = IPAddress(host).map { .address($0) } ?? .name(host)
    }

    /// Ends a connection whose peer is somebody else, before a request is sent on it.
    ///
    /// - Parameter channel: after the TLS handshake.
    func check(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.nioSSL_peerCertificate().flatMapThrowing { certificate in
            guard let certificate, isMet(by: certificate) else {
                throw RequestFailure(.certificate, "the server's certificate is for other names than \(self)")
            }
        }.flatMapError { error in
            // AsyncHTTPClient leaves it to this to close the connection, and its pool wants to hear that it is closed
            // before it hears that it came to nothing.
            channel.close(promise: nil)
            return channel.closeFuture.flatMapThrowing { throw error }
        }
    }

    /// Whether one of the certificate's alternative names is this one.
    func isMet(by certificate: NIOSSLCertificate) -> Bool {
        certificate._subjectAlternativeNames().contains { name in
            switch self {
            case .name(let wanted):
                name.nameType == .dnsName && Self.matches(wanted, pattern: name.contents)
            case .address(let wanted):
                name.nameType == .ipAddress && IPAddress(bytes: name.contents) == wanted
            }
        }
    }

    /// RFC 6125, section 6.4, as crypto/x509 has it: `*` stands for the first label, and for all of it.
    static func matches(_ name: String, pattern: some Collection<UInt8>) -> Bool {
        var wanted = labels(name.utf8)
        // The root's, of a name that ends in a dot.
        if wanted.count > 1, wanted.last == [] { wanted.removeLast() }
        let given = labels(pattern)
        guard wanted.count == given.count, !wanted.contains([]) else { return false }
        return given[0] == [UInt8(ascii: "*")] ? given.dropFirst() == wanted.dropFirst() : given == wanted
    }

    private static func labels(_ name: some Collection<UInt8>) -> [[UInt8]] {
        name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map { label in
            label.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        }
    }
}

extension ServerIdentity: CustomStringConvertible {
    var description: String {
        switch self {
        case .name(let name): name
        case .address(let address): "\(address)"
        }
    }
}

extension Endpoint {
    /// Nil where the server's certificate isn't checked.
    var identity: ServerIdentity? {
        guard let tls, tls.trust != .anything else { return nil }
        return ServerIdentity(serverName ?? server.host)
    }
}
