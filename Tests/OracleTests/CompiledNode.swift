import Agent
import HostNetwork
import IPAddressing
import KubernetesAPI
import NFTables
import PacketSimulator
import Ruleset
import Testing

/// A node whose rules come from the product's own parts, and meet packets in the simulator.
struct CompiledNode {
    private var planner: Planner
    private var compiler: RulesetCompiler
    var simulator: PacketSimulator
    /// Of the last change.
    private(set) var operations: [NFTables.Operation] = []
    /// All that stand.
    private(set) var problems: [ObjectProblem] = []
    private var port: UInt16 = 1024
    private let settings: ProxySettings
    private var objects: [ClusterObject.Key: ClusterObject] = [:]

    init(
        _ objects: [ClusterObject], mode: LocalModeCase = .none, masqueradeAll: Bool = false,
        nodePorts: NodePortAddresses = .primary,
        node: KubernetesAPI.Node? = Ground.clusterNode, hostAddresses: [IPAddress]? = nil
    ) {
        let settings = ProxySettings(
            nodeName: Ground.nodeName, localMode: mode.settings, masqueradeAll: masqueradeAll,
            nodePortAddresses: nodePorts)
        self.init(objects, settings: settings, node: node, hostAddresses: hostAddresses)
    }

    init(
        _ objects: [ClusterObject], settings: ProxySettings, node: KubernetesAPI.Node? = Ground.clusterNode,
        hostAddresses: [IPAddress]? = nil
    ) {
        self.settings = settings
        planner = Planner(settings: settings)
        planner.hostAddresses = Self.hostAddresses(hostAddresses ?? Ground.simulatorNode.addresses)
        compiler = RulesetCompiler(nodeName: settings.nodeName, settings: settings.ruleset)
        simulator = PacketSimulator(node: Ground.simulatorNode)
        let around: [ClusterObject] =
            [.serviceCIDR(ServiceCIDR(name: "kubernetes", networks: Ground.services))]
            + (node.map { [.node($0)] } ?? [])
        apply(compiler.repair([:]).operations)
        change(around + objects)
    }

    private static func hostAddresses(_ addresses: [IPAddress]) -> [HostAddress] {
        addresses.map { address in
            HostAddress(
                address: address, prefixLength: address.family.bitWidth, interfaceIndex: 2,
                interfaceName: "eth0", scope: .global)
        }
    }

    /// Takes objects that came or changed, and puts what follows in force as the kernel would: whole or not at all.
    ///
    /// - Parameters:
    ///   - objects: put in in this order.
    ///   - isRemovalFirst: objects are removed before others come; within one change that must not matter.
    ///   - hostAddresses: all that the host has now; nil when they haven't changed.
    mutating func change(
        _ objects: [ClusterObject] = [], removing gone: [ClusterObject.Key] = [],
        isRemovalFirst: Bool = false, hostAddresses: [IPAddress]? = nil
    ) {
        for key in gone { self.objects[key] = nil }
        for object in objects { self.objects[object.key] = object }
        let removals = Dictionary(uniqueKeysWithValues: gone.map { ($0, ClusterObject?.none) })
        if isRemovalFirst { planner.apply(removals) }
        planner.apply(objects)
        if !isRemovalFirst { planner.apply(removals) }
        if let hostAddresses { planner.hostAddresses = Self.hostAddresses(hostAddresses) }
        let step = planner.step()
        let (delta, more) = compiler.update(step.plans)
        let past = step.pastProblems + more.past
        problems = problems.filter { !past.contains($0) } + step.newProblems + more.new
        let around = compiler.update(environment: planner.environment)
        let affinity = delta.affinity + around.affinity
        apply(delta.operations + around.operations + affinity.flatMap(operations))
    }

    private mutating func apply(_ operations: [NFTables.Operation]) {
        self.operations = operations
        do {
            try simulator.apply(operations)
        } catch {
            Issue.record("the transaction was refused: \(error)")
        }
    }

    /// What the writer does beside: clients of endpoints that left are set free, others come over from other maps.
    private func operations(_ change: AffinityChange) -> [NFTables.Operation] {
        let elements = simulator.table(change.table)?.elements ?? [:]
        let others = change.source.flatMap { elements[$0.map] } ?? []
        return change.operations(elements[change.map] ?? [], from: others, canDestroy: true)
    }

    /// Whether what was applied change by change is what the compiler wants as a whole.
    var isInStep: Bool { compiler.repair(tables).isEmpty }

    /// Both tables as they are in force.
    var tables: [AddressFamily: Table] {
        Dictionary(
            uniqueKeysWithValues: AddressFamily.allCases.compactMap { family in
                simulator.table(compiler.table(family).id).map { (family, $0) }
            })
    }

    /// What a fresh compile of the same objects would change in what is in force: nothing, whatever way led there.
    ///
    /// It takes over where pools have their slots, as an agent does that starts anew; that is history's to choose.
    var differenceToFresh: [NFTables.Operation] {
        var planner = Planner(settings: settings)
        planner.hostAddresses = self.planner.hostAddresses
        planner.apply(Array(objects.values))
        var fresh = RulesetCompiler(nodeName: settings.nodeName, settings: settings.ruleset)
        fresh.adopt(tables)
        _ = fresh.updateBeforeRepair(planner.step().plans)
        _ = fresh.update(environment: planner.environment)
        fresh.endAdoption()
        return fresh.repair(tables).operations
    }

    /// Opens one more connection, from a port that wasn't used before.
    mutating func open(
        _ transport: TransportProtocol = .tcp, from source: IPAddress, _ sender: SourceKind,
        to destination: AddressPort
    ) -> PacketSimulator.Result {
        if port == .max {
            port = 1024
            simulator.forget()
        }
        port += 1
        let origin: Packet.Origin =
            switch sender {
            case .host: .local
            case .podHere: .forwarded(inputInterface: Ground.podInterface)
            case .podElsewhere, .outside: .forwarded(inputInterface: "eth0")
            }
        return simulator.send(
            Packet(transport, from: AddressPort(source, port), to: destination, origin: origin))
    }
}

extension CompiledNode: CellWorld {
    mutating func connect(
        _ transport: TransportProtocol, from source: IPAddress, _ sender: SourceKind,
        to destination: AddressPort
    ) -> SimulatedFate {
        open(transport, from: source, sender, to: destination).fate
    }

    func masqueradeAddress(to endpoint: IPAddress) -> IPAddress {
        Ground.of(endpoint.family, Ground.primaryAddresses)
    }
}
