public import IPAddressing
public import KubernetesAPI

extension ObjectName {
    /// `default/<name>`
    public static func `default`(_ name: String) -> ObjectName {
        ObjectName(namespace: "default", name: name)
    }
}

extension Service {
    /// The ports of a Service that says nothing about them: 80 over TCP and over UDP.
    public static let webPorts = [
        Port(name: "http", port: 80), Port(name: "dgram", transport: .udp, port: 80),
    ]

    /// `default/<name>`, of type ClusterIP.
    /// - Parameter affinity: seconds of ClientIP affinity.
    public static func clusterIP(
        _ name: String, at addresses: [IPAddress], ports: [Port] = webPorts, affinity: UInt32? = nil,
        internalTrafficPolicy: TrafficPolicy = .cluster
    ) -> Service {
        Service(
            name: .default(name), clusterIPs: addresses, ports: ports, affinityTimeout: affinity,
            internalTrafficPolicy: internalTrafficPolicy)
    }

    /// `default/<name>`, of type LoadBalancer, with the virtual addresses of a number and of every kind. Both of its
    /// ports have the same node port.
    /// - Parameters:
    ///   - affinity: seconds of ClientIP affinity.
    ///   - ranges: `loadBalancerSourceRanges`.
    public static func loadBalancer(
        _ name: String, at number: UInt8, nodePort: UInt16, affinity: UInt32? = nil,
        internalTrafficPolicy: TrafficPolicy = .cluster, externalTrafficPolicy: TrafficPolicy = .cluster,
        ranges: [IPNetwork]? = nil
    ) -> Service {
        Service(
            name: .default(name), kind: .loadBalancer, clusterIPs: VirtualAddress.pair(number),
            ports: webPorts.map {
                Port(name: $0.name, transport: $0.transport, port: $0.port, nodePort: nodePort)
            },
            affinityTimeout: affinity, internalTrafficPolicy: internalTrafficPolicy,
            externalTrafficPolicy: externalTrafficPolicy,
            externalIPs: AddressFamily.allCases.map { VirtualAddress.external(number, $0) },
            loadBalancerIPs: AddressFamily.allCases.map { VirtualAddress.loadBalancer(number, $0) },
            sourceRanges: ranges)
    }
}

extension EndpointSlice {
    /// The ports of a slice that says nothing about them; they join with `Service.webPorts`.
    public static let webPorts = [
        Port(name: "http", port: 8080), Port(name: "dgram", transport: .udp, port: 8080),
    ]

    /// `default/<service>-<number>-<family>`, of the endpoints of that family.
    public static func of(
        _ service: String, _ family: AddressFamily, _ endpoints: [Endpoint], ports: [Port] = webPorts,
        number: Int = 1
    ) -> EndpointSlice {
        EndpointSlice(
            name: .default("\(service)-\(number)-ipv\(family.rawValue)"), service: .default(service),
            family: family, endpoints: endpoints.filter { $0.address.family == family }, ports: ports)
    }

    /// A slice for each family.
    public static func pair(
        _ service: String, _ endpoints: [Endpoint], ports: [Port] = webPorts, number: Int = 1
    ) -> [EndpointSlice] {
        AddressFamily.allCases.map { of(service, $0, endpoints, ports: ports, number: number) }
    }
}

/// What the conditions of an endpoint say about it.
public enum EndpointCondition: Sendable, CaseIterable {
    case ready
    /// Neither ready nor serving: its probes fail.
    case notReady
    /// It ends, and still answers.
    case terminating
    /// It ends, and doesn't answer any more.
    case ended
}

extension EndpointSlice.Endpoint {
    /// - Parameter node: the node it is on; nil for none.
    public static func at(
        _ address: IPAddress, on node: String? = nil, _ condition: EndpointCondition = .ready
    ) -> EndpointSlice.Endpoint {
        EndpointSlice.Endpoint(
            address: address, isReady: condition == .ready,
            isServing: condition == .ready || condition == .terminating,
            isTerminating: condition == .terminating || condition == .ended, nodeName: node)
    }
}
