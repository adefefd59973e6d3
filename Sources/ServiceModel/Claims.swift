import IPAddressing
import KubernetesAPI

/// A virtual address and port, or a node port: what one Service only can have.
struct Claim: Hashable {
    /// Nil for a node port.
    let address: IPAddress?
    let transport: TransportProtocol
    let port: UInt16

    /// What a Service asks for: nothing when this proxy doesn't serve it.
    static func all(of service: Service) -> [Claim] {
        guard service.isServedHere else { return [] }
        let addresses = Set(service.virtualAddresses.filter { service.serves($0.family) })
        return service.ports.flatMap { port in
            addresses.map {
                Claim(address: $0, transport: port.transport, port: port.port)
            }
                + [service.hasNodePorts ? port.nodePort : nil].compactMap { $0 }.map {
                    Claim(address: nil, transport: port.transport, port: $0)
                }
        }
    }
}

/// Who asks for what, and who has it.
struct Claims: Sendable {
    private var claimants: [Claim: [ObjectName]] = [:]

    /// - Returns: the others who ask for something of it.
    mutating func add(_ service: Service) -> Set<ObjectName> {
        var touched: Set<ObjectName> = []
        for claim in Claim.all(of: service) {
            let others = claimants[claim, default: []].filter { $0 != service.name }
            touched.formUnion(others)
            claimants[claim] = others + [service.name]
        }
        return touched
    }

    /// - Returns: the others who ask for something of it.
    mutating func remove(_ service: Service) -> Set<ObjectName> {
        var touched: Set<ObjectName> = []
        for claim in Claim.all(of: service) {
            let others = (claimants[claim] ?? []).filter { $0 != service.name }
            touched.formUnion(others)
            claimants[claim] = others.isEmpty ? nil : others
        }
        return touched
    }

    /// The oldest of those who ask for it; by name when they are of one age or tell none.
    func holder(of claim: Claim, age: (ObjectName) -> Int64?) -> ObjectName? {
        guard let names = claimants[claim] else { return nil }
        if names.count == 1 { return names[0] }
        return names.min { a, b in (age(a) ?? .max, a) < (age(b) ?? .max, b) }
    }
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

    /// Every address it asks for, whatever for.
    var virtualAddresses: [IPAddress] {
        clusterIPs + externalIPs + (kind == .loadBalancer ? loadBalancerIPs : [])
    }
}
