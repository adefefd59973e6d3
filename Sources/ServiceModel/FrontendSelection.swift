import IPAddressing
import KubernetesAPI

/// Where the ports of one Service can be addressed to: what it asks for, without what another Service or, in order,
/// another port of its own has.
struct FrontendSelection {
    private let service: Service
    private let state: ClusterState
    /// Those that the Service is there in.
    private let families: [AddressFamily]
    /// By index, which port has what.
    private var taken: [Claim: Int] = [:]
    /// What isn't served and why.
    private(set) var problems: [ObjectProblem] = []
    /// How much of it belongs to others.
    private var told = 0

    init(of service: Service, in state: ClusterState) {
        self.service = service
        self.state = state
        families = AddressFamily.allCases.filter(service.serves)
        reportStrays(service.externalIPs, "spec.externalIPs")
        if service.kind == .loadBalancer {
            reportStrays(service.loadBalancerIPs, "status.loadBalancer.ingress")
        }
    }

    /// Reports the addresses of families that the Service isn't in: they are not served, whoever else may have them.
    private mutating func reportStrays(_ addresses: [IPAddress], _ field: String) {
        for family in AddressFamily.allCases where !families.contains(family) {
            let strays = addresses.filter { $0.family == family }
            if strays.isEmpty { continue }
            let first = strays.prefix(Self.straysNamed).map(\.description).joined(separator: ", ")
            let more = strays.count > Self.straysNamed ? " and \(strays.count - Self.straysNamed) more" : ""
            problems.append(
                ObjectProblem(
                    subject: .object(.service(service.name)), field: field,
                    message: "\(first)\(more): the Service has no cluster IP in \(family.name); not served"))
        }
    }

    /// How many addresses one problem names.
    private static var straysNamed: Int { 4 }

    /// The frontends of one port by family; none where there are none. To be called once for each port, in order.
    mutating func frontends(of port: Service.Port, at index: Int) -> [AddressFamily: [Frontend]] {
        var result: [AddressFamily: [Frontend]] = [:]
        var seen: Set<IPAddress> = []
        func addresses(_ all: [IPAddress]) -> [IPAddress] {
            all.filter { families.contains($0.family) && seen.insert($0).inserted }
        }
        func add(_ kind: Frontend.Kind, _ claim: Claim) {
            let policy = kind == .clusterIP ? service.internalTrafficPolicy : service.externalTrafficPolicy
            result[claim.family, default: []].append(
                Frontend(kind, claim.address, port: claim.port, policy: policy))
        }
        for address in addresses(service.clusterIPs) where take(address, port, index, "spec.clusterIP") {
            add(.clusterIP, Claim(address, port.transport, port.port))
        }
        if service.kind == .loadBalancer {
            for address in addresses(service.loadBalancerIPs)
            where take(address, port, index, "status.loadBalancer.ingress") {
                let sources = state.sources(of: service, address.family)
                add(.loadBalancer(sources: sources), Claim(address, port.transport, port.port))
            }
        }
        // After the load balancer addresses: one that is both stays guarded.
        for address in addresses(service.externalIPs) where take(address, port, index, "spec.externalIPs") {
            add(.externalIP, Claim(address, port.transport, port.port))
        }
        if service.hasNodePorts, let number = port.nodePort {
            for family in takeNodePort(number, port.transport, index) {
                add(.nodePort, Claim(nodePort: number, port.transport, family))
            }
        }
        return result
    }

    /// Takes a port of an address, or reports who has it.
    private mutating func take(
        _ address: IPAddress, _ port: Service.Port, _ index: Int, _ field: String
    ) -> Bool {
        let claim = Claim(address, port.transport, port.port)
        if let owner = owner(of: claim) {
            report("\(AddressPort(address, port.port))/\(port.transport)", owner, field)
            return false
        }
        taken[claim] = index
        return true
    }

    /// Takes a node port in the families in which nobody else has it, and reports those in which somebody has.
    private mutating func takeNodePort(
        _ number: UInt16, _ transport: TransportProtocol, _ index: Int
    ) -> [AddressFamily] {
        let field = "spec.ports[\(index)].nodePort"
        let what = "node port \(number)"
        var lost: [String: [AddressFamily]] = [:]
        var won: [AddressFamily] = []
        for family in families {
            let claim = Claim(nodePort: number, transport, family)
            if let owner = owner(of: claim) {
                lost[owner, default: []].append(family)
                continue
            }
            taken[claim] = index
            won.append(family)
            for address in state.addresses(askedAt: claim) {
                guard let holder = state.holder(of: claim.at(address)), holder != service.name else {
                    continue
                }
                report("\(what) at \(address)/\(transport)", "Service \(holder)", field)
            }
        }
        for (owner, some) in lost.sorted(by: { $0.key < $1.key }) {
            let part = some == families ? "" : " over " + some.map(\.name).joined(separator: " and ")
            report("\(what)/\(transport)\(part)", owner, field)
        }
        return won
    }

    /// Who has it instead of this port: another Service, or a port before.
    private func owner(of claim: Claim) -> String? {
        if let holder = state.holder(of: claim), holder != service.name { return "Service \(holder)" }
        return taken[claim].map { "spec.ports[\($0)]" }
    }

    private mutating func report(_ what: String, _ owner: String, _ field: String) {
        told += 1
        guard told <= ServiceLimits.tellings else {
            guard told == ServiceLimits.tellings + 1 else { return }
            problems.append(
                ObjectProblem(
                    subject: .object(.service(service.name)), field: "spec",
                    message: "more of its addresses and ports belong to others; not served for this one"))
            return
        }
        problems.append(
            ObjectProblem(
                subject: .object(.service(service.name)), field: field,
                message: "\(what) belongs to \(owner); not served for this one"))
    }
}
