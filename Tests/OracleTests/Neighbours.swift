import IPAddressing
import KubernetesAPI

/// Other Services, of every kind, among which a change must cost the same whether they are few or many.
enum Neighbours {
    /// All of these bring the next pool of several endpoints into the same place of a map that others have begun (16 pools share
    /// one), so that costs are equal to the message.
    static let few = 5
    static let many = few + 16 * 24
    /// Enough to tell in tests of many steps.
    static let more = few + 16 * 4

    static func objects(_ count: Int) -> [ClusterObject] {
        let services = (0..<count).map(service)
        return Small.objects(
            services, services.map { Small.slice([Small.here(), Small.elsewhere()], of: $0.name.name) })
    }

    private static func service(_ n: Int) -> Service {
        Service(
            name: Small.name("neighbour-\(n)"), kind: .loadBalancer,
            clusterIPs: [Ground.address(1000 + n, in: Ground.services, .ipv4)],
            ports: [.init(port: 80, nodePort: 31_000 + UInt16(n))],
            affinityTimeout: n % 3 == 0 ? 60 : nil, externalTrafficPolicy: n % 2 == 0 ? .local : .cluster,
            loadBalancerIPs: [Ground.address(1000 + n, in: Ground.loadBalancers, .ipv4)],
            sourceRanges: n % 5 == 0 ? Ground.outside : nil)
    }
}
