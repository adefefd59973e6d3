/// What a pod's environment says of the API server (kubernetes.io/docs/tasks/run-application/access-api-from-pod).
///
/// `KUBERNETES_SERVICE_HOST` that the kubelet sets is the cluster IP of Service `default/kubernetes`, which only a
/// service proxy makes reachable: on a fresh node that is this program. So the pod's manifest sets the two
/// variables to an address of the API server itself, or a kubeconfig file or `--master` names one, as for
/// kube-proxy.
enum ServiceAccount {
    static let directory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// - Parameter master: wins over the environment's address when it isn't empty.
    static func access(
        environment: [String: String], master: String = "", directory: String = Self.directory
    ) throws(CredentialError) -> ServerAccess {
        let server: ServerURL
        if master.isEmpty {
            server = try self.server(environment)
        } else {
            server = try Kubeconfig.masterURL(master, fallback: .https)
        }
        func file(_ name: String) -> ServerAccess.Material {
            ServerAccess.Material(place: .file("\(directory)/\(name)"), origin: ServerAccess.Origin())
        }
        return ServerAccess(
            server: server, serverName: nil, verification: .authority(file("ca.crt")), proxy: nil,
            identity: ServerAccess.Identity(tokenFile: file("token")), isInCluster: master.isEmpty)
    }

    private static func server(_ environment: [String: String]) throws(CredentialError) -> ServerURL {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty else {
            throw CredentialError(
                field: "KUBERNETES_SERVICE_HOST",
                message:
                    "not set, so this runs in no pod: give --kubeconfig, clientConnection.kubeconfig or --master"
            )
        }
        guard let port = environment["KUBERNETES_SERVICE_PORT"], !port.isEmpty else {
            throw CredentialError(field: "KUBERNETES_SERVICE_PORT", message: "not set")
        }
        guard UInt16(port) ?? 0 > 0 else {
            throw CredentialError(field: "KUBERNETES_SERVICE_PORT", message: "not a number from 1 to 65535")
        }
        let authority = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]:\(port)" : "\(host):\(port)"
        do throws(ServerURL.Refusal) { return try ServerURL("https://\(authority)", fallback: .https) } catch
        {
            throw CredentialError(
                field: "KUBERNETES_SERVICE_HOST", message: "neither a name nor an IP address")
        }
    }
}
