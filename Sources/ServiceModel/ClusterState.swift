public import IPAddressing
public import KubernetesAPI

/// The cluster as the sources tell it, and which Services a change touches.
///
/// A value: it does no I/O and reads no clock. Changes mark Services dirty; `takeDirty` hands them over to be planned.
public struct ClusterState: Sendable {
    /// This node's name: what EndpointSlices call `nodeName`.
    public let nodeName: String

    private var services: [ObjectName: Service] = [:]
    /// By Service, then by the slice's own name.
    private var slices: [ObjectName: [ObjectName: EndpointSlice]] = [:]
    private var serviceOfSlice: [ObjectName: ObjectName] = [:]
    private var nodes: [String: Node] = [:]
    private var serviceCIDRs: [String: ServiceCIDR] = [:]
    /// Who asks for each virtual address and port, in no order.
    private var claims: [Claim: [ObjectName]] = [:]
    private var dirty: Set<ObjectName> = []

    private struct Claim: Hashable {
        let address: IPAddress
        let transport: TransportProtocol
        let port: UInt16
    }

    public init(nodeName: String) {
        self.nodeName = nodeName
    }

    // MARK: Changes

    /// Adds an object or replaces the one of the same kind and name.
    public mutating func upsert(_ object: ClusterObject) {
        switch object {
        case .service(let service):
            guard services[service.name] != service else { return }
            release(service.name)
            services[service.name] = service
            claim(service)
            dirty.insert(service.name)
        case .endpointSlice(let slice):
            if let before = serviceOfSlice[slice.name] {
                guard slices[before]?[slice.name] != slice else { return }
                detach(slice.name, from: before)
            }
            serviceOfSlice[slice.name] = slice.service
            slices[slice.service, default: [:]][slice.name] = slice
            dirty.insert(slice.service)
        case .node(let node):
            nodes[node.name] = node
        case .serviceCIDR(let cidr):
            serviceCIDRs[cidr.name] = cidr
        }
    }

    /// Removes an object; one that isn't there is no error.
    public mutating func remove(_ key: ClusterObject.Key) {
        switch key {
        case .service(let name):
            guard services[name] != nil else { return }
            release(name)
            services[name] = nil
            dirty.insert(name)
        case .endpointSlice(let name):
            guard let service = serviceOfSlice.removeValue(forKey: name) else { return }
            detach(name, from: service)
        case .node(let name):
            nodes[name] = nil
        case .serviceCIDR(let name):
            serviceCIDRs[name] = nil
        }
    }

    private mutating func detach(_ slice: ObjectName, from service: ObjectName) {
        slices[service]?[slice] = nil
        if slices[service]?.isEmpty == true { slices[service] = nil }
        dirty.insert(service)
    }

    /// The Services to plan again since the last call.
    public mutating func takeDirty() -> Set<ObjectName> {
        defer { dirty = [] }
        return dirty
    }

    // MARK: Reading

    public var serviceCount: Int { services.count }

    /// The Services that this proxy serves.
    public var servedServices: [ObjectName] { services.values.filter(Self.isServed).map(\.name) }

    /// Number of endpoint entries in all slices.
    public var endpointCount: Int {
        slices.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.endpoints.count } }
    }

    public var node: Node? { nodes[nodeName] }

    /// The networks that ServiceCIDR objects name, in ascending order, each once.
    public var serviceNetworks: [IPNetwork] {
        Set(serviceCIDRs.values.flatMap(\.networks)).sorted {
            ($0.address, $0.prefixLength) < ($1.address, $1.prefixLength)
        }
    }

    // MARK: Planning

    /// Plans a Service; nil when there is nothing to serve under this name.
    ///
    /// Problems concern this Service only: a virtual address and port that an older one holds, or slices that name a
    /// Service which doesn't exist.
    public func plan(for name: ObjectName) -> (plan: ServicePlan?, problems: [ObjectProblem]) {
        guard let service = services[name] else {
            return (nil, (slices[name] ?? [:]).keys.sorted().map { Self.orphan($0, of: name) })
        }
        guard Self.isServed(service), !service.clusterIPs.isEmpty else { return (nil, []) }
        var plan = ServicePlan(name: name, clusterIPs: service.clusterIPs)
        var problems: [ObjectProblem] = []
        let own = slices[name].map { $0.values.sorted { $0.name < $1.name } } ?? []
        for port in service.ports {
            for family in AddressFamily.allCases {
                let addresses = service.clusterIPs.filter { $0.family == family }.filter { address in
                    let claim = Claim(address: address, transport: port.transport, port: port.port)
                    guard let holder = holder(of: claim), holder != name else { return true }
                    problems.append(
                        ObjectProblem(
                            object: "Service \(name)", field: "spec.clusterIP",
                            message:
                                "\(AddressPort(address, port.port))/\(port.transport) belongs to Service \(holder); not served for this one"
                        ))
                    return false
                }
                guard !addresses.isEmpty else { continue }
                let selection = EndpointSelection(
                    slices: own, family: family, portName: port.name, transport: port.transport,
                    nodeName: nodeName)
                plan.ports.append(
                    PortPlan(
                        id: ServicePortID(service: name, transport: port.transport, port: port.name),
                        family: family, addresses: addresses, port: port.port,
                        outcome: selection.outcome(service.internalTrafficPolicy),
                        affinityTimeout: service.affinityTimeout))
            }
        }
        return (plan, problems)
    }

    private static func orphan(_ slice: ObjectName, of service: ObjectName) -> ObjectProblem {
        ObjectProblem(
            object: "EndpointSlice \(slice)", field: "metadata.labels[kubernetes.io/service-name]",
            message: "there is no Service \(service); its endpoints are used by nothing")
    }

    /// Statement 1.
    private static func isServed(_ service: Service) -> Bool {
        service.proxyName == nil && !service.isHeadless && service.kind != .externalName
    }

    // MARK: Claims

    private static func claims(of service: Service) -> [Claim] {
        guard isServed(service) else { return [] }
        return service.clusterIPs.flatMap { address in
            service.ports.map { Claim(address: address, transport: $0.transport, port: $0.port) }
        }
    }

    private mutating func claim(_ service: Service) {
        for claim in Self.claims(of: service) {
            let others = claims[claim, default: []]
            dirty.formUnion(others)
            if !others.contains(service.name) { claims[claim] = others + [service.name] }
        }
    }

    private mutating func release(_ name: ObjectName) {
        guard let service = services[name] else { return }
        for claim in Self.claims(of: service) {
            claims[claim]?.removeAll { $0 == name }
            if let others = claims[claim] {
                if others.isEmpty { claims[claim] = nil } else { dirty.formUnion(others) }
            }
        }
    }

    /// The oldest of those who ask for it; by name when they are of one age or tell none.
    private func holder(of claim: Claim) -> ObjectName? {
        guard let names = claims[claim] else { return nil }
        if names.count == 1 { return names[0] }
        return names.min { a, b in
            let (ageA, ageB) = (services[a]?.created ?? .max, services[b]?.created ?? .max)
            return (ageA, a) < (ageB, b)
        }
    }
}
