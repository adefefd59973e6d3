import IPAddressing
public import KubernetesAPI

/// A cluster made by counting, the same in every run: ClusterIP Services for TCP over IPv4, each with as many
/// endpoints as all others, spread over the nodes.
///
/// Objects are made when asked for, so that a large cluster costs no memory until it is used.
public struct GeneratedCluster: Sendable {
    /// At most 65,536 Services: as many addresses as 10.96.0.0/16 has.
    public let serviceCount: Int
    /// Endpoints of each Service, at most 65,535.
    public let endpointsPerService: Int
    /// Of so many Services, the last has ClientIP affinity; nil for none.
    public let affinityEvery: Int?

    public static let nodeCount = 64
    /// Endpoints of one EndpointSlice: the default of Kubernetes' controller (`--max-endpoints-per-slice`).
    public static let endpointsPerSlice = 100
    public static let servicePort: UInt16 = 80
    public static let targetPort: UInt16 = 8080

    /// - Precondition: `services` × `endpoints` addresses fit 10.128.0.0/9.
    public init(services: Int, endpoints: Int, affinityEvery: Int? = nil) {
        precondition((0...1 << 16).contains(services) && (0..<1 << 16).contains(endpoints))
        precondition(services * endpoints < 1 << 23, "pods have addresses of 10.128.0.0/9")
        serviceCount = services
        endpointsPerService = endpoints
        self.affinityEvery = affinityEvery
    }

    public var endpointCount: Int { serviceCount * endpointsPerService }

    private static let nodes = (0..<nodeCount).map { Placement(nodeName: nodeName($0)) }

    /// `node-00` … `node-63`
    public static func nodeName(_ index: Int) -> String { "node-\(padded(index % nodeCount, 2))" }

    /// The number in decimal, filled up with zeros from the left.
    static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Every hundred Services share a namespace.
    public func serviceName(_ index: Int) -> ObjectName {
        ObjectName(namespace: "team-\(index / 100)", name: "service-\(Self.padded(index, 5))")
    }

    public func service(_ index: Int) -> Service {
        Service(
            name: serviceName(index), clusterIPs: [IPAddress(ipv4: 10 << 24 | 96 << 16 | UInt32(index))],
            ports: [.init(name: "http", port: Self.servicePort)],
            affinityTimeout: hasAffinity(index) ? 10_800 : nil)
    }

    public func hasAffinity(_ index: Int) -> Bool {
        affinityEvery.map { index % $0 == $0 - 1 } ?? false
    }

    /// The endpoint that a Service has at a position; positions beyond the Service's own serve as replacements.
    ///
    /// - Parameter generation: 0 for the first; each other number gives another address that no other endpoint has.
    public func endpoint(_ service: Int, _ position: Int, generation: Int = 0) -> EndpointSlice.Endpoint {
        let number = service * endpointsPerService + position
        // Replacements come from 172.16.0.0/12, 256 of them for a Service's position.
        let address =
            generation == 0
            ? 10 << 24 | 1 << 23 | UInt32(number)
            : 172 << 24 | 1 << 20 | UInt32((service * 31 + position) & 0xfff) << 8 | UInt32(generation & 0xff)
        // A large odd step: neighbours are on different nodes, and not in the nodes' order.
        return EndpointSlice.Endpoint(
            address: IPAddress(ipv4: address),
            placement: Self.nodes[(number &* 37 &+ generation) % Self.nodeCount])
    }

    /// An endpoint that comes later, with an address that no other has.
    ///
    /// - Parameter number: below 2^20.
    public func newcomer(_ number: Int) -> EndpointSlice.Endpoint {
        EndpointSlice.Endpoint(
            address: IPAddress(ipv4: 172 << 24 | 1 << 20 | UInt32(number & 0xf_ffff)),
            placement: Self.nodes[number % Self.nodeCount])
    }

    public func slices(_ index: Int) -> [EndpointSlice] {
        stride(from: 0, to: max(1, endpointsPerService), by: Self.endpointsPerSlice).map { first in
            let positions = first..<min(first + Self.endpointsPerSlice, endpointsPerService)
            return slice(
                index, endpoints: positions.map { endpoint(index, $0) },
                number: first / Self.endpointsPerSlice)
        }
    }

    /// A slice of a Service with endpoints of the caller's choice.
    public func slice(_ index: Int, endpoints: [EndpointSlice.Endpoint], number: Int = 0) -> EndpointSlice {
        let service = serviceName(index)
        return EndpointSlice(
            name: ObjectName(namespace: service.namespace, name: "\(service.name)-\(number)"),
            service: service,
            family: .ipv4, endpoints: endpoints, ports: [.init(name: "http", port: Self.targetPort)])
    }

    /// All objects, each Service before its slices.
    public var objects: [ClusterObject] {
        var result: [ClusterObject] = []
        for index in 0..<serviceCount {
            result.append(.service(service(index)))
            result += slices(index).map { .endpointSlice($0) }
        }
        return result
    }
}
