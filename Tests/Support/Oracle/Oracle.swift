public import IPAddressing
public import KubernetesAPI

/// A second, plain answer to what a service proxy does with a packet: straight from what its users rely on, without a
/// thought for how rules say it. Numbers in comments are those of the statements that tests name.
///
/// It judges the compiler, so it shares no code with it. Objects whose claims overlap are not its business.
public struct Oracle: Sendable {
    public enum LocalMode: Sendable, Hashable {
        case clusterCIDR([IPNetwork])
        case nodeCIDR
        case bridgeInterface(String)
        case interfaceNamePrefix(String)
    }

    /// What the operator decided and what the host is.
    public struct Proxy: Sendable {
        public var node: Node
        /// `bindAddress`: the node's own address of its family, whatever the Node says.
        public var bindAddress: IPAddress?
        public var localMode: LocalMode?
        public var masqueradeAll: Bool
        /// The addresses that serve node ports; loopback never does (22).
        public var nodePortAddresses: Set<IPAddress>

        public init(
            node: Node, bindAddress: IPAddress? = nil, localMode: LocalMode? = nil,
            masqueradeAll: Bool = false,
            nodePortAddresses: Set<IPAddress>
        ) {
            self.node = node
            self.bindAddress = bindAddress
            self.localMode = localMode
            self.masqueradeAll = masqueradeAll
            self.nodePortAddresses = nodePortAddresses
        }
    }

    private enum AddressKind { case cluster, external, loadBalancer, nodePort }

    private struct Destination: Hashable {
        var address: IPAddress
        var port: UInt16
        var transport: TransportProtocol
    }

    private struct Claim {
        var service: Service
        var port: Service.Port
        var kind: AddressKind
    }

    private let proxy: Proxy
    private let serviceNetworks: [IPNetwork]
    private var slices: [ObjectName: [EndpointSlice]]
    private var claims: [Destination: Claim] = [:]
    private var clusterIPs: Set<IPAddress> = []

    public init(
        services: [Service], slices: [EndpointSlice], serviceNetworks: [IPNetwork], proxy: Proxy
    ) {
        self.proxy = proxy
        self.serviceNetworks = serviceNetworks
        self.slices = Dictionary(grouping: slices, by: \.service)
        // 1
        for service in services
        where !service.isHeadless && service.kind != .externalName && service.proxyName == nil {
            clusterIPs.formUnion(service.clusterIPs)
            for port in service.ports { claim(service, port) }
        }
    }

    private mutating func claim(_ service: Service, _ port: Service.Port) {
        func put(_ address: IPAddress, _ number: UInt16, _ kind: AddressKind) {
            claims[Destination(address: address, port: number, transport: port.transport)] =
                Claim(service: service, port: port, kind: kind)
        }
        if let nodePort = port.nodePort {
            for address in proxy.nodePortAddresses where !address.isLoopback {
                put(address, nodePort, .nodePort)
            }
        }
        for address in service.loadBalancerIPs { put(address, port.port, .loadBalancer) }
        for address in service.externalIPs { put(address, port.port, .external) }
        for address in service.clusterIPs { put(address, port.port, .cluster) }
    }

    /// What has to become of the packet.
    public func answer(_ question: Question) -> Answer {
        let address = question.destination.address
        let destination = Destination(
            address: address, port: question.destination.port, transport: question.transport)
        guard let claim = claims[destination] else {
            // 16
            if clusterIPs.contains(address) { return Answer(.refused) }
            if serviceNetworks.contains(where: { $0.contains(address) }) { return Answer(.dropped) }
            return Answer(.untouched)
        }
        if claim.kind == .loadBalancer, !isAdmitted(question.source, by: claim.service) {
            return Answer(.dropped)
        }
        let all = endpoints(of: claim, address.family)
        let usable = all.filter { $0.value.isReady || isEnding($0.value) }
        if usable.isEmpty { return Answer(.refused) }  // 15
        let isFromLocalPod = isLocalPod(question)
        let isFromHost = question.sender == .host

        let chosen: Set<AddressPort>
        let isMasqueraded: Bool
        if claim.kind == .cluster {
            chosen = claim.service.internalTrafficPolicy == .local ? localOnes(all) : clusterOnes(all)
            // 14
            isMasqueraded = proxy.masqueradeAll || (hasLocalMode(address.family) && !isFromLocalPod)
        } else if claim.service.externalTrafficPolicy == .cluster {
            chosen = clusterOnes(all)
            isMasqueraded = true  // 11
        } else if isFromLocalPod {
            (chosen, isMasqueraded) = (clusterOnes(all), false)  // 12
        } else if isFromHost {
            (chosen, isMasqueraded) = (clusterOnes(all), true)
        } else {
            (chosen, isMasqueraded) = (localOnes(all), false)
        }
        if chosen.isEmpty { return Answer(.dropped) }  // 15
        // 17
        let masqueraded = isMasqueraded ? chosen : chosen.filter { $0.address == question.source }
        return Answer(
            .oneOf(chosen), masqueraded: masqueraded, affinityTimeout: claim.service.affinityTimeout)
    }

    // MARK: Where it comes from

    /// 13; of each family only the first network is read.
    private func localNetwork(_ family: AddressFamily) -> IPNetwork? {
        switch proxy.localMode {
        case .clusterCIDR(let networks): networks.first { $0.family == family }
        case .nodeCIDR: proxy.node.podCIDRs.first { $0.family == family }
        case .bridgeInterface, .interfaceNamePrefix, nil: nil
        }
    }

    private func hasLocalMode(_ family: AddressFamily) -> Bool {
        switch proxy.localMode {
        case nil: false
        case .bridgeInterface, .interfaceNamePrefix: true
        case .clusterCIDR, .nodeCIDR: localNetwork(family) != nil
        }
    }

    private func isLocalPod(_ question: Question) -> Bool {
        switch (proxy.localMode, question.sender) {
        case (.bridgeInterface(let bridge), .interface(let name)): name == bridge
        case (.interfaceNamePrefix(let prefix), .interface(let name)): name.hasPrefix(prefix)
        case (.bridgeInterface, .host), (.interfaceNamePrefix, .host), (nil, _): false
        case (.clusterCIDR, _), (.nodeCIDR, _):
            localNetwork(question.source.family)?.contains(question.source) ?? false
        }
    }

    /// 20
    private func isAdmitted(_ source: IPAddress, by service: Service) -> Bool {
        guard let ranges = service.sourceRanges else { return true }
        // Asked for, and not one could be read: closed rather than open.
        if ranges.isEmpty { return false }
        let own = ranges.filter { $0.family == source.family }
        if own.isEmpty || own.contains(where: { $0.prefixLength == 0 || $0.contains(source) }) { return true }
        let known = [proxy.bindAddress].compactMap { $0 } + proxy.node.addresses
        guard let node = known.first(where: { $0.family == source.family }) else { return false }
        return service.loadBalancerIPs.contains(source) && own.contains { $0.contains(node) }
    }

    // MARK: Which endpoints

    private typealias Endpoints = [AddressPort: EndpointSlice.Endpoint]

    /// 2, 3 and 4.
    private func endpoints(of claim: Claim, _ family: AddressFamily) -> Endpoints {
        var result: Endpoints = [:]
        for slice in slices[claim.service.name] ?? [] where slice.family == family {
            for port in slice.ports
            where port.name == claim.port.name && port.transport == claim.port.transport {
                for endpoint in slice.endpoints where endpoint.address.family == family {
                    let target = AddressPort(endpoint.address, port.port)
                    if let other = result[target], merit(other) >= merit(endpoint) { continue }
                    result[target] = endpoint
                }
            }
        }
        return result
    }

    /// Of entries for one ip:port the one with the most counts: not terminating, then ready, serving, local.
    private func merit(_ endpoint: EndpointSlice.Endpoint) -> Int {
        (endpoint.isTerminating ? 0 : 8) + (endpoint.isReady ? 4 : 0) + (endpoint.isServing ? 2 : 0)
            + (endpoint.nodeName == proxy.node.name ? 1 : 0)
    }

    private func isEnding(_ endpoint: EndpointSlice.Endpoint) -> Bool {
        endpoint.isServing && endpoint.isTerminating
    }

    /// 7
    private func clusterOnes(_ all: Endpoints) -> Set<AddressPort> {
        let ready = near(all.filter { $0.value.isReady })
        return Set((ready.isEmpty ? all.filter { isEnding($0.value) } : ready).keys)
    }

    /// 8
    private func localOnes(_ all: Endpoints) -> Set<AddressPort> {
        let local = all.filter { $0.value.nodeName == proxy.node.name }
        let ready = local.filter { $0.value.isReady }
        return Set((ready.isEmpty ? local.filter { isEnding($0.value) } : ready).keys)
    }

    /// 9
    private func near(_ ready: Endpoints) -> Endpoints {
        let name = proxy.node.name
        if ready.values.allSatisfy({ !$0.nodeHints.isEmpty }) {
            let here = ready.filter { $0.value.nodeHints.contains(name) }
            if !here.isEmpty { return here }
        }
        if let zone = proxy.node.zone, ready.values.allSatisfy({ !$0.zoneHints.isEmpty }) {
            let here = ready.filter { $0.value.zoneHints.contains(zone) }
            if !here.isEmpty { return here }
        }
        return ready
    }
}
