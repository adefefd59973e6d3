import Agent
import Glibc
import HostNetwork
import IPAddressing
import KubernetesAPI
import NFTablesKernel
import PacketSimulator
import TestNetwork
import Testing

/// The first node of the ground with the product's rules in its kernel, which real packets meet.
struct KernelNode: CellWorld {
    /// For connections that must be answered or refused.
    private static let patience = Duration.seconds(10)
    /// For those that nothing may come of. Below a second: TCP sends nothing again before.
    private static let dropTimeout = Duration.milliseconds(200)

    private let ground: KernelGround
    private let connection: NFTablesKernel.Connection

    /// With the Services of the cross product, in the place of what was there before.
    init(_ ground: KernelGround, _ setting: Setting) throws {
        self.ground = ground
        let (connection, addresses) = try ground.cluster.node.namespace.run {
            (try NFTablesKernel.Connection(), try HostAddresses.read())
        }
        self.connection = connection
        _ = try Cleanup.run(connection)
        let settings = ProxySettings(
            nodeName: Ground.nodeName, localMode: setting.mode.settings, masqueradeAll: setting.masqueradeAll)
        var planner = Planner(settings: settings)
        planner.hostAddresses = addresses
        planner.apply([
            .node(Ground.clusterNode),
            .serviceCIDR(ServiceCIDR(name: "kubernetes", networks: Ground.services)),
        ])
        planner.apply(Setting.objects)
        let step = planner.step()
        let report = try RulesetWriter(settings: settings, kernel: connection)
            .write(step.plans, environment: planner.environment)
        #expect((step.newProblems + report.problems).map(\.description) == [])
        if let error = report.repairedAfter { throw error }
    }

    func connect(
        _ transport: TransportProtocol, from source: IPAddress, _ sender: SourceKind,
        to destination: AddressPort
    ) throws -> SimulatedFate {
        try Self.fate(
            ground.namespace(sender, source).connect(
                transport, to: destination, sourceAddress: source, sourcePort: ground.takePort(),
                timeout: Self.patience),
            destination)
    }

    func masqueradeAddress(to endpoint: IPAddress) -> IPAddress {
        let isOnBridge = ground.isBridged && Ground.podsHere.contains { $0.contains(endpoint) }
        return isOnBridge
            ? Ground.address(1, in: Ground.podsHere, endpoint.family)
            : Ground.of(endpoint.family, Ground.primaryAddresses)
    }

    /// Opens the connections of cells that are to be dropped, all at once since each takes its time.
    ///
    /// - Returns: those that were not, and what became of them.
    func undropped(_ cells: [Cell]) throws -> [(cell: Cell, attempt: Attempt)] {
        let timeout = Self.dropTimeout
        let pending = cells.enumerated().map { index, cell in
            let client = cell.client ?? cell.source.address(index, cell.destination.address.family)
            let (namespace, port) = (ground.namespace(cell.source, client), ground.takePort())
            return PendingAttempt {
                try namespace.connect(
                    cell.transport, to: cell.destination, sourceAddress: client, sourcePort: port,
                    timeout: timeout)
            }
        }
        return try zip(cells, pending).compactMap { cell, pending in
            let attempt = try pending.wait()
            switch attempt.outcome {
            case .timedOut: return nil
            // A process that sends a datagram is told when its own host's output hook drops it.
            case .unreachable(EPERM) where cell.source == .host && cell.transport == .udp: return nil
            default: return (cell, attempt)
            }
        }
    }

    private static func fate(_ attempt: Attempt, _ destination: AddressPort) -> SimulatedFate {
        switch attempt.outcome {
        case .answered(KernelGround.untouched, let source): .untouched(to: destination, source: source)
        case .answered(let name, let source):
            .delivered(to: endpoint(name), source: source, masqueraded: false)
        case .refused: .refused(.reset)
        case .timedOut, .cutOff, .unreachable: .dropped
        }
    }

    /// `192.0.2.1:80` or `[2001:db8::1]:80`, as endpoints call themselves.
    private static func endpoint(_ name: String) -> AddressPort {
        let colon = name.lastIndex(of: ":") ?? name.endIndex
        let host = name[..<colon].filter { $0 != "[" && $0 != "]" }
        return AddressPort(ip(host), UInt16(name[colon...].dropFirst()) ?? 0)
    }
}
