import ClusterBuilders
import IPAddressing
import KubernetesAPI

/// `web` at both virtual addresses of a number.
func service(
    _ name: String = "web", at number: UInt8 = 1, ports: [Service.Port] = Service.webPorts,
    affinity: UInt32? = nil, internalTrafficPolicy: Service.TrafficPolicy = .cluster
) -> Service {
    .clusterIP(
        name, at: VirtualAddress.pair(number), ports: ports, affinity: affinity,
        internalTrafficPolicy: internalTrafficPolicy)
}

/// A slice for each family with these hosts.
func slices(
    _ service: String, _ places: [Place], _ condition: EndpointCondition = .ready,
    ports: [EndpointSlice.Port] = EndpointSlice.webPorts, number: Int = 1
) -> [EndpointSlice] {
    EndpointSlice.pair(service, places.flatMap { $0.endpoints(condition) }, ports: ports, number: number)
}

/// The same for `web`.
func slices(
    _ places: [Place], _ condition: EndpointCondition = .ready,
    ports: [EndpointSlice.Port] = EndpointSlice.webPorts, number: Int = 1
) -> [EndpointSlice] {
    slices("web", places, condition, ports: ports, number: number)
}

/// As `EndpointSlice.webPorts`, on another port.
func slicePorts(_ port: UInt16) -> [EndpointSlice.Port] {
    EndpointSlice.webPorts.map { .init(name: $0.name, transport: $0.transport, port: port) }
}

/// As `Service.webPorts`, on another port.
func servicePorts(_ port: UInt16) -> [Service.Port] {
    Service.webPorts.map { .init(name: $0.name, transport: $0.transport, port: port) }
}

/// The networks that virtual addresses come from, as an object.
let serviceCIDR = ClusterObject.serviceCIDR(
    ServiceCIDR(name: "kubernetes", networks: VirtualAddress.networks))

/// `web` with an address of every kind: those of `Frontend`.
func exposed(
    _ name: String = "web", at number: UInt8 = Frontend.number, nodePort: UInt16 = Frontend.port,
    affinity: UInt32? = nil, internalTrafficPolicy: Service.TrafficPolicy = .cluster,
    externalTrafficPolicy: Service.TrafficPolicy = .cluster, ranges: [IPNetwork]? = nil
) -> Service {
    .loadBalancer(
        name, at: number, nodePort: nodePort, affinity: affinity,
        internalTrafficPolicy: internalTrafficPolicy, externalTrafficPolicy: externalTrafficPolicy,
        ranges: ranges)
}

extension Place {
    /// Its endpoints for certain nodes and zones (`hints`).
    func hinted(
        nodes: [String] = [], zones: [String] = [], _ condition: EndpointCondition = .ready
    ) -> [EndpointSlice.Endpoint] {
        endpoints(condition).map { endpoint in
            var endpoint = endpoint
            (endpoint.nodeHints, endpoint.zoneHints) = (nodes, zones)
            return endpoint
        }
    }

    /// A network of each family with the host alone.
    var networks: [IPNetwork] {
        AddressFamily.allCases.compactMap { IPNetwork(address($0), prefixLength: $0.bitWidth) }
    }
}
