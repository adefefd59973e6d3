public import IPAddressing
public import KubernetesAPI
public import NFTables
public import ServiceModel

/// What has to be done to the kernel, as one transaction over all tables.
public struct RulesetDelta: Sendable, Equatable {
    /// In the order in which the kernel takes them.
    public var operations: [Operation]
    /// What affinity maps need beside. What they hold only the kernel knows.
    public var affinity: [AffinityChange]

    public init(operations: [Operation] = [], affinity: [AffinityChange] = []) {
        self.operations = operations
        self.affinity = affinity
    }

    public var isEmpty: Bool { operations.isEmpty && affinity.isEmpty }
}

/// The wanted ruleset: plans of Services in, changes of the kernel's objects out.
///
/// A pure value. It knows what each Service was compiled to, so that a change costs what the changed Services cost;
/// it gives out slots, and keeps them where they are. It assumes that the kernel holds what it handed out last;
/// where that is in doubt, `repair` compares with what the kernel really holds.
public struct RulesetCompiler: Sendable {
    private(set) var services: [ObjectName: CompiledService] = [:]
    private var tables: [AddressFamily: TableState]
    private var environment = NodeEnvironment()
    /// Differs from node to node: see `SlotOrder`.
    private let seed: UInt64
    /// How the tables are held; those that stand are replaced where they can't come to be held so.
    public var tableFlags: TableFlags = []

    private struct TableState: Sendable {
        var frame: Frame
        var slots = SlotAllocator()
        /// How many ask for each shared element.
        var shared: [Fragment.Shared: Int] = [:]
        /// Where the pools of the kernel's table are and in which order their endpoints stand, until asked for.
        var adopted: [String: AdoptedPool] = [:]
        var contents = RulesetContents()

        init(frame: Frame) { self.frame = frame }

        mutating func count(_ elements: [Fragment.Shared], _ step: Int) {
            for element in elements {
                let count = (shared[element] ?? 0) + step
                shared[element] = count == 0 ? nil : count
            }
        }
    }

    /// Which shared elements were there before they were counted anew.
    private struct SharedBefore {
        private var wasThere: [Fragment.Shared: Bool] = [:]

        mutating func count(_ elements: [Fragment.Shared], _ step: Int, in state: inout TableState) {
            for element in elements where wasThere[element] == nil {
                wasThere[element] = state.shared[element] != nil
            }
            state.count(elements, step)
        }

        /// What has come and gone.
        func add(to changes: inout Changeset, _ state: TableState) {
            for (element, wasThere) in wasThere {
                let isThere = state.shared[element] != nil
                if isThere, !wasThere {
                    changes.addedElements[element.set, default: []].append(element.element)
                }
                if wasThere, !isThere {
                    changes.removedElements[element.set, default: []].append(element.element)
                }
            }
        }
    }

    /// - Parameter nodeName: orders the endpoints of pools, differently on each node.
    public init(nodeName: String, settings: RulesetSettings = RulesetSettings()) {
        tables = Dictionary(
            uniqueKeysWithValues: AddressFamily.allCases.map {
                ($0, TableState(frame: Frame(family: $0, settings: settings)))
            })
        var hash = StableHash()
        hash.combine(nodeName)
        seed = hash.value
    }

    // MARK: Changes

    /// Takes the new plans of some Services (nil: nothing to serve any more) and says what changes in the kernel.
    ///
    /// - Returns: the changes, and which problems came and went.
    public mutating func update(
        _ plans: [(name: ObjectName, plan: ServicePlan?)]
    ) -> (delta: RulesetDelta, problems: CompilerProblems) {
        let changed = take(plans)
        var delta = RulesetDelta()
        for family in AddressFamily.allCases {
            let changes = changes(of: family, changed)
            delta.operations += changes.operations
            delta.affinity += changes.affinity
        }
        return (delta, CompilerProblems(changed))
    }

    /// Takes new plans as `update` does, where what the kernel holds is in doubt and `repair` will say what changes: a
    /// cold start needn't put all changes together only for them to be thrown away.
    ///
    /// - Returns: which problems came and went.
    public mutating func updateBeforeRepair(
        _ plans: [(name: ObjectName, plan: ServicePlan?)]
    ) -> CompilerProblems {
        let changed = take(plans)
        for family in AddressFamily.allCases {
            guard var state = tables.removeValue(forKey: family) else { continue }
            for (old, new) in changed {
                state.count(Fragment.shared(new, family), 1)
                state.count(Fragment.shared(old, family), -1)
            }
            _ = state.slots.settle()
            tables[family] = state
        }
        return CompilerProblems(changed)
    }

    /// Compiles plans and gives out slots.
    private mutating func take(
        _ plans: [(name: ObjectName, plan: ServicePlan?)]
    ) -> [(old: CompiledService, new: CompiledService)] {
        var changed: [(old: CompiledService, new: CompiledService)] = []
        // Regions of pools that end are given back before others are handed out, so that maps fill up again.
        let ordered = plans.sorted { ($0.plan == nil ? 0 : 1, $0.name) < ($1.plan == nil ? 0 : 1, $1.name) }
        for (name, plan) in ordered {
            let old = services[name] ?? CompiledService()
            let new = plan.map { compile($0, old) } ?? CompiledService()
            releaseRegions(of: old, keptBy: new)
            guard old != new else { continue }
            services[name] = plan == nil ? nil : new
            changed.append((old, new))
            for family in AddressFamily.allCases {
                tables[family]?.contents.count(old, family, -1)
                tables[family]?.contents.count(new, family, 1)
            }
        }
        return changed
    }

    private mutating func changes(
        of family: AddressFamily, _ changed: [(old: CompiledService, new: CompiledService)]
    ) -> Changeset {
        var changes = Changeset(ObjectNames.tableID(family))
        guard var state = tables.removeValue(forKey: family) else { return changes }
        defer { tables[family] = state }
        var sharedBefore = SharedBefore()
        for (old, new) in changed {
            let before = Fragment(old, frame: state.frame)
            let after = Fragment(new, frame: state.frame)
            changes.add(from: before, to: after)
            sharedBefore.count(Fragment.shared(new, family), 1, in: &state)
            sharedBefore.count(Fragment.shared(old, family), -1, in: &state)
            changes.affinity += AffinityChange.all(from: old, to: new, family)
        }
        sharedBefore.add(to: &changes, state)
        let maps = state.slots.settle()
        changes.newSets = maps.came.map(state.frame.slots) + changes.newSets
        // A map that goes takes its elements along.
        for map in maps.went {
            changes.removedElements[ObjectNames.slots(map)] = nil
            changes.deadSets.append(ObjectNames.slots(map))
        }
        return changes
    }

    /// Takes what the rules depend on beside Services, and says what changes in the kernel.
    public mutating func update(environment new: NodeEnvironment) -> RulesetDelta {
        guard new != environment else { return RulesetDelta() }
        var delta = RulesetDelta()
        for family in AddressFamily.allCases {
            guard var state = tables.removeValue(forKey: family) else { continue }
            defer { tables[family] = state }
            let before = state.frame
            var after = before
            after.localPods = new.localPods.filter { $0.family == family }
            state.frame = after
            var changes = Changeset(ObjectNames.tableID(family))
            let chainsBefore = Dictionary(
                before.chains.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
            changes.refilledChains = after.chains.filter { chainsBefore[$0.name] != $0 }
            let networks: [(set: String, of: KeyPath<NodeEnvironment, [IPNetwork]>)] = [
                (ObjectNames.serviceNetworks, \.serviceNetworks), (ObjectNames.localPods, \.localPods),
            ]
            for (set, path) in networks {
                changes.replaceElements(
                    of: set, from: IntervalElements.make(environment[keyPath: path], family),
                    to: IntervalElements.make(new[keyPath: path], family))
            }
            changes.addElements(
                of: ObjectNames.nodeAddresses, from: nodeAddresses(environment, family),
                to: nodeAddresses(new, family))
            var sharedBefore = SharedBefore()
            sharedBefore.count(Fragment.shared(new, family), 1, in: &state)
            sharedBefore.count(Fragment.shared(environment, family), -1, in: &state)
            sharedBefore.add(to: &changes, state)
            delta.operations += changes.operations
        }
        environment = new
        return delta
    }

    private func nodeAddresses(_ environment: NodeEnvironment, _ family: AddressFamily) -> [Element] {
        Set(environment.nodePortAddresses).filter { $0.family == family }.sorted().map {
            Element(RegisterValue($0))
        }
    }

    // MARK: Compiling

    private mutating func compile(_ plan: ServicePlan, _ old: CompiledService) -> CompiledService {
        var service = CompiledService(clusterIPs: plan.clusterIPs)
        let old = PoolIndex(old)
        for port in plan.ports {
            let identity = ObjectNames.identity(port.id)
            guard ObjectNames.isValid(identity) else {
                service.problems.insert(
                    ObjectProblem(
                        subject: .object(.service(plan.name)), field: "spec.ports",
                        message:
                            "port \(port.id): the names of Service and port can't be used in the ruleset; not served"
                    ))
                continue
            }
            // Local policy of an external address still leads local pods and the host to all endpoints.
            let usesCluster = port.frontends.contains { $0.policy == .cluster || $0.isExternal }
            let local: CompiledTarget? =
                port.hasFrontend(.local) ? target(of: port, .local, identity, old, &service.problems) : nil
            let cluster =
                usesCluster ? target(of: port, .cluster, identity, old, &service.problems) : local ?? .refuse
            service.ports.append(
                CompiledPort(
                    id: port.id, family: port.family, frontends: port.frontends, cluster: cluster,
                    local: usesCluster ? local : nil))
        }
        return service
    }

    private mutating func target(
        of port: PortPlan, _ policy: Service.TrafficPolicy, _ identity: String, _ old: PoolIndex,
        _ problems: inout Set<ObjectProblem>
    ) -> CompiledTarget {
        switch port.outcome(policy) {
        case .refuse: return .refuse
        case .drop: return .drop
        case .endpoints(var endpoints):
            if endpoints.count > SlotRegion.capacity {
                // Without their number, which changes as they come and go: that would be another problem each time.
                problems.insert(
                    ObjectProblem(
                        subject: .object(.service(port.id.service)),
                        message:
                            "port \(port.id) has more than \(SlotRegion.capacity) endpoints; so many of them are used"
                    ))
                endpoints = Array(endpoints.sorted { $0.target < $1.target }.prefix(SlotRegion.capacity))
            }
            let name = ObjectNames.pool(identity, policy)
            let previous = old.pool(name, port.family)
            let adopted = tables[port.family]?.adopted.removeValue(forKey: name)
            let before = previous?.members.map(\.target) ?? adopted?.targets ?? []
            var pool = CompiledPool(
                name: name, transport: port.id.transport,
                members: SlotOrder.arrange(endpoints, before: before, seed: seed), region: nil,
                affinityTimeout: port.affinityTimeout)
            if pool.members.count > 1 {
                pool.region = previous?.region ?? adopted?.region ?? tables[port.family]?.slots.allocate()
            } else if let region = adopted?.region {
                tables[port.family]?.slots.release(region)
            }
            return .pool(pool)
        }
    }

    /// Gives back the regions that no pool of the Service holds any more.
    private mutating func releaseRegions(of old: CompiledService, keptBy new: CompiledService) {
        let new = PoolIndex(new)
        for port in old.ports {
            for pool in port.pools {
                guard let region = pool.region, new.pool(pool.name, port.family)?.region != region else {
                    continue
                }
                tables[port.family]?.slots.release(region)
            }
        }
    }

    // MARK: The whole

    /// How much the wanted table of a family holds.
    public func contents(_ family: AddressFamily) -> RulesetContents {
        tables[family]?.contents ?? RulesetContents()
    }

    /// The wanted table of a family, whole or that part of it which is in a scope.
    public func table(_ family: AddressFamily, only scope: TableScope? = nil) -> Table {
        var table = Table(ObjectNames.tableID(family), comment: ObjectNames.layout, flags: tableFlags)
        guard let state = tables[family] else { return table }
        let frame = state.frame
        for set in frame.sets + state.slots.maps.map(frame.slots) { table.sets[set.name] = set }
        for chain in frame.chains { table.chains[chain.name] = chain }
        table.elements = frame.elements
        table.elements[ObjectNames.serviceNetworks] = IntervalElements.make(
            environment.serviceNetworks, family)
        table.elements[ObjectNames.localPods] = IntervalElements.make(environment.localPods, family)
        table.elements[ObjectNames.nodeAddresses] = nodeAddresses(environment, family)
        for shared in state.shared.keys {
            table.elements[shared.set, default: []].append(shared.element)
        }
        let part = scope.map { PartScope($0, frame: frame) }
        for (name, service) in services where part?.concerns(name, service, family) != false {
            let fragment = Fragment(service, frame: frame, maps: part?.maps)
            for set in fragment.sets { table.sets[set.name] = set }
            for chain in fragment.chains { table.chains[chain.name] = chain }
            for (set, elements) in fragment.elements { table.elements[set, default: []] += elements }
        }
        return scope.map { table.limited(to: $0) } ?? table
    }

    /// Brings parts of the kernel's tables from what they hold to what is wanted; what is outside of them is right.
    ///
    /// - Parameter actual: by family: the part, and what the table has of it.
    /// - Returns: nil where a part doesn't say enough, and the whole has to be compared.
    public func repair(
        parts actual: [AddressFamily: (scope: TableScope, table: Table?)]
    ) -> [Operation]? {
        var operations: [Operation] = []
        for family in AddressFamily.allCases {
            guard let (scope, table) = actual[family] else { continue }
            // Who is remembered in another map instead, only the whole tells.
            guard let table, !scope.sets.contains(where: ObjectNames.isAffinity) else { return nil }
            let order = tables[family]?.frame.chains.map(\.name) ?? []
            let wanted = self.table(family, only: scope)
            // A chain that isn't wanted may be one of ours under another name.
            guard table.chains.keys.allSatisfy({ wanted.chains[$0] != nil }),
                !TableDiff.replaces(table, by: wanted)
            else { return nil }
            operations += TableDiff.difference(from: table, to: wanted, order: order)
        }
        return operations
    }

    /// Brings the kernel from what it really holds (nil: no table) to the wanted ruleset.
    ///
    /// - Parameter isReplacing: whether tables that stand go as a whole, whatever is right in them.
    public func repair(_ actual: [AddressFamily: Table], isReplacing: Bool = false) -> RulesetDelta {
        var delta = RulesetDelta()
        for family in AddressFamily.allCases {
            let order = tables[family]?.frame.chains.map(\.name) ?? []
            let wanted = table(family)
            let difference = TableDiff.difference(
                from: actual[family], to: wanted, order: order, isReplacing: isReplacing)
            delta.operations += difference
            let isReplaced = actual[family].map { isReplacing || TableDiff.replaces($0, by: wanted) } ?? false
            let isChanging = difference.contains { if case .addTable = $0 { false } else { true } }
            delta.affinity += affinity(
                family, in: actual[family], isChanging: isChanging, isReplaced: isReplaced)
        }
        return delta
    }

    /// What the kernel's affinity maps need, beside the other changes or without.
    private func affinity(
        _ family: AddressFamily, in actual: Table?, isChanging: Bool, isReplaced: Bool
    ) -> [AffinityChange] {
        guard let actual, let frame = tables[family]?.frame else { return [] }
        guard !isReplaced else {
            return services.values.flatMap { AffinityChange.carried(of: $0, family, from: actual, frame) }
                .sorted { $0.map < $1.map }
        }
        let pools = isChanging ? AdoptedPool.all(in: actual) : []
        let led = Dictionary(pools.map { ($0.name, $0.targets) }, uniquingKeysWith: { $0 + $1 })
        return services.values.flatMap { AffinityChange.all(of: $0, family, in: actual, led: led) }
            .sorted { $0.map < $1.map }
    }

    // MARK: Adoption

    /// Remembers where the pools of the kernel's tables have their slots, so that what is still right stays.
    ///
    /// To be called before the first `update`.
    public mutating func adopt(_ actual: [AddressFamily: Table]) {
        for (family, table) in actual {
            for pool in AdoptedPool.all(in: table) {
                guard let region = pool.region, tables[family]?.slots.reserve(region) == true else {
                    continue
                }
                tables[family]?.adopted[pool.name] = pool
            }
            _ = tables[family]?.slots.settle()
        }
    }

    /// Gives back the slots of adopted pools that no Service asked for. To be called after the first `update`.
    public mutating func endAdoption() {
        for family in AddressFamily.allCases {
            for pool in tables[family]?.adopted.values.compactMap(\.region) ?? [] {
                tables[family]?.slots.release(pool)
            }
            tables[family]?.adopted = [:]
            _ = tables[family]?.slots.settle()
        }
    }
}
