public import IPAddressing
public import KubernetesAPI

/// The cluster as the sources tell it, and which Services a change touches.
///
/// A value: it does no I/O and reads no clock. Changes mark Services dirty; `takeDirty` hands them over to be planned.
public struct ClusterState: Sendable {
    /// This node's name: what EndpointSlices call `nodeName`.
    public let nodeName: String
    /// Whether external IPs are served at all.
    private let servesExternalIPs: Bool

    private var services: [ObjectName: Service] = [:]
    /// By Service.
    private var slices: [ObjectName: SliceList] = [:]
    private var serviceOfSlice: [ObjectName: ObjectName] = [:]
    private var nodes: [String: Node] = [:]
    private var serviceCIDRs: [String: ServiceCIDR] = [:]
    private var claims = Claims()
    /// What of a Service isn't served, whatever others ask for.
    private var withheldProblems: [ObjectName: [ObjectProblem]] = [:]
    private var nodeAddresses: [AddressFamily: IPAddress] = [:]
    private var dirty: Set<ObjectName> = []

    /// - Parameter servesExternalIPs: false where `externalIPs` is to be of no effect.
    public init(nodeName: String, servesExternalIPs: Bool = true) {
        self.nodeName = nodeName
        self.servesExternalIPs = servesExternalIPs
    }

    // MARK: Changes

    /// Adds an object or replaces the one of the same kind and name.
    public mutating func upsert(_ object: ClusterObject) {
        switch object {
        case .service(var service):
            let withheld = service.limited(servesExternalIPs: servesExternalIPs)
            service = withheld.service
            if withheldProblems[service.name] ?? [] != withheld.problems {
                withheldProblems[service.name] = withheld.problems.isEmpty ? nil : withheld.problems
                dirty.insert(service.name)
            }
            guard services[service.name] != service else { return }
            if let before = services[service.name] { dirty.formUnion(claims.remove(before)) }
            services[service.name] = service
            dirty.formUnion(claims.add(service))
            dirty.insert(service.name)
        case .endpointSlice(let slice):
            if let before = serviceOfSlice[slice.name] {
                guard slices[before]?[slice.name] != slice else { return }
                detach(slice.name, from: before)
            }
            serviceOfSlice[slice.name] = slice.service
            slices[slice.service, default: SliceList()].insert(slice)
            endpointCount += slice.endpoints.count
            dirty.insert(slice.service)
        case .node(let node):
            changeNode(node.name, to: node)
        case .serviceCIDR(let cidr):
            serviceCIDRs[cidr.name] = cidr
        }
    }

    /// Removes an object; one that isn't there is no error.
    public mutating func remove(_ key: ClusterObject.Key) {
        switch key {
        case .service(let name):
            withheldProblems[name] = nil
            guard let before = services.removeValue(forKey: name) else { return }
            dirty.formUnion(claims.remove(before))
            dirty.insert(name)
        case .endpointSlice(let name):
            guard let service = serviceOfSlice.removeValue(forKey: name) else { return }
            detach(name, from: service)
        case .node(let name):
            changeNode(name, to: nil)
        case .serviceCIDR(let name):
            serviceCIDRs[name] = nil
        }
    }

    private mutating func changeNode(_ name: String, to node: Node?) {
        let zoneBefore = zone
        nodes[name] = node
        if zone != zoneBefore { dirty.formUnion(services.keys) }
    }

    /// Takes this node's own addresses, the primary one of each family first: where one is in a source range, load
    /// balancer addresses are let in (statement 20).
    ///
    /// Not simply those of the Node object: the operator's `bindAddress` goes before them, and without a Node is all
    /// there is.
    public mutating func change(nodeAddresses addresses: [IPAddress]) {
        let primary = Dictionary(addresses.map { ($0.family, $0) }, uniquingKeysWith: { first, _ in first })
        guard primary != nodeAddresses else { return }
        nodeAddresses = primary
        dirty.formUnion(services.values.filter { $0.sourceRanges != nil }.map(\.name))
    }

    /// Takes all of this node's addresses that serve node ports: a Service can ask for one of them by itself.
    public mutating func change(nodePortAddresses: [IPAddress]) {
        dirty.formUnion(claims.change(nodeAddresses: Set(nodePortAddresses)))
    }

    private mutating func detach(_ slice: ObjectName, from service: ObjectName) {
        endpointCount -= slices[service]?.remove(slice)?.endpoints.count ?? 0
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
    public var servedServices: [ObjectName] { services.values.filter(\.isServedHere).map(\.name) }

    /// Number of endpoint entries in all slices.
    public private(set) var endpointCount = 0

    public var node: Node? { nodes[nodeName] }

    /// This node's zone; nil when unknown.
    private var zone: String? { nodes[nodeName]?.zone }

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
            return (nil, (slices[name]?.all ?? []).map { Self.orphan($0.name, of: name) })
        }
        guard service.isServedHere else { return (nil, []) }
        var plan = ServicePlan(name: name, clusterIPs: service.clusterIPs)
        var selection = FrontendSelection(of: service, in: self)
        let join = SliceJoin(slices[name]?.all ?? [], ports: service.ports.count)
        var endpointsLeft = [AddressFamily.ipv4: ServiceLimits.endpoints, .ipv6: ServiceLimits.endpoints]
        var problems: [ObjectProblem] = []
        var local: [AddressFamily: Set<IPAddress>] = [:]
        for (index, port) in service.ports.enumerated() {
            let frontends = selection.frontends(of: port, at: index)
            for family in AddressFamily.allCases {
                guard let frontends = frontends[family] else { continue }
                var joined = join.slices(family, port.name, port.transport)
                let left = (endpointsLeft[family] ?? 0) - joined.reduce(0) { $0 + $1.slice.endpoints.count }
                if left < 0 {
                    joined = []
                    problems.append(Self.tooManyEndpoints(of: name, at: index, family))
                } else {
                    endpointsLeft[family] = left
                }
                let endpoints = EndpointSelection(joined, nodeName: nodeName, zone: zone)
                local[family, default: []].formUnion(endpoints.localReady.map(\.target.address))
                plan.ports.append(
                    PortPlan(
                        id: ServicePortID(service: name, transport: port.transport, port: port.name),
                        family: family, frontends: frontends, cluster: endpoints.outcome(.cluster),
                        local: frontends.contains { $0.policy == .local } ? endpoints.outcome(.local) : nil,
                        affinityTimeout: service.affinityTimeout,
                        serving: port.transport == .udp ? endpoints.serving : []))
            }
        }
        if service.kind == .loadBalancer, service.externalTrafficPolicy == .local {
            plan.healthCheckPort = service.healthCheckNodePort
            // A pod of a dual-stack cluster has an address of each family, and is one.
            plan.localEndpoints = local.values.map(\.count).max() ?? 0
        }
        problems += selection.problems + (withheldProblems[name] ?? [])
        return (plan, problems)
    }

    /// The Service that has what several may ask for.
    func holder(of claim: Claim) -> ObjectName? { claims.holder(of: claim) { services[$0] } }

    /// The node's addresses of which somebody asks for a node port's port.
    func addresses(askedAt nodePort: Claim) -> [IPAddress] { claims.addresses(askedAt: nodePort) }

    /// Statement 20: who may use the load balancer addresses of a Service in a family; nil: everybody.
    func sources(of service: Service, _ family: AddressFamily) -> [IPNetwork]? {
        service.sources(family, nodeAddress: nodeAddresses[family])
    }

    private static func tooManyEndpoints(
        of service: ObjectName, at index: Int, _ family: AddressFamily
    ) -> ObjectProblem {
        ObjectProblem(
            subject: .object(.service(service)), field: "spec.ports[\(index)]",
            message: "the Service's ports have more than \(ServiceLimits.endpoints) endpoints together; "
                + "this port is refused over \(family.name)")
    }

    private static func orphan(_ slice: ObjectName, of service: ObjectName) -> ObjectProblem {
        ObjectProblem(
            subject: .object(.endpointSlice(slice)), field: "metadata.labels[kubernetes.io/service-name]",
            message: "there is no Service \(service); its endpoints are used by nothing")
    }
}

extension Service {
    /// Statement 20: who may use the load balancer addresses of a family; nil: everybody.
    ///
    /// Where load balancer addresses are the node's own as well, what the node sends to them comes from them.
    fileprivate func sources(_ family: AddressFamily, nodeAddress: IPAddress?) -> [IPNetwork]? {
        guard let sourceRanges else { return nil }
        let own = sourceRanges.filter { $0.family == family }
        if own.contains(where: { $0.prefixLength == 0 }) { return nil }
        // What could not be read may have been of this family: closed rather than open.
        if own.isEmpty { return hasUnreadableSourceRanges || sourceRanges.isEmpty ? [] : nil }
        guard let nodeAddress, own.contains(where: { $0.contains(nodeAddress) }) else { return own }
        return own
            + loadBalancerIPs.filter { $0.family == family }
            .compactMap { IPNetwork($0, prefixLength: family.bitWidth) }
    }
}
