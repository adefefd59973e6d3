import IPAddressing
import KubernetesAPI
import ServiceModel

func ip(_ text: String) -> IPAddress {
    guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
    return address
}

func name(_ name: String) -> ObjectName { ObjectName(namespace: "default", name: name) }

func service(
    _ text: String, _ clusterIPs: String..., created: Int64? = nil, ports: [Service.Port] = [.init(port: 80)],
    policy: Service.TrafficPolicy = .cluster
) -> Service {
    Service(
        name: name(text), created: created, clusterIPs: clusterIPs.map(ip), ports: ports,
        internalTrafficPolicy: policy)
}

func slice(
    _ text: String, of service: String, family: AddressFamily = .ipv4,
    ports: [EndpointSlice.Port] = [.init(port: 8080)],
    _ endpoints: EndpointSlice.Endpoint...
) -> EndpointSlice {
    EndpointSlice(
        name: name(text), service: name(service), family: family, endpoints: endpoints, ports: ports)
}

func endpoint(
    _ address: String, ready: Bool = true, serving: Bool = true, terminating: Bool = false,
    on node: String? = "other"
) -> EndpointSlice.Endpoint {
    EndpointSlice.Endpoint(
        address: ip(address), isReady: ready, isServing: serving, isTerminating: terminating, nodeName: node)
}

extension ClusterState {
    init(_ services: [Service], _ slices: [EndpointSlice] = []) {
        self.init(nodeName: "node")
        for service in services { upsert(.service(service)) }
        for slice in slices { upsert(.endpointSlice(slice)) }
    }

    /// What becomes of connections to the first port of a Service in a family, as text.
    func fate(_ service: String, _ family: AddressFamily = .ipv4) -> String {
        guard let plan = plan(for: name(service)).plan else { return "not served" }
        guard let port = plan.ports.first(where: { $0.family == family }) else { return "no such port" }
        return switch port.outcome(port.frontends[0].policy) {
        case .refuse: "refused"
        case .drop: "dropped"
        case .endpoints(let endpoints):
            endpoints.map(\.target).sorted().map(\.description).joined(separator: " ")
        }
    }
}
