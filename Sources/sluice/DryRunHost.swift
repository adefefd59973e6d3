import Agent
import HostNetwork
import KubernetesAPI
import Logging

extension Run {
    /// The addresses of the host that a dry run is about: this machine's, unless the Node is another one; of that only
    /// what the Node tells is known.
    func hostAddresses(
        _ objects: [ClusterObject], _ settings: ProxySettings, _ logger: Logger
    ) -> [HostAddress]? {
        guard let here = try? HostAddresses.read() else { return nil }
        for case .node(let node) in objects where node.name == settings.nodeName {
            if node.addresses.isEmpty || here.contains(where: { node.addresses.contains($0.address) }) {
                return here
            }
            logger.info(
                "this machine isn't Node \(node.name): of that one's addresses those count that the Node tells"
            )
            return nil
        }
        return here
    }
}
