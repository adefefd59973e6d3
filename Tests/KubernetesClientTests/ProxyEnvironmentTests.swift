import Testing

@testable import KubernetesClient

@Suite("The environment's proxy")
struct ProxyEnvironmentTests {
    private func proxy(_ server: String, _ environment: [String: String]) throws -> String? {
        try ProxyEnvironment(environment).proxy(for: ServerURL(server, fallback: .https)).map {
            "\($0.host):\($0.port)"
        }
    }

    @Test("by the server's scheme, in either case, with or without a scheme of its own")
    func variables() throws {
        #expect(try proxy("https://api", ["HTTPS_PROXY": "http://p:3128"]) == "p:3128")
        #expect(try proxy("https://api", ["https_proxy": "p:3128"]) == "p:3128")
        #expect(try proxy("https://api", ["HTTPS_PROXY": "socks5://p"]) == "p:1080")
        #expect(try proxy("https://api", ["HTTP_PROXY": "p:3128"]) == nil)
        #expect(try proxy("http://api", ["HTTP_PROXY": "p:3128"]) == "p:3128")
        #expect(try proxy("https://api", [:]) == nil)
        let error = #expect(throws: CredentialError.self) {
            try proxy("https://api", ["https_proxy": "ftp://p"])
        }
        #expect(error?.field == "https_proxy")
    }

    @Test(
        "what NO_PROXY exempts",
        arguments: [
            ("10.96.0.1", "10.96.0.0/12", true), ("10.96.0.1", "10.0.0.0/16", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("[fd00::1]:6443", "fd00::/8", true), ("[fd00::1]:6443", "[fd00::1]:6443", true),
            ("[fd00::1]:6443", "[fd00::1]:443", false), ("api.example.com", "example.com", true),
            ("api.example.com", ".example.com", true), ("example.com", ".example.com", false),
            ("api.example.com", "*.example.com", true), ("badexample.com", "example.com", false),
            ("API.Example.com", "a, example.COM", true), ("api:6443", "api:6443", true),
            ("api:6443", "api:443", false),
            ("api", "*", true), ("localhost:6443", "", true), ("127.0.0.1:6443", "", true),
            ("[::1]:6443", "", true),
            ("api", "", false), ("api", ",,", false),
        ])
    func exemptions(server: String, list: String, isExempt: Bool) throws {
        let found = try proxy("https://\(server)", ["HTTPS_PROXY": "p:1", "NO_PROXY": list])
        #expect((found == nil) == isExempt)
    }
}
