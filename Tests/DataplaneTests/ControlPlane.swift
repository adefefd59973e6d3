import IPAddressing
import KubernetesAPI
import TestAPIServer
import TestNetwork

/// An API server on the host outside, where a cluster's nodes reach it by the node's own routes.
struct ControlPlane {
    private static let certificateAuthority = Result { try CertificateAuthority() }

    let server: TestAPIServer
    /// PEM of the authority that its certificate is of.
    let authority: String

    /// Starts it; to be stopped at the end.
    init(of cluster: TestCluster, _ objects: [ClusterObject] = []) async throws {
        let address = cluster.outside.address(.ipv4)
        let certificates = try Self.certificateAuthority.get()
        authority = certificates.certificate
        server = try TestAPIServer(credential: try certificates.server(addresses: ["\(address)"]))
        put(objects)
        try await server.start(
            listener: try cluster.outside.namespace.run { try TestAPIServer.listen(on: address) })
    }

    func put(_ objects: [ClusterObject]) {
        for object in objects { server.store.put(APIObject(object)) }
    }

    func put(_ objects: ClusterObject...) { put(objects) }
}
