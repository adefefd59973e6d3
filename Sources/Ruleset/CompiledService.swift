import IPAddressing
import KubernetesAPI
import NFTables
import ServiceModel

/// A pool as it is programmed: its endpoints in the order of their slots.
struct CompiledPool: Hashable, Sendable {
    /// The name of its chain.
    let name: String
    let transport: TransportProtocol
    /// At least one; more than one only with a region.
    var members: [PoolEndpoint]
    /// Where the slots are; nil for a single endpoint.
    var region: SlotRegion?
    /// Seconds; nil for no affinity.
    var affinityTimeout: UInt32?

    /// The ports that the endpoints listen on: nearly always one.
    var targetPorts: [UInt16] { Set(members.map(\.target.port)).sorted() }

    /// The addresses that clients may keep, by target port.
    func addresses(port: UInt16) -> Set<IPAddress> {
        Set(members.lazy.filter { $0.target.port == port }.map(\.target.address))
    }

    /// The endpoint, where one element of a data map says it all.
    var direct: PoolEndpoint? { members.count == 1 && affinityTimeout == nil ? members.first : nil }
}

/// What one policy leads to.
enum CompiledTarget: Hashable, Sendable {
    case pool(CompiledPool)
    case refuse
    case drop

    var pool: CompiledPool? {
        if case .pool(let pool) = self { pool } else { nil }
    }
}

/// One service port in one family, with all that was decided for it.
struct CompiledPort: Hashable, Sendable {
    let id: ServicePortID
    let family: AddressFamily
    let frontends: [Frontend]
    var cluster: CompiledTarget
    /// Nil where no frontend has Local policy.
    var local: CompiledTarget?

    func target(_ policy: Service.TrafficPolicy) -> CompiledTarget {
        policy == .local ? local ?? cluster : cluster
    }

    /// The pools that exist for it.
    var pools: [CompiledPool] { [cluster.pool, local?.pool].compactMap { $0 } }
}

/// One Service, with all that was decided for it. What its objects in the kernel are follows from this value alone.
struct CompiledService: Hashable, Sendable {
    var clusterIPs: [IPAddress] = []
    var ports: [CompiledPort] = []
    /// What of it can't be programmed as asked.
    var problems: Set<ObjectProblem> = []
}

/// The pools of a Service by name: looked through where they are few, since nearly all Services have one or two.
struct PoolIndex {
    private struct Key: Hashable {
        var name: String
        var family: AddressFamily
    }

    private let service: CompiledService
    private var byName: [Key: CompiledPool]?

    private static let few = 8

    init(_ service: CompiledService) {
        self.service = service
        guard service.ports.count > Self.few else { return }
        var byName: [Key: CompiledPool] = [:]
        for port in service.ports {
            for pool in port.pools { byName[Key(name: pool.name, family: port.family)] = pool }
        }
        self.byName = byName
    }

    func pool(_ name: String, _ family: AddressFamily) -> CompiledPool? {
        if let byName { return byName[Key(name: name, family: family)] }
        for port in service.ports where port.family == family {
            for pool in port.pools where pool.name == name { return pool }
        }
        return nil
    }
}
