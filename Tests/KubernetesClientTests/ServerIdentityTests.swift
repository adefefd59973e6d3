import NIOSSL
import TestAPIServer
import Testing

@testable import KubernetesClient

@Suite("Who the server must be")
struct ServerIdentityTests {
    @Test("names are matched label by label, and * stands for the whole first one")
    func names() {
        let cases: [(name: String, pattern: String, isMatch: Bool)] = [
            ("kubernetes", "kubernetes", true), ("Kubernetes.Default", "kubernetes.dEFAULT", true),
            ("kubernetes.default.", "kubernetes.default", true),
            ("kubernetes.default", "kubernetes.default.", false),
            ("kubernetes.default", "kubernetes", false), ("kubernetes", "kubernetes.default", false),
            ("a.example.org", "*.example.org", true), ("a.b.example.org", "*.example.org", false),
            ("example.org", "*.example.org", false), ("a.example.org", "a*.example.org", false),
            ("a.example.org", "a.*.org", false), ("", "", false), (".", "*", false), ("a..b", "*..b", false),
            ("a@b", "A`b", false),
        ]
        for (name, pattern, isMatch) in cases {
            #expect(
                ServerIdentity.matches(name, pattern: pattern.utf8) == isMatch, "\(name) by \(pattern)")
        }
    }

    @Test("a name isn't met by an address, an address not by a name, and neither by the common name")
    func kinds() throws {
        let authority = try CertificateAuthority()
        func isMet(_ host: String, names: [String], addresses: [String]) throws -> Bool {
            let credential = try authority.server(names: names, addresses: addresses)
            let certificate = try NIOSSLCertificate(bytes: Array(credential.certificate.utf8), format: .pem)
            return ServerIdentity(host).isMet(by: certificate)
        }
        #expect(try isMet("192.0.2.1", names: ["a"], addresses: ["192.0.2.2", "192.0.2.1"]))
        #expect(try isMet("2001:db8::1", names: [], addresses: ["2001:db8:0:0::1"]))
        #expect(try !isMet("192.0.2.1", names: ["192.0.2.1"], addresses: ["192.0.2.2"]))
        #expect(try !isMet("192.0.2.1", names: ["kube-apiserver"], addresses: []))
        #expect(try isMet("kubernetes", names: ["a", "kubernetes"], addresses: []))
        #expect(try !isMet("kube-apiserver", names: ["kubernetes"], addresses: ["192.0.2.1"]))
    }
}
