internal import Foundation
internal import TemporaryFiles

/// A certificate and its key, as PEM.
public struct Credential: Sendable, Equatable {
    public var certificate: String
    public var key: String
}

/// Issues certificates as a cluster's own authority does; needs the `openssl` command.
public struct CertificateAuthority: Sendable {
    /// Its own certificate and key.
    public let credential: Credential

    public var certificate: String { credential.certificate }

    /// Throws `OpenSSLError`.
    public init(_ name: String = "test-ca") throws {
        credential = try OpenSSL.issue(
            subject: "/CN=\(name)", by: nil,
            extensions: [
                "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature",
            ])
    }

    /// A certificate for a server.
    public func server(
        names: [String] = ["localhost", "kubernetes.default.svc"], addresses: [String] = ["127.0.0.1", "::1"]
    ) throws -> Credential {
        let alternatives = names.map { "DNS:\($0)" } + addresses.map { "IP:\($0)" }
        return try OpenSSL.issue(
            subject: "/CN=kube-apiserver", by: credential,
            extensions: [
                "basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth",
                "subjectAltName=\(alternatives.joined(separator: ","))",
            ])
    }

    /// A certificate for a client.
    public func client(_ user: String = "system:kube-proxy") throws -> Credential {
        try OpenSSL.issue(
            subject: "/O=system:nodes/CN=\(user)", by: credential,
            extensions: ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth"])
    }
}

/// What `openssl` said when it failed, or why it couldn't be run.
public struct OpenSSLError: Error, CustomStringConvertible {
    public let description: String
}

private enum OpenSSL {
    /// The system's own openssl.cnf may add what it likes.
    private static let configuration = """
        [req]
        distinguished_name = name
        prompt = no
        [name]
        CN = unused

        """

    /// An elliptic curve key and a certificate for it, good for two days.
    ///
    /// - Parameter issuer: nil: it is signed with its own key.
    static func issue(subject: String, by issuer: Credential?, extensions: [String]) throws -> Credential {
        let directory = try TemporaryDirectory()
        let settings = try directory.write(configuration, to: "openssl.cnf")
        var arguments = [
            "req", "-x509", "-config", settings, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", subject, "-keyout", directory["key.pem"], "-out",
            directory["certificate.pem"],
        ]
        for text in extensions { arguments += ["-addext", text] }
        if let issuer {
            arguments += [
                "-CA", try directory.write(issuer.certificate, to: "ca.pem"), "-CAkey",
                try directory.write(issuer.key, to: "ca-key.pem"),
            ]
        }
        try run(arguments)
        return Credential(
            certificate: try directory.read("certificate.pem"), key: try directory.read("key.pem"))
    }

    private static func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw OpenSSLError(description: "openssl \(arguments[0]) failed: \(text)")
        }
    }
}
