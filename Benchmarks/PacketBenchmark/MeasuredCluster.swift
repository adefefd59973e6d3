import ClusterGenerator
import IPAddressing
import KubernetesAPI

/// Which of the Services connections are made to: rules that are walked in turn are soon at the first one, late at the
/// last.
enum Position: String, Codable, CaseIterable {
    case start
    case middle
    case end
}

/// A port of a Service with what stands behind it: what every kind of rules is made from.
struct ServicePort: Equatable {
    let service: ObjectName
    /// The port's name.
    let name: String
    let transport: TransportProtocol
    let address: AddressPort
    let endpoints: [AddressPort]
    /// Seconds of ClientIP affinity; nil for none.
    let affinityTimeout: UInt32?

    /// As kube-proxy writes it, `team-0/service-00000:http`.
    var title: String { "\(service.namespace)/\(service.name):\(name)" }
}

/// A generated cluster in which the Services that are measured have a UDP port too.
struct MeasuredCluster: Sendable {
    let generated: GeneratedCluster

    /// All addresses of pods, and of clients.
    static let clusterCIDR = "10.0.0.0/8"
    /// Where the generator's endpoints are.
    static let endpointNetwork = "10.128.0.0/9"

    var serviceCount: Int { generated.serviceCount }

    /// The number of the Service at a position.
    func service(at position: Position) -> Int {
        switch position {
        case .start: 0
        case .middle: serviceCount / 2
        case .end: serviceCount - 1
        }
    }

    private func isMeasured(_ index: Int) -> Bool {
        Position.allCases.contains { service(at: $0) == index }
    }

    private static let datagrams = "datagrams"

    private func service(_ index: Int) -> Service {
        var service = generated.service(index)
        if isMeasured(index) {
            service.ports.append(
                .init(name: Self.datagrams, transport: .udp, port: GeneratedCluster.servicePort))
        }
        return service
    }

    private func slices(_ index: Int) -> [EndpointSlice] {
        let slices = generated.slices(index)
        guard isMeasured(index) else { return slices }
        return slices.map { slice in
            var slice = slice
            slice.ports.append(
                .init(name: Self.datagrams, transport: .udp, port: GeneratedCluster.targetPort))
            return slice
        }
    }

    /// All objects, each Service before its slices.
    var objects: [ClusterObject] {
        (0..<serviceCount).flatMap { index in
            [.service(service(index))] + slices(index).map { .endpointSlice($0) }
        }
    }

    /// The ports of a Service.
    func ports(_ index: Int) -> [ServicePort] {
        let service = service(index)
        let addresses = slices(index).flatMap(\.endpoints).map(\.address)
        return service.ports.flatMap { port in
            service.clusterIPs.map { address in
                ServicePort(
                    service: service.name, name: port.name, transport: port.transport,
                    address: AddressPort(address, port.port),
                    endpoints: addresses.map { AddressPort($0, GeneratedCluster.targetPort) },
                    affinityTimeout: service.affinityTimeout)
            }
        }
    }

    /// The port that connections over a transport are made to.
    func port(_ transport: TransportProtocol, at position: Position) -> ServicePort {
        guard let port = ports(service(at: position)).first(where: { $0.transport == transport }) else {
            preconditionFailure("measured Services have ports for TCP and UDP")
        }
        return port
    }
}
