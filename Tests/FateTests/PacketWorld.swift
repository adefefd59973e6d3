import Agent
import HostNetwork
import IPAddressing
import KubernetesAPI
import NFTablesKernel
import PacketCases

/// Where cases are played: the simulator, or namespaces of the kernel.
protocol PacketWorld: AnyObject {
    /// Puts changes in force, in one transaction.
    func change(_ upserts: [ClusterObject], removing: [ClusterObject.Key]) throws
    /// - Parameter mayBeDropped: it is to be dropped, so that there is no use in long waiting.
    func connect(
        _ transport: TransportProtocol, from client: Place, source: AddressPort, to destination: AddressPort,
        mayBeDropped: Bool
    ) throws -> ObservedFate
    /// False when nobody waits for that here.
    func elapse(milliseconds: UInt64, simulatedOnly: Bool) throws -> Bool
}

extension PacketWorld {
    func observe(
        _ transport: TransportProtocol, from client: Place, source: AddressPort, to destination: AddressPort,
        mayBeDropped: Bool
    ) throws -> Observation {
        Observation(
            source: source, destination: destination,
            fate: try connect(
                transport, from: client, source: source, to: destination, mayBeDropped: mayBeDropped))
    }

    /// Plays a case to its end, or to where it is for the simulator alone.
    /// - Parameter firstPort: the source port of the first connection; the next ones follow.
    /// - Returns: by step, each connection and its fate.
    func play(_ packetCase: PacketCase, firstPort: UInt16) throws -> [[Observation]] {
        var port = firstPort
        var result: [[Observation]] = []
        for step in packetCase.steps {
            var observations: [Observation] = []
            switch step {
            case .change(let upserts, let removed): try change(upserts, removing: removed)
            case .elapse(let milliseconds, let simulatedOnly):
                guard try elapse(milliseconds: milliseconds, simulatedOnly: simulatedOnly) else {
                    return result
                }
            case .connect(let step):
                var mayBeDropped = false
                if case .dropped = step.expectation { mayBeDropped = true }
                for _ in 0..<step.times {
                    observations.append(
                        try observe(
                            step.traffic.transport, from: step.client,
                            source: AddressPort(step.clientAddress, port), to: step.destination,
                            mayBeDropped: mayBeDropped))
                    port += 1
                }
            }
            result.append(observations)
        }
        return result
    }
}

/// The product's parts between the cluster's objects and a kernel.
struct Proxy<Kernel: RuleKernel> {
    private var planner: Planner
    private let writer: RulesetWriter<Kernel>

    init(_ kernel: Kernel, _ settings: ProxySettings, hostAddresses: [HostAddress]) throws {
        planner = Planner(settings: settings)
        planner.hostAddresses = hostAddresses
        writer = RulesetWriter(settings: settings, kernel: kernel)
        try change([], removing: [])
    }

    mutating func change(_ upserts: [ClusterObject], removing gone: [ClusterObject.Key]) throws {
        planner.apply(upserts)
        planner.apply(Dictionary(uniqueKeysWithValues: gone.map { ($0, ClusterObject?.none) }))
        let report = try writer.write(planner.step().plans, environment: planner.environment)
        // The writer would put things right by itself, and hide what the transaction got wrong.
        if let error = report.repairedAfter { throw error }
    }
}
