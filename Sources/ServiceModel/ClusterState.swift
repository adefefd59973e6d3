public import IPAddressing
public import KubernetesAPI

/// The cluster as the sources tell it, and which Services a change touches.
///
/// A value: it does no I/O and reads no clock. Changes mark Services dirty; `takeDirty` hands them over to be planned.
public struct ClusterState: Sendable {
    /// This node's name: what EndpointSlices call `nodeName`.
    public let nodeName: String

    private var services: [ObjectName: Service] = [:]
    /// By Service.
    private var slices: [ObjectName: SliceList] = [:]
    private var serviceOfSlice: [ObjectName: ObjectName] = [:]
    private var nodes: [String: Node] = [:]
    private var serviceCIDRs: [String: ServiceCIDR] = [:]
    private var claims = Claims()
    private var dirty: Set<ObjectName> = []

    public init(nodeName: String) {
        self.nodeName = nodeName
    }

    // MARK: Changes

    /// Adds an object or replaces the one of the same kind and name.
    public mutating func upsert(_ object: ClusterObject) {
        switch object {
        case .service(let service):
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
        let addressesBefore = AddressFamily.allCases.map(nodeAddress)
        nodes[name] = node
        if zone != zoneBefore { dirty.formUnion(services.keys) }
        if AddressFamily.allCases.map(nodeAddress) != addressesBefore {
            dirty.formUnion(services.values.filter { $0.sourceRanges != nil }.map(\.name))
        }
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

    /// This node's own address of a family; nil when unknown.
    private func nodeAddress(_ family: AddressFamily) -> IPAddress? {
        nodes[nodeName]?.addresses.first { $0.family == family }
    }

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
        var problems: [ObjectProblem] = []
        var taken: [Claim: Int] = [:]
        let own = slices[name]?.all ?? []
        var local: [AddressFamily: Set<IPAddress>] = [:]
        for (index, port) in service.ports.enumerated() {
            let frontends = frontends(of: service, port, at: index, &taken, &problems)
            for family in AddressFamily.allCases {
                let frontends = frontends.filter { $0.address == nil || $0.address?.family == family }
                guard service.serves(family), !frontends.isEmpty else { continue }
                let selection = EndpointSelection(
                    slices: own, family: family, portName: port.name, transport: port.transport,
                    nodeName: nodeName, zone: zone)
                local[family, default: []].formUnion(selection.localReady.map(\.target.address))
                plan.ports.append(
                    PortPlan(
                        id: ServicePortID(service: name, transport: port.transport, port: port.name),
                        family: family, frontends: frontends, cluster: selection.outcome(.cluster),
                        local: frontends.contains { $0.policy == .local } ? selection.outcome(.local) : nil,
                        affinityTimeout: service.affinityTimeout,
                        serving: port.transport == .udp ? selection.serving : []))
            }
        }
        if service.kind == .loadBalancer, service.externalTrafficPolicy == .local {
            plan.healthCheckPort = service.healthCheckNodePort
            // A pod of a dual-stack cluster has an address of each family, and is one.
            plan.localEndpoints = local.values.map(\.count).max() ?? 0
        }
        return (plan, problems)
    }

    private func holder(of claim: Claim) -> ObjectName? {
        claims.holder(
            of: claim, age: { services[$0]?.created }, serves: { services[$0]?.serves($1) ?? false })
    }

    /// Where one port can be addressed to, without what another Service or, by index, another port of this one has.
    private func frontends(
        of service: Service, _ port: Service.Port, at index: Int, _ taken: inout [Claim: Int],
        _ problems: inout [ObjectProblem]
    ) -> [Frontend] {
        var result: [Frontend] = []
        var seen: Set<IPAddress?> = []
        func add(_ kind: Frontend.Kind, _ address: IPAddress?, _ number: UInt16, field: String) {
            guard seen.insert(address).inserted else { return }
            let claim = Claim(address: address, transport: port.transport, port: number)
            func refuse(_ owner: String, at part: IPAddress? = nil) {
                let what =
                    address.map { "\(AddressPort($0, number))" } ?? "node port \(number)"
                    + (part.map { " at \($0)" } ?? "")
                problems.append(
                    ObjectProblem(
                        object: "Service \(service.name)", field: field,
                        message: "\(what)/\(port.transport) belongs to \(owner); not served for this one"))
            }
            if let holder = holder(of: claim), holder != service.name { return refuse("Service \(holder)") }
            if let first = taken[claim] { return refuse("spec.ports[\(first)]") }
            taken[claim] = index
            for part in claims.addresses(askedAt: claim) where service.serves(part.family) {
                guard let holder = holder(of: claim.at(part)), holder != service.name else { continue }
                refuse("Service \(holder)", at: part)
            }
            let policy = kind == .clusterIP ? service.internalTrafficPolicy : service.externalTrafficPolicy
            result.append(Frontend(kind, address, port: number, policy: policy))
        }
        for address in service.clusterIPs { add(.clusterIP, address, port.port, field: "spec.clusterIP") }
        if service.kind == .loadBalancer {
            for address in service.loadBalancerIPs {
                let sources = service.sources(address.family, nodeAddress: nodeAddress(address.family))
                add(.loadBalancer(sources: sources), address, port.port, field: "status.loadBalancer.ingress")
            }
        }
        // After the load balancer addresses: one that is both stays guarded.
        for address in service.externalIPs { add(.externalIP, address, port.port, field: "spec.externalIPs") }
        if let number = port.nodePort, service.hasNodePorts {
            add(.nodePort, nil, number, field: "spec.ports[\(index)].nodePort")
        }
        return result
    }

    private static func orphan(_ slice: ObjectName, of service: ObjectName) -> ObjectProblem {
        ObjectProblem(
            object: "EndpointSlice \(slice)", field: "metadata.labels[kubernetes.io/service-name]",
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
