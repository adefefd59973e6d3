import IPAddressing
import KubernetesAPI
import NFTables
import ServiceModel

/// The kernel objects of one Service in one family.
struct Fragment {
    /// An element that several Services may ask for, there as long as one of them does.
    enum Shared: Hashable {
        /// Its other ports are refused.
        case clusterIP(IPAddress)
        /// It is masqueraded when it is sent to itself.
        case hairpin(IPAddress)
        /// Who was led from there may have to be remembered.
        case affinity(IPAddress)
        /// Who comes from there may have to get the node's address.
        case external(IPAddress)

        var set: String {
            switch self {
            case .clusterIP: ObjectNames.clusterIPs
            case .hairpin: ObjectNames.hairpin
            case .affinity: ObjectNames.affinityAddresses
            case .external: ObjectNames.externalAddresses
            }
        }

        var element: Element {
            switch self {
            case .clusterIP(let address), .affinity(let address), .external(let address):
                Element(RegisterValue(address))
            case .hairpin(let address): Element(RegisterValue(hairpin: address))
            }
        }
    }

    var sets: [NamedSet] = []
    var chains: [Chain] = []
    /// By set.
    var elements: [String: [Element]] = [:]

    init() {}

    /// - Parameter maps: the maps of slots whose elements are wanted; nil: all.
    init(_ service: CompiledService, frame: Frame, maps: Set<Int>? = nil) {
        for port in service.ports where port.family == frame.family {
            var builder = PortFragment(port: port, frame: frame, maps: maps)
            builder.build()
            sets += builder.sets
            chains += builder.chains
            for (set, added) in builder.elements { elements[set, default: []] += added }
        }
    }

    /// The elements that the Service has in common with others, each as often as it asks for it.
    static func shared(_ service: CompiledService, _ family: AddressFamily) -> [Shared] {
        var result: [Shared] = []
        for address in service.clusterIPs where address.family == family {
            result.append(.clusterIP(address))
        }
        for port in service.ports where port.family == family {
            let pools = port.pools
            guard !pools.isEmpty else { continue }
            let hasMemory = pools.contains { $0.affinityTimeout != nil }
            for frontend in port.frontends {
                guard let address = frontend.address else { continue }
                if frontend.isExternal { result.append(.external(address)) }
                if hasMemory { result.append(.affinity(address)) }
            }
            for pool in pools {
                for member in pool.members where member.isHairpin {
                    result.append(.hairpin(member.target.address))
                }
            }
        }
        return result
    }

    /// The same of the node's own addresses: what is a node port's is looked for there.
    static func shared(_ environment: NodeEnvironment, _ family: AddressFamily) -> [Shared] {
        environment.nodePortAddresses.filter { $0.family == family }.flatMap {
            [.affinity($0), .external($0)]
        }
    }
}

/// The kernel objects of one service port in one family.
private struct PortFragment {
    let port: CompiledPort
    let frame: Frame
    let maps: Set<Int>?
    let identity: String
    /// As the kernel will give it back: names can be longer than a comment.
    let comment: String

    var sets: [NamedSet] = []
    var chains: [Chain] = []
    var elements: [String: [Element]] = [:]

    private var family: Family { frame.family.nft }
    private var transport: TransportProtocol { port.id.transport }
    /// The pools that something jumps to, by name of their chain.
    private var jumped: Set<String> = []

    init(port: CompiledPort, frame: Frame, maps: Set<Int>?) {
        self.port = port
        self.frame = frame
        self.maps = maps
        identity = ObjectNames.identity(port.id)
        comment = Comment.sanitized(port.id.description)
    }

    mutating func build() {
        for frontend in port.frontends { add(frontend) }
        let pools = port.pools
        for pool in pools where jumped.contains(pool.name) || pool.affinityTimeout != nil {
            chains.append(Chain(pool.name, rules: rules(of: pool)))
            addSlots(of: pool)
        }
        addMemory()
    }

    // MARK: Frontends

    private mutating func add(_ frontend: Frontend) {
        guard let address = frontend.address else { return addNodePort(frontend) }
        let key = RegisterValue(address, transport, frontend.port)
        let target = port.target(frontend.policy)
        if case .loadBalancer(let sources?) = frontend.kind {
            let next = verdict(frontend)
            addFirewall(sources, next: next)
            add(to: ObjectNames.services, key, .goto(ObjectNames.firewall(identity)))
        } else if frontend.policy == .cluster || !frontend.isExternal, let only = target.pool?.direct {
            elements[ObjectNames.direct, default: []].append(
                Element(key, data: .value(RegisterValue(only.target)), comment: comment))
        } else {
            add(to: ObjectNames.services, key, verdict(frontend))
        }
        if frontend.isExternal { addMasquerade(ObjectNames.masquerade, key, frontend) }
    }

    private mutating func addNodePort(_ frontend: Frontend) {
        let key = RegisterValue(transport, frontend.port)
        add(to: ObjectNames.nodePorts, key, verdict(frontend))
        addMasquerade(ObjectNames.masqueradeNodePorts, key, frontend)
    }

    /// An element of a verdict map; where the chain's name doesn't tell the Service, its comment does.
    private mutating func add(to map: String, _ key: RegisterValue, _ verdict: Verdict) {
        let isNamed = verdict.target?.hasSuffix(identity) ?? false
        elements[map, default: []].append(
            Element(key, data: .verdict(verdict), comment: isNamed ? nil : comment))
    }

    /// Where a frontend leads to.
    private mutating func verdict(_ frontend: Frontend) -> Verdict {
        guard frontend.isExternal, frontend.policy == .local, port.cluster != .refuse else {
            return verdict(port.target(frontend.policy))
        }
        // Local pods and the host itself reach all endpoints, as if they had used the cluster IP.
        let chain = ObjectNames.external(identity)
        if !chains.contains(where: { $0.name == chain }) {
            let everywhere = Statement.verdict(verdict(port.cluster))
            var rules = frame.fromLocalPod.map { [Rule([$0, everywhere])] } ?? []
            rules.append(Rule([.sourceIsLocal, everywhere]))
            rules.append(Rule([Statement.verdict(verdict(port.target(.local)))]))
            chains.append(Chain(chain, rules: rules))
        }
        return .goto(chain)
    }

    private mutating func verdict(_ target: CompiledTarget) -> Verdict {
        switch target {
        case .pool(let pool):
            jumped.insert(pool.name)
            return .goto(pool.name)
        case .refuse: return .goto(ObjectNames.refuse)
        case .drop: return .drop
        }
    }

    private mutating func addFirewall(_ sources: [IPNetwork], next: Verdict) {
        let chain = ObjectNames.firewall(identity)
        guard !chains.contains(where: { $0.name == chain }) else { return }
        let set = frame.networks(ObjectNames.sources(identity))
        sets.append(set)
        let allowed = IntervalElements.make(sources, frame.family)
        if !allowed.isEmpty { elements[set.name] = allowed }
        // Ahead of what it leads to: chains that end go in this order, and none while another one leads there.
        chains.insert(
            Chain(
                chain,
                rules: [
                    Rule([.member(.saddr(family), of: set.name), .verdict(next)]), Rule([.drop]),
                ]), at: 0)
    }

    /// Under Cluster policy the answer must come back through this node; under Local policy only what the host itself
    /// sends is translated, and everybody else's address is kept.
    private mutating func addMasquerade(_ map: String, _ key: RegisterValue, _ frontend: Frontend) {
        guard !port.pools.isEmpty else { return }
        let chain = frontend.policy == .local ? ObjectNames.translateHost : ObjectNames.translate
        elements[map, default: []].append(Element(key, data: .verdict(.goto(chain)), comment: comment))
    }

    // MARK: Pools

    private func rules(of pool: CompiledPool) -> [Rule] {
        let match = Statement.l4proto(InternetProtocol(rawValue: transport.rawValue))
        var rules: [Rule] = []
        if pool.affinityTimeout != nil {
            rules += pool.targetPorts.map { port in
                let map = self.port.affinityMap(of: pool, targetPort: port)
                return Rule([match, .dnat(family, addressFrom: map, key: [.saddr(family)], port: port)])
            }
        }
        if let region = pool.region {
            let counter = Term.numgenIncremental(modulus: UInt32(pool.members.count), offset: region.offset)
            let map = ObjectNames.slots(region.map)
            rules.append(Rule([match, .dnat(family, addressAndPortFrom: map, key: [counter])]))
        } else if let only = pool.members.first {
            let target = only.target
            rules.append(
                Rule([match, .dnat(family, address: RegisterValue(target.address), port: target.port)]))
        }
        return rules
    }

    private mutating func addSlots(of pool: CompiledPool) {
        guard let region = pool.region, maps?.contains(region.map) != false else { return }
        elements[ObjectNames.slots(region.map), default: []] += pool.members.enumerated().map {
            index, member in
            Element(
                RegisterValue(slot: region.offset + UInt32(index)),
                data: .value(RegisterValue(member.target)))
        }
    }

    // MARK: Affinity

    /// The maps of who keeps which endpoint, and the chain that writes them.
    ///
    /// A client's choice counts for the pools of both policies that hold the endpoint, whichever it was made through.
    private mutating func addMemory() {
        let memories = port.memories
        guard !memories.isEmpty else { return }
        // What a node port's connections look like, another Service's external IP that is the node's address can have.
        let isAmbiguous = port.pools.count > 1 || port.frontends.contains { $0.address == nil }
        var updates: [Rule] = []
        for memory in memories {
            let map = frame.affinity(memory.map)
            sets.append(map)
            var statements = [Statement.thDport(memory.targetPort)]
            if isAmbiguous {
                let members = NamedSet(memory.members, key: Shape(frame.family.datatype))
                sets.append(members)
                elements[members.name] = memory.alive.sorted().map { Element(RegisterValue($0)) }
                statements.append(.member(.daddr(family), of: members.name))
            }
            statements.append(
                .update(
                    map.name, key: .saddr(family), data: .daddr(family),
                    timeout: memory.milliseconds))
            updates.append(Rule(statements, sets: [map.name: map]))
        }
        let chain = ObjectNames.remember(identity)
        chains.append(Chain(chain, rules: updates))
        for frontend in port.frontends {
            if let address = frontend.address {
                add(
                    to: ObjectNames.affinity, RegisterValue(address, transport, frontend.port), .goto(chain))
            } else {
                add(to: ObjectNames.affinityNodePorts, RegisterValue(transport, frontend.port), .goto(chain))
            }
        }
    }
}
