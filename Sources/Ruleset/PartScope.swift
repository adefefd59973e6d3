import IPAddressing
import KubernetesAPI
import NFTables

/// Which Services a part of a table comes from, so that a small part needn't be picked out of the whole.
struct PartScope {
    /// Those that have chains or sets of their own in it.
    private var services: Set<ObjectName> = []
    /// The maps of slots in it.
    private(set) var maps: Set<Int> = []
    /// It holds elements of maps that all Services are in.
    private var isShared = false

    init(_ scope: TableScope, frame: Frame) {
        let shared = Set(frame.sets.map(\.name))
        for name in scope.sets.union(scope.chains) {
            if let service = ObjectNames.service(of: name) { services.insert(service) }
            if let map = ObjectNames.slotMap(name) { maps.insert(map) }
        }
        isShared = !shared.isDisjoint(with: scope.sets)
    }

    /// Whether something of the Service may be in it.
    func concerns(_ name: ObjectName, _ service: CompiledService, _ family: AddressFamily) -> Bool {
        if isShared || services.contains(name) { return true }
        guard !maps.isEmpty else { return false }
        return service.ports.contains { port in
            port.family == family && port.pools.contains { $0.region.map { maps.contains($0.map) } ?? false }
        }
    }
}
