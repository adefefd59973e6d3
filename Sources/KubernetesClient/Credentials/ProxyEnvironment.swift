import IPAddressing

/// The proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name, by the rules of Go's `httpproxy`, which client-go
/// follows where a kubeconfig file has no `proxy-url`; kubeadm hands these variables to its DaemonSets.
struct ProxyEnvironment {
    private let environment: [String: String]

    init(_ environment: [String: String]) { self.environment = environment }

    private func variable(_ name: String) -> (name: String, value: String)? {
        for name in [name, name.lowercased()] {
            if let value = environment[name], !value.isEmpty { return (name, value) }
        }
        return nil
    }

    /// - Returns: nil when the server is to be reached without a proxy.
    func proxy(for server: ServerURL) throws(CredentialError) -> ProxyURL? {
        guard let (name, value) = variable(server.scheme == .https ? "HTTPS_PROXY" : "HTTP_PROXY"),
            !isExempt(server)
        else { return nil }
        do throws(ServerURL.Refusal) {
            return try ProxyURL(value.contains("://") ? value : "http://\(value)")
        } catch { throw CredentialError(field: name, message: error.message) }
    }

    private func isExempt(_ server: ServerURL) -> Bool {
        let host = server.host.lowercased()
        let address = IPAddress(host)
        if host == "localhost" || address.map(Self.isLoopback) == true { return true }
        let entries = (variable("NO_PROXY")?.value ?? "").split(separator: ",")
        return entries.contains { entry in
            let entry = entry.lowercased().filter { !$0.isWhitespace }
            return entry == "*" || Self.matches(entry, host: host, address: address, port: server.port)
        }
    }

    private static func isLoopback(_ address: IPAddress) -> Bool {
        let networks = [IPNetwork("127.0.0.0/8"), IPNetwork("::1/128")]
        return networks.contains { $0?.contains(address) == true }
    }

    /// An address, a CIDR, a name (its subdomains too) or a name with a dot before it (its subdomains only); a port
    /// may follow.
    private static func matches(_ entry: String, host: String, address: IPAddress?, port: UInt16) -> Bool {
        if let network = IPNetwork(entry) { return address.map(network.contains) ?? false }
        if let exempt = IPAddress(entry) { return exempt == address }
        var name = entry[...]
        if let colon = entry.lastIndex(of: ":"), let number = UInt16(entry[entry.index(after: colon)...]) {
            guard number == port else { return false }
            name = entry[..<colon]
        }
        if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
        if let exempt = IPAddress(name) { return exempt == address }
        if name.hasPrefix("*.") { name = name.dropFirst() }
        guard !name.isEmpty, address == nil else { return false }
        return name.hasPrefix(".") ? host.hasSuffix(name) : host == name || host.hasSuffix(".\(name)")
    }
}
