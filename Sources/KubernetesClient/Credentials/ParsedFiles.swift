import NIOSSL

/// Certificates and keys that were parsed before, so that what hasn't changed is the same object again.
struct ParsedFiles {
    private var certificates: [[UInt8]: [NIOSSLCertificate]] = [:]
    private var keys: [Secret<[UInt8]>: NIOSSLPrivateKey] = [:]
    /// The last that was found to belong together.
    private var pair: (certificates: [NIOSSLCertificate], key: NIOSSLPrivateKey)?

    mutating func certificates(
        _ bytes: [UInt8], error: (String) -> CredentialError
    ) throws(CredentialError) -> [NIOSSLCertificate] {
        if let known = certificates[bytes] { return known }
        guard let parsed = try? NIOSSLCertificate.fromPEMBytes(bytes), !parsed.isEmpty else {
            throw error("no certificates in PEM")
        }
        // Two of them are in use at a time: the authority's and this client's.
        if certificates.count >= 4 { certificates.removeAll() }
        certificates[bytes] = parsed
        return parsed
    }

    /// A client's certificate, with what leads to its authority, and its key.
    ///
    /// Who renews them replaces one file after the other; between the two they don't belong together, and no connection
    /// could be made with them.
    ///
    /// - Parameter material: where the key is from; nil: from where the certificate is, too.
    mutating func pair(
        _ certificate: [UInt8], _ key: [UInt8], of material: ServerAccess.Material?,
        certificateError: (String) -> CredentialError, keyError: (String) -> CredentialError
    ) throws(CredentialError) -> (certificates: [NIOSSLCertificate], key: NIOSSLPrivateKey) {
        let chain = try certificates(certificate, error: certificateError)
        let privateKey = try self.key(key, error: keyError)
        if let pair, pair.certificates == chain, pair.key == privateKey { return pair }
        var configuration = TLSConfiguration.makeClientConfiguration()
        // The host's own take long to read, and nobody is verified here.
        configuration.trustRoots = .certificates([])
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(privateKey)
        guard (try? NIOSSLContext(configuration: configuration)) != nil else {
            let name = material.map { $0.file ?? $0.origin.field ?? "" } ?? ""
            throw certificateError(
                name.isEmpty ? "certificate and key don't go together" : "doesn't go with the key, \(name)")
        }
        pair = (chain, privateKey)
        return (chain, privateKey)
    }

    mutating func key(_ bytes: [UInt8], error: (String) -> CredentialError) throws(CredentialError)
        -> NIOSSLPrivateKey
    {
        if let known = keys[Secret(bytes)] { return known }
        guard let parsed = try? NIOSSLPrivateKey(bytes: bytes, format: .pem) else {
            throw error("no private key in PEM")
        }
        keys = [Secret(bytes): parsed]
        return parsed
    }
}
