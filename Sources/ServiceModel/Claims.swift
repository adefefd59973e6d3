import IPAddressing
import KubernetesAPI

/// A virtual address and port, or a node port in one family: what one Service only can have.
struct Claim: Hashable {
    /// Nil for a node port.
    let address: IPAddress?
    let family: AddressFamily
    let transport: TransportProtocol
    let port: UInt16

    init(_ address: IPAddress, _ transport: TransportProtocol, _ port: UInt16) {
        (self.address, family, self.transport, self.port) = (address, address.family, transport, port)
    }

    /// A node port. Its families are apart: one may be one Service's and the other another's.
    init(nodePort port: UInt16, _ transport: TransportProtocol, _ family: AddressFamily) {
        (address, self.family, self.transport, self.port) = (nil, family, transport, port)
    }

    /// The node port of the same number and family.
    var ofNode: Claim { Claim(nodePort: port, transport, family) }

    /// The same port of an address.
    func at(_ address: IPAddress) -> Claim { Claim(address, transport, port) }

    /// What a Service asks for: nothing when this proxy doesn't serve it.
    static func all(of service: Service) -> [Claim] {
        guard service.isServedHere else { return [] }
        let addresses = Set(service.virtualAddresses.filter { service.serves($0.family) })
        let families = AddressFamily.allCases.filter(service.serves)
        return service.ports.flatMap { port in
            let claims = addresses.map { Claim($0, port.transport, port.port) }
            guard service.hasNodePorts, let number = port.nodePort else { return claims }
            return claims + families.map { Claim(nodePort: number, port.transport, $0) }
        }
    }
}

/// Who asks for what, and who has it.
///
/// A node port is a port of all the addresses of a family that serve such. Where a Service asks for one of those by its
/// own name, as an external IP that is the node's, they ask for the same.
struct Claims: Sendable {
    private var claimants: [Claim: [ObjectName]] = [:]
    private var nodeAddresses: Set<IPAddress> = []
    /// By node port: the node's addresses of its family of which that port is asked for, whether anyone asks for the
    /// node port or not.
    private var askedOfNode: [Claim: Set<IPAddress>] = [:]

    /// - Returns: the others who ask for something of it.
    mutating func add(_ service: Service) -> Set<ObjectName> {
        var touched: Set<ObjectName> = []
        for claim in Claim.all(of: service) {
            let others = claimants[claim, default: []].filter { $0 != service.name }
            touched.formUnion(others)
            claimants[claim] = others + [service.name]
            if let address = claim.address, nodeAddresses.contains(address) {
                askedOfNode[claim.ofNode, default: []].insert(address)
            }
            touched.formUnion(counterparts(of: claim))
        }
        touched.remove(service.name)
        return touched
    }

    /// - Returns: the others who ask for something of it.
    mutating func remove(_ service: Service) -> Set<ObjectName> {
        var touched: Set<ObjectName> = []
        for claim in Claim.all(of: service) {
            touched.formUnion(counterparts(of: claim))
            let others = (claimants[claim] ?? []).filter { $0 != service.name }
            touched.formUnion(others)
            claimants[claim] = others.isEmpty ? nil : others
            guard others.isEmpty, let address = claim.address, nodeAddresses.contains(address) else {
                continue
            }
            askedOfNode[claim.ofNode]?.remove(address)
            if askedOfNode[claim.ofNode]?.isEmpty == true { askedOfNode[claim.ofNode] = nil }
        }
        touched.remove(service.name)
        return touched
    }

    /// Takes all the addresses that serve node ports.
    ///
    /// - Returns: those who ask for something of what that changes.
    mutating func change(nodeAddresses new: Set<IPAddress>) -> Set<ObjectName> {
        guard new != nodeAddresses else { return [] }
        let before = askedOfNode
        nodeAddresses = new
        askedOfNode = [:]
        for claim in claimants.keys {
            guard let address = claim.address, new.contains(address) else { continue }
            askedOfNode[claim.ofNode, default: []].insert(address)
        }
        var touched: Set<ObjectName> = []
        for nodePort in Set(before.keys).union(askedOfNode.keys) {
            guard let asking = claimants[nodePort] else { continue }
            let changed = (before[nodePort] ?? []).symmetricDifference(askedOfNode[nodePort] ?? [])
            if !changed.isEmpty { touched.formUnion(asking) }
            for address in changed { touched.formUnion(claimants[nodePort.at(address)] ?? []) }
        }
        return touched
    }

    /// Those who ask for the same in the other way: by node port, or by one of the node's addresses.
    private func counterparts(of claim: Claim) -> [ObjectName] {
        guard let address = claim.address else {
            return addresses(askedAt: claim).flatMap { claimants[claim.at($0)] ?? [] }
        }
        return nodeAddresses.contains(address) ? claimants[claim.ofNode] ?? [] : []
    }

    /// The node's addresses of which somebody asks for a node port's port, in order.
    func addresses(askedAt nodePort: Claim) -> [IPAddress] { (askedOfNode[nodePort] ?? []).sorted() }

    /// Who has it of those who ask for it: of an address, those with the best right to it; of those the oldest; by name
    /// when they are of one age or tell none. Of a node port, it may lack some of the node's addresses: see
    /// `addresses(askedAt:)`.
    func holder(of claim: Claim, _ service: (ObjectName) -> Service?) -> ObjectName? {
        let names = claimants[claim] ?? []
        guard let address = claim.address else { return Self.oldest(names, service) }
        let byNodePort = nodeAddresses.contains(address) ? claimants[claim.ofNode] ?? [] : []
        if names.count + byNodePort.count <= 1 { return names.first ?? byNodePort.first }
        let best = names.compactMap { service($0)?.right(to: address) }.min()
        let entitled = names.filter { service($0)?.right(to: address) == best }
        return Self.oldest([entitled, byNodePort].compactMap { Self.oldest($0, service) }, service)
    }

    private static func oldest(_ names: [ObjectName], _ service: (ObjectName) -> Service?) -> ObjectName? {
        if names.count <= 1 { return names.first }
        return names.min { a, b in
            (service(a)?.created ?? .max, a) < (service(b)?.created ?? .max, b)
        }
    }
}

/// How good a Service's right is to an address, the best first.
///
/// Whoever may write a Service may write any address and port into `externalIPs`, at any time, into an old Service too.
/// So what they take there must not be what another Service was given.
enum Right: Comparable {
    /// A cluster IP: an API server has allotted it, and to nobody else.
    case allotted
    /// A load balancer address: a controller has written it into the status.
    case assigned
    /// An external IP: somebody says so.
    case asserted
}

extension Service {
    /// Statement 1.
    var isServedHere: Bool {
        proxyName == nil && !isHeadless && kind != .externalName
    }

    /// What it is of a type to have.
    var hasNodePorts: Bool { kind == .nodePort || kind == .loadBalancer }

    /// Whether it has a cluster IP of the family. Without one it isn't there in that family at all, whatever other
    /// addresses it names: kube-proxy leaves those to whoever else they lead to.
    func serves(_ family: AddressFamily) -> Bool { clusterIPs.contains { $0.family == family } }

    /// Its right to an address that it asks for, the best where it asks in several ways.
    func right(to address: IPAddress) -> Right {
        if clusterIPs.contains(address) { return .allotted }
        return kind == .loadBalancer && loadBalancerIPs.contains(address) ? .assigned : .asserted
    }

    /// Every address it asks for, whatever for.
    var virtualAddresses: [IPAddress] {
        clusterIPs + externalIPs + (kind == .loadBalancer ? loadBalancerIPs : [])
    }
}
