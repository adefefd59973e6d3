import IPAddressing
import KubernetesAPI
import PacketSimulator
import Testing

/// Small clusters for tests that name one statement.
enum Small {
    static let clusterIP = ip("10.96.0.10")
    static let externalIP = ip("203.1.0.10")
    static let loadBalancerIP = ip("203.0.0.10")
    static let podHere = ip("10.16.1.1")
    static let podElsewhere = ip("10.17.1.1")
    static let outsider = ip("198.51.100.7")
    static let nodeAddress = ip("192.0.2.1")
    static let nodePort: UInt16 = 30_080

    static func name(_ name: String) -> ObjectName { ObjectName(namespace: "default", name: name) }

    /// `default/<name>` of type LoadBalancer, with an address of every kind; a test takes away or changes.
    static func service(_ name: String = "web", _ change: (inout Service) -> Void = { _ in }) -> Service {
        var service = Service(
            name: Self.name(name), kind: .loadBalancer, clusterIPs: [clusterIP],
            ports: [.init(port: 80, nodePort: nodePort)], externalIPs: [externalIP],
            loadBalancerIPs: [loadBalancerIP])
        change(&service)
        return service
    }

    static func slice(
        _ endpoints: [Endpoint], of service: String = "web", number: Int = 1, port: UInt16 = 8080,
        portName: String = ""
    ) -> EndpointSlice {
        EndpointSlice(
            name: name("\(service)-\(number)"), service: name(service), family: .ipv4, endpoints: endpoints,
            ports: [.init(name: portName, port: port)])
    }

    static func objects(_ services: [Service], _ slices: [EndpointSlice]) -> [ClusterObject] {
        services.map { .service($0) } + slices.map { .endpointSlice($0) }
    }

    static func here(_ address: IPAddress = podHere, ending: Bool = false) -> Endpoint {
        Endpoint(address: address, isReady: !ending, isTerminating: ending, nodeName: Ground.nodeName)
    }

    static func elsewhere(_ address: IPAddress = podElsewhere, ending: Bool = false) -> Endpoint {
        Endpoint(address: address, isReady: !ending, isTerminating: ending, nodeName: "n2")
    }
}

extension SourceKind {
    /// One client of the kind.
    var client: IPAddress { address(7, .ipv4) }
}

extension CompiledNode {
    /// The addresses that so many connections reach, in order; nil where one reaches none.
    mutating func reached(
        _ count: Int, _ transport: TransportProtocol = .tcp, from source: SourceKind = .podHere,
        client: IPAddress? = nil, to address: IPAddress, _ port: UInt16 = 80
    ) -> [IPAddress?] {
        (0..<count).map { _ in
            let fate = self.fate(transport, from: source, client: client, to: address, port)
            if case .delivered(let to, _, _) = fate { return to.address }
            return nil
        }
    }

    mutating func fate(
        _ transport: TransportProtocol = .tcp, from source: SourceKind = .podHere, client: IPAddress? = nil,
        to address: IPAddress, _ port: UInt16 = 80
    ) -> SimulatedFate {
        open(transport, from: client ?? source.client, source, to: AddressPort(address, port)).fate
    }
}

extension SimulatedFate {
    var endpoint: IPAddress? {
        if case .delivered(let to, _, _) = self { to.address } else { nil }
    }
    /// The source address that the endpoint sees.
    var source: IPAddress? {
        if case .delivered(_, let source, _) = self { source.address } else { nil }
    }
    var isRefused: Bool {
        if case .refused = self { true } else { false }
    }
    var isUntouched: Bool {
        if case .untouched = self { true } else { false }
    }
}
