package import Agent
import HostNetwork
import IPAddressing
package import KubernetesAPI
package import NFTables
package import Ruleset
package import ServiceModel

/// A cluster of Services of every kind that the rules know, small.
package enum SampleCluster {
    private static let node = "node"

    /// What differs most in the rules: how local pods are told.
    package static let settings = [
        ProxySettings(nodeName: node, localMode: .nodeCIDR),
        ProxySettings(nodeName: node, localMode: .interfaceNamePrefix("cni")),
    ]

    /// What `Agent` makes of it.
    package static func plans(
        _ settings: ProxySettings
    ) -> (plans: [(name: ObjectName, plan: ServicePlan?)], environment: NodeEnvironment) {
        var planner = Planner(settings: settings)
        planner.apply(objects)
        let step = planner.step()
        return (step.plans, planner.environment)
    }

    /// The tables as they are to be.
    package static func tables(_ settings: ProxySettings) -> [Table] {
        var compiler = RulesetCompiler(nodeName: node, settings: settings.ruleset)
        let (plans, environment) = plans(settings)
        _ = compiler.update(plans)
        _ = compiler.update(environment: environment)
        return AddressFamily.allCases.map { compiler.table($0) }
    }

    // MARK: Objects

    private static var objects: [ClusterObject] {
        [
            .node(
                Node(
                    name: node, podCIDRs: networks("10.244.0.0/24", "fd00:244::/64"),
                    addresses: addresses("198.51.100.1", "2001:db8::1"))),
            .serviceCIDR(
                ServiceCIDR(name: "kubernetes", networks: networks("10.96.0.0/16", "fd00:96::/112"))),
            .service(service("web", 1)),
            .service(service("single", 2)),
            .service(service("empty", 3)),
            .service(service("sticky", 4, affinity: 600)),
            .service(published("open", 5, affinity: nil, policy: .cluster, ranges: nil)),
            .service(
                published(
                    "guarded", 6, affinity: 600, policy: .local,
                    ranges: networks("203.0.113.0/24", "2001:db8:1::/48"))),
        ]
            + slices("web", 3) + slices("single", 1) + slices("sticky", 2) + slices("open", 2)
            + slices("guarded", 4)
    }

    private static func name(_ name: String) -> ObjectName { ObjectName(namespace: "default", name: name) }
    private static func addresses(_ texts: String...) -> [IPAddress] { texts.compactMap { IPAddress($0) } }
    private static func networks(_ texts: String...) -> [IPNetwork] { texts.compactMap { IPNetwork($0) } }

    private static func ports(nodePort: UInt16? = nil) -> [Service.Port] {
        TransportProtocol.allCases.map {
            Service.Port(name: "\($0)", transport: $0, port: 80, nodePort: nodePort)
        }
    }

    private static func service(_ text: String, _ number: Int, affinity: UInt32? = nil) -> Service {
        Service(
            name: name(text), clusterIPs: addresses("10.96.0.\(number)", "fd00:96::\(number)"),
            ports: ports(), affinityTimeout: affinity)
    }

    private static func published(
        _ text: String, _ number: Int, affinity: UInt32?, policy: Service.TrafficPolicy,
        ranges: [IPNetwork]?
    ) -> Service {
        Service(
            name: name(text), kind: .loadBalancer,
            clusterIPs: addresses("10.96.0.\(number)", "fd00:96::\(number)"),
            ports: ports(nodePort: 30_000 + UInt16(number)), affinityTimeout: affinity,
            externalTrafficPolicy: policy,
            externalIPs: addresses("192.0.2.\(number)", "2001:db8:2::\(number)"),
            loadBalancerIPs: addresses("192.0.2.1\(number)", "2001:db8:2::1\(number)"), sourceRanges: ranges)
    }

    /// Endpoints, every other one on this node.
    private static func slices(_ service: String, _ count: Int) -> [ClusterObject] {
        AddressFamily.allCases.map { family in
            let prefix = family == .ipv4 ? "10.244.0." : "fd00:244::"
            return .endpointSlice(
                EndpointSlice(
                    name: name("\(service)-ipv\(family.rawValue)"), service: name(service), family: family,
                    endpoints: (1...count).compactMap { number in
                        IPAddress("\(prefix)\(number)").map {
                            .init(address: $0, nodeName: number.isMultiple(of: 2) ? "other" : node)
                        }
                    },
                    ports: TransportProtocol.allCases.map {
                        .init(name: "\($0)", transport: $0, port: 8080)
                    }))
        }
    }
}
