import Agent
import CAllocationCount
import ClusterGenerator
import IPAddressing
import KubernetesAPI
import KubernetesWire
import NFTables
import NFTablesKernel
import Ruleset
import ServiceModel
import WireBodies

/// A step of the agent's work, and how much it may allocate.
struct MicroCase {
    let name: String
    let unit: String
    let units: Int
    /// Allocations of one unit, at most.
    let limit: Limit
    /// Prepares one run, and gives back what is measured of it.
    let prepare: () throws -> () throws -> Void

    /// A tenth above what was counted. Optimized code allocates less.
    struct Limit {
        let debug: Double
        let release: Double

        var here: Double {
            #if DEBUG
                debug
            #else
                release
            #endif
        }
    }

    private static let runs = 5

    func measure() throws -> MicroResult {
        let clock = ContinuousClock()
        var times: [Double] = []
        var counts: [(allocations: UInt64, bytes: UInt64)] = []
        for _ in 0..<Self.runs {
            let body = try prepare()
            let before = sluice_allocations_now()
            let time = try clock.measure(body)
            let after = sluice_allocations_now()
            times.append(time / .seconds(1))
            counts.append((after.count - before.count, after.bytes - before.bytes))
        }
        return MicroResult(
            name: name, unit: unit, units: units, allocations: Double(counts[1].allocations) / Double(units),
            allocated: Double(counts[1].bytes) / Double(units), limit: limit.here,
            seconds: times.sorted()[times.count / 2] / Double(units))
    }
}

extension MicroCase {
    private static let node = GeneratedCluster.nodeName(0)
    private static let cluster = GeneratedCluster(services: 1_000, endpoints: 10)
    private static let settings = ProxySettings(nodeName: node)

    /// A cluster that is planned and compiled, as a running agent has it.
    private struct Programmed {
        var planner = Planner(settings: settings)
        var compiler = RulesetCompiler(nodeName: node)

        init(_ cluster: GeneratedCluster) {
            planner.apply(cluster.objects)
            _ = compiler.update(planner.step().plans)
        }

        /// One endpoint of a Service replaced.
        mutating func planReplacement(_ cluster: GeneratedCluster, _ number: Int) -> Planner.Step {
            let service = number % cluster.serviceCount
            var endpoints = cluster.slices(service)[0].endpoints
            endpoints[0] = cluster.newcomer(number)
            planner.apply([.endpointSlice(cluster.slice(service, endpoints: endpoints))])
            return planner.step()
        }
    }

    static func all() throws -> [MicroCase] {
        let cluster = cluster
        let changes = 100
        return [
            MicroCase(
                name: "plan, cold", unit: "endpoint", units: cluster.endpointCount,
                limit: Limit(debug: 21, release: 3.5)
            ) {
                let objects = cluster.objects
                return {
                    var planner = Planner(settings: settings)
                    planner.apply(objects)
                    precondition(planner.step().plans.count == cluster.serviceCount)
                }
            },
            MicroCase(
                name: "compile, cold", unit: "endpoint", units: cluster.endpointCount,
                limit: Limit(debug: 43, release: 7.3)
            ) {
                var planner = Planner(settings: settings)
                planner.apply(cluster.objects)
                let plans = planner.step().plans
                return {
                    var compiler = RulesetCompiler(nodeName: node)
                    precondition(!compiler.update(plans).delta.isEmpty)
                }
            },
            MicroCase(
                name: "compare with the kernel's tables", unit: "endpoint", units: cluster.endpointCount,
                limit: Limit(debug: 13, release: 3.4)
            ) {
                let compiler = Programmed(cluster).compiler
                let table = compiler.table(.ipv4)
                let other = compiler.table(.ipv6)
                return { precondition(compiler.repair([.ipv4: table, .ipv6: other]).isEmpty) }
            },
            MicroCase(
                name: "encode, cold", unit: "endpoint", units: cluster.endpointCount,
                limit: Limit(debug: 4, release: 3.1)
            ) {
                let operations = Programmed(cluster).compiler.repair([:]).operations
                return {
                    let messages = try encode(operations)
                    precondition(messages > cluster.serviceCount)
                }
            },
            MicroCase(
                name: "endpoint replaced: plan", unit: "change", units: changes,
                limit: Limit(debug: 147, release: 36)
            ) {
                var programmed = Programmed(cluster)
                return {
                    for number in 0..<changes {
                        precondition(programmed.planReplacement(cluster, number).plans.count == 1)
                    }
                }
            },
            MicroCase(
                name: "endpoint replaced: compile and compare", unit: "change", units: changes,
                limit: Limit(debug: 580, release: 146)
            ) {
                var programmed = Programmed(cluster)
                let steps = (0..<changes).map { programmed.planReplacement(cluster, $0) }
                var compiler = programmed.compiler
                return {
                    for step in steps { precondition(!compiler.update(step.plans).delta.isEmpty) }
                }
            },
            MicroCase(
                name: "endpoint replaced: encode", unit: "change", units: changes,
                limit: Limit(debug: 10.2, release: 6.8)
            ) {
                var programmed = Programmed(cluster)
                let deltas = (0..<changes).map {
                    programmed.compiler.update(programmed.planReplacement(cluster, $0).plans).delta
                }
                let buffer = MessageBuffer()
                return { for delta in deltas { _ = try encode(delta.operations, buffer) } }
            },
            decoding(.protobuf, Limit(debug: 59, release: 3.2)),
            decoding(.json, Limit(debug: 72, release: 31)),
            watching(.protobuf, Limit(debug: 39, release: 0.5)),
            watching(.json, Limit(debug: 31.5, release: 23.5)),
        ]
    }

    /// - Returns: the number of messages.
    private static func encode(
        _ operations: [Operation], _ buffer: MessageBuffer = MessageBuffer()
    ) throws -> Int {
        let encoder = BatchEncoder(buffer: buffer, firstSequence: 1)
        for operation in operations { try encoder.append(operation) }
        encoder.finish()
        return encoder.messageCount
    }

    /// A list of EndpointSlices, as it comes in pieces.
    private static func decoding(_ encoding: BodyEncoding, _ limit: Limit) -> MicroCase {
        let chunk = 64 << 10
        let list = cluster.endpointSliceList()
        let body = encoding == .protobuf ? list.protobuf : Array(list.json.utf8)
        return MicroCase(
            name: "decode a list, \(encoding)", unit: "endpoint", units: cluster.endpointCount, limit: limit
        ) {
            {
                var decoder = ListDecoder(.endpointSlices, encoding, source: "benchmark")
                var count = 0
                try body.withUnsafeBytes { body in
                    for start in stride(from: 0, to: body.count, by: chunk) {
                        let end = min(start + chunk, body.count)
                        try decoder.consume(UnsafeRawBufferPointer(rebasing: body[start..<end])) { object in
                            count += object.object == nil ? 0 : 1
                        }
                    }
                }
                _ = try decoder.finish()
                precondition(count == cluster.serviceCount)
            }
        }
    }

    /// Events of a watch, each a slice of 100 endpoints.
    private static func watching(_ encoding: BodyEncoding, _ limit: Limit) -> MicroCase {
        let full = GeneratedCluster(services: 20, endpoints: GeneratedCluster.endpointsPerSlice)
        let frames = full.endpointSliceList().items.map { slice in
            let event = WireEvent("MODIFIED", slice)
            return encoding == .protobuf ? event.protobufFrame : Array(event.json.utf8)
        }
        return MicroCase(
            name: "decode a watch event, \(encoding)", unit: "endpoint", units: full.endpointCount,
            limit: limit
        ) {
            var decoder = WatchDecoder(.endpointSlices, encoding, source: "benchmark")
            return {
                var count = 0
                for frame in frames {
                    try frame.withUnsafeBytes { try decoder.consume($0) { _ in count += 1 } }
                }
                precondition(count == frames.count)
            }
        }
    }
}
