import ArgumentParser
import ClusterGenerator
import Foundation
import KubernetesAPI
import TestAPIServer

/// Serves the cluster that is measured, for a kube-proxy in the same namespace; ends by itself.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(shouldDisplay: false)

    @Option var folder: String
    @Option var services: Int
    @Option var endpoints: Int
    @Option var seconds: Int

    func run() async throws {
        let cluster = MeasuredCluster(
            generated: GeneratedCluster(services: services, endpoints: endpoints))
        let store = ObjectStore()
        for object in cluster.objects { store.put(APIObject(object)) }
        store.put(APIObject(Node(name: GeneratedCluster.nodeName(0))))
        store.encodeAll(.protobuf)
        var settings = TestAPIServer.Configuration()
        settings.mediaTypes = [.json, .protobuf]
        let authority = try CertificateAuthority()
        let server = try TestAPIServer(store, credential: authority.server(), configuration: settings)
        try await server.start(port: 0)
        let kubeconfig = URL(filePath: folder).appending(path: "kubeconfig")
        let text = Kubeconfig(server: server.url, authority: authority.certificate).text
        try Data(text.utf8).write(to: kubeconfig)
        FileHandle.standardOutput.write(Data("\(server.url)\n".utf8))
        try await Task.sleep(for: .seconds(seconds))
        await server.stop()
    }
}
