import Glibc
import KubernetesAPI
import KubernetesClient
import KubernetesWire
import SeededRandom
import Synchronization
import TemporaryFiles
import TestAPIServer
import Testing

/// Clients follow clusters that change while everything goes wrong that can.
@Suite("Random faults")
struct ScheduleIntegrationTests {
    /// Fifty new ones in each run; or the one of `SLUICE_TEST_SEED`, to repeat what failed.
    static var seeds: [UInt64] {
        if let text = getenv("SLUICE_TEST_SEED"), let seed = UInt64(String(cString: text)) { return [seed] }
        return (0..<50).map { _ in UInt64.random(in: 0..<1 << 32) }
    }
    static let steps = 100

    @Test("no event is lost and no object flaps, in fifty schedules of a hundred steps")
    func schedules() async throws {
        let seeds = Self.seeds
        await withTaskGroup(of: Void.self) { group in
            for seed in seeds {
                group.addTask {
                    do { try await Schedule(seed: seed).run(steps: Self.steps) } catch {
                        Issue.record("schedule of seed \(seed): \(error)")
                    }
                }
            }
        }
    }
}

/// What became of each object, to judge what a client tells of it.
private final class Chronicle: Sendable {
    private struct State {
        /// All values an object has had, oldest first; no two are the same.
        var values: [ClusterObject.Key: [ClusterObject]] = [:]
        var deletions: [ClusterObject.Key: Int] = [:]
        /// Which of its values was told last.
        var told: [ClusterObject.Key: Int] = [:]
    }

    private let state = Mutex(State())

    /// Before the store has it, so that no client can be faster.
    func add(_ object: ClusterObject) { state.withLock { $0.values[object.key, default: []].append(object) } }

    func addDeletion(_ key: ClusterObject.Key) { state.withLock { $0.deletions[key, default: 0] += 1 } }

    func examine(_ update: SourceUpdate, _ view: ClusterView.State) -> [String] {
        state.withLock { state in
            var faults: [String] = []
            for key in update.removed where view.removals[key, default: 0] >= state.deletions[key, default: 0]
            {
                faults.append("\(key) is told to be gone and never was")
            }
            for object in update.upserted {
                guard let index = state.values[object.key]?.lastIndex(of: object) else {
                    faults.append("\(object.key) is told to be what it never was: \(object)")
                    continue
                }
                if index < state.told[object.key] ?? 0 { faults.append("\(object.key) goes back in time") }
                state.told[object.key] = index
            }
            return faults
        }
    }
}

/// One cluster, one client, and a hundred things that happen to them.
private final class Schedule {
    private let seed: UInt64
    private var random: SeededGenerator
    private let chronicle = Chronicle()
    private var number = 1_000
    private var token = 0
    private var steps: [String] = []

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed)
    }

    func run(steps count: Int) async throws {
        let streams = random.once(in: 2)
        let types: [MediaType] = random.once(in: 2) ? [.json] : [.json, .protobuf]
        let pages = random.once(in: 2)
        let cluster = try await FollowedCluster(
            .impatient,
            historyLimit: random.once(in: 3) ? 16 : 4_096,
            view: ClusterView { [chronicle] in chronicle.examine($0, $1) },
            configure: {
                $0.streamsInitialEvents = streams
                $0.mediaTypes = types
                $0.ignoresLimitAtZero = pages
            },
            kubeconfig: { $0.use(tokenFile: try $1.write("token-0", to: "token")) })
        cluster.server.access.accept(tokens: ["token-0"])
        do {
            try await cluster.run { cluster in
                for index in 0..<8 { try change(cluster, index) }
                cluster.follow()
                for _ in 0..<count { try await step(cluster) }
                try await calm(cluster)
                try await cluster.settle()
                let faults = cluster.view.current.faults
                if !faults.isEmpty { throw Overdue(description: "\(faults.prefix(5))") }
            }
        } catch {
            throw Overdue(description: "\(error); last steps: \(steps.suffix(12))")
        }
    }

    private func step(_ cluster: FollowedCluster) async throws {
        switch random.number(0...99) {
        case 0..<45: try change(cluster, random.number(0...11))
        case 45..<60:
            let target: FaultTarget = [.list, .continuation, .watch, .initialEvents][random.number(0...3)]
            let fault = requestFault()
            steps.append("\(fault) on \(target)")
            cluster.server.add(fault, on: target, of: resource(), times: random.number(1...2))
        case 60..<80:
            let fault = streamFault()
            let resource = resource()
            steps.append("\(fault) of \(resource)")
            cluster.server.disturb(resource, with: fault)
        case 80..<83:
            steps.append("compact")
            cluster.store.compact()
        case 83..<85:
            steps.append("another manner")
            cluster.server.configuration.streamsInitialEvents.toggle()
        case 85..<87:
            steps.append("another type")
            cluster.server.configuration.mediaTypes = random.once(in: 2) ? [.json] : [.json, .protobuf]
        case 87..<89:
            steps.append("another token")
            token += 1
            cluster.server.access.accept(tokens: ["token-\(token)"])
            if random.once(in: 2) { cluster.server.disturb(with: .end) }
            try cluster.directory.write("token-\(token)", to: "token")
        case 89:
            steps.append("all connections reset")
            await cluster.server.resetConnections()
        case 90:
            steps.append("stop and start")
            await cluster.server.stop()
            try change(cluster, random.number(0...11))
            try await cluster.server.start()
        case 91:
            steps.append("connections delayed and reset")
            cluster.server.delayConnections(.milliseconds(random.number(0...20)))
            cluster.server.resetConnections(toCome: random.number(0...3))
        case 92..<94:
            try await calm(cluster)
            steps.append("settle")
            try await cluster.settle()
        default:
            // Something of all this reaches the client before the next step.
            let count = cluster.view.current.observations.count
            steps.append("wait")
            try change(cluster, random.number(0...11))
            try await within("the client does nothing any more") {
                [view = cluster.view, store = cluster.store] in
                let services = store.values(.services).count
                try await view.wait { state in
                    state.observations.count > count
                        || state.objects.keys.count { if case .service = $0 { true } else { false } }
                            == services
                }
            }
        }
    }

    /// Nothing goes wrong any more, and the faults that wait are forgotten.
    private func calm(_ cluster: FollowedCluster) async throws { cluster.server.clearFaults() }

    private func change(_ cluster: FollowedCluster, _ index: Int) throws {
        number += 1
        let object: ClusterObject
        switch random.number(0...9) {
        case 0..<4: object = .service(SmallCluster.service(index, number: number))
        case 4..<8: object = .endpointSlice(SmallCluster.slice(index, number: number))
        case 8: object = .node(SmallCluster.node("node-\(index % 3)", number: number))
        default: object = .serviceCIDR(SmallCluster.block(index % 3, number: number))
        }
        let isDeletion = random.once(in: 4) && cluster.store.object(object.key) != nil
        steps.append("\(isDeletion ? "delete" : "put") \(object.key)")
        if isDeletion {
            chronicle.addDeletion(object.key)
            cluster.store.delete(object.key)
        } else {
            chronicle.add(object)
            cluster.store.put(APIObject(object))
        }
    }

    private func resource() -> APIResource { random.once(in: 2) ? .services : .endpointSlices }

    private func requestFault() -> Fault {
        let bytes = random.number(0...2_000)
        // What takes the client its whole patience comes seldom.
        if random.once(in: 30) { return random.once(in: 2) ? .silence : .stallAfter(bytes: bytes) }
        switch random.number(0...12) {
        case 0: return .status([400, 403, 404, 422][random.number(0...3)])
        case 1: return .status(410)
        case 2: return .status(429, retryAfter: 1)
        case 3: return .status([500, 503, 504][random.number(0...2)])
        case 4: return .errorEvent([410, 500][random.number(0...1)])
        case 5: return .reset
        case 6: return .late(.milliseconds(random.number(1...20)))
        case 7: return random.once(in: 2) ? .notHTTP : .wrongContentType
        case 8: return .resetAfter(bytes: bytes)
        case 9: return .cutAfter(bytes: bytes)
        case 10: return .endAfter(bytes: bytes)
        case 11: return .stale(changes: UInt64(random.number(1...20)))
        default: return .slow(bytes: random.number(16...256), every: .milliseconds(1))
        }
    }

    private func streamFault() -> StreamFault {
        if random.once(in: 30) { return random.once(in: 2) ? .stall : .endlessFrame }
        let faults: [StreamFault] = [
            .end, .reset, .resetInNextEvent, .endInNextEvent, .errorEvent(410), .errorEvent(500), .repeatLast,
            .bookmark, .unknownEvent, .garbageObject, .garbageFrame,
        ]
        return faults[random.number(0...faults.count - 1)]
    }
}
