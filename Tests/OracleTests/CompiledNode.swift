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
        planner = Planner(settings: settings)
        planner.hostAddresses = (hostAddresses ?? Ground.simulatorNode.addresses).map { address in
            HostAddress(
                address: address, prefixLength: address.family.bitWidth, interfaceIndex: 2,
                interfaceName: "eth0",
                scope: .global)
        }
        compiler = RulesetCompiler(nodeName: settings.nodeName, settings: settings.ruleset)
        simulator = PacketSimulator(node: Ground.simulatorNode)
        let around: [ClusterObject] =
            [.serviceCIDR(ServiceCIDR(name: "kubernetes", networks: Ground.services))]
            + (node.map { [.node($0)] } ?? [])
        planner.apply(around)
        apply(compiler.repair([:]).operations)
        change(objects)
    }

    /// Takes objects that came or changed, and puts what follows in force as the kernel would: whole or not at all.
    mutating func change(_ objects: [ClusterObject], removing gone: [ClusterObject.Key] = []) {
        planner.apply(objects)
        planner.apply(
            Dictionary(uniqueKeysWithValues: gone.map { ($0, ClusterObject?.none) }))
        let step = planner.step()
        problems = problems.filter { !step.pastProblems.contains($0) } + step.newProblems
        let (delta, more) = compiler.update(step.plans)
        problems += more
        let around = compiler.update(environment: planner.environment)
        apply(delta.operations + around.operations)
        purge(delta.purges + around.purges)
    }

    private mutating func apply(_ operations: [NFTables.Operation]) {
        self.operations = operations
        do {
            try simulator.apply(operations)
        } catch {
            Issue.record("the transaction was refused: \(error)")
        }
    }

    /// What the writer does beside: clients of endpoints that left are set free.
    private mutating func purge(_ purges: [AffinityPurge]) {
        for purge in purges {
            let stale = (simulator.table(purge.table)?.elements[purge.map] ?? []).filter(purge.isStale)
            guard !stale.isEmpty else { continue }
            do {
                try simulator.apply([.destroyElements(purge.table, set: purge.map, stale)])
            } catch {
                Issue.record("a purge was refused: \(error)")
            }
        }
    }

    /// Whether what was applied change by change is what the compiler wants as a whole.
    var isInStep: Bool {
        var live: [AddressFamily: Table] = [:]
        for family in AddressFamily.allCases { live[family] = simulator.table(compiler.table(family).id) }
        return compiler.repair(live).isEmpty
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
