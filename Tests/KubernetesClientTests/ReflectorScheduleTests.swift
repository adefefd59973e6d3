import IPAddressing
import KubernetesAPI
import KubernetesWire
import SeededRandom
import Testing

@testable import KubernetesClient

/// What a kind's objects are at each version, and what a server with this history answers.
struct ModelServer {
    enum Content: Equatable {
        case good, refused, passedOver
    }

    struct Object: Equatable {
        var version: Int
        var content: Content
    }

    /// By version: how things were; the index is the version.
    private(set) var states: [[String: Object]] = [[:]]
    /// By version: whose change made it; nil at 0.
    private(set) var changes: [String?] = [nil]
    var oldestKept = 0
    var streamsLists = true

    var version: Int { states.count - 1 }

    mutating func change(_ random: inout SeededGenerator) {
        var state = states[version]
        let name = "o\(random.number(0...11))"
        let isRemoval = state[name] != nil && random.once(in: 3)
        let content: Content = random.once(in: 8) ? .refused : random.once(in: 8) ? .passedOver : .good
        state[name] = isRemoval ? nil : Object(version: version + 1, content: content)
        states.append(state)
        changes.append(name)
    }

    func decoded(_ name: String, _ object: Object) -> DecodedObject {
        let key = ClusterObject.Key.serviceCIDR(name)
        switch object.content {
        case .good:
            return DecodedObject(
                key: key, content: .object(Self.object(name, object.version)),
                resourceVersion: "\(object.version)")
        case .refused:
            let problem = ObjectProblem(
                subject: .object(key), message: "refused at \(object.version)")
            return DecodedObject(
                key: key, content: .refused, resourceVersion: "\(object.version)", problems: [problem])
        case .passedOver:
            return DecodedObject(key: key, content: .passedOver, resourceVersion: "\(object.version)")
        }
    }

    /// The version is told by the object itself.
    static func object(_ name: String, _ version: Int) -> ClusterObject {
        let network = IPNetwork(IPAddress(ipv4: UInt32(version)), prefixLength: 32)
        return .serviceCIDR(ServiceCIDR(name: name, networks: network.map { [$0] } ?? []))
    }

    /// What happened from one version to the next.
    func event(_ version: Int) -> WatchEvent {
        let name = changes[version] ?? ""
        if let object = states[version][name] { return .upserted(decoded(name, object)) }
        // The last state, under the version of the removal.
        var last = decoded(name, states[version - 1][name] ?? Object(version: 0, content: .good))
        last.resourceVersion = "\(version)"
        return .deleted(last)
    }
}

/// The other side of a reflector: what it was told.
private struct Mirror {
    var versions: [String: Int] = [:]
    var completions = 0
    var problems: [ObjectProblem] = []

    mutating func apply(_ update: SourceUpdate) {
        if update.isFirstComplete { completions += 1 }
        problems += update.problems
        for key in update.removed {
            guard case .serviceCIDR(let name) = key else { continue }
            #expect(versions.removeValue(forKey: name) != nil, "\(name) was removed, but never told")
        }
        for case .serviceCIDR(let block) in update.upserted {
            let version = Int(block.networks[0].address.low)
            #expect(versions[block.name] ?? 0 < version, "\(block.name) was told twice, or went back")
            versions[block.name] = version
        }
    }

    /// Whether it is what the server had, but for objects that can't be decoded.
    func agrees(with state: [String: ModelServer.Object]) -> Bool {
        for (name, object) in state {
            switch object.content {
            case .good: guard versions[name] == object.version else { return false }
            case .passedOver: guard versions[name] == nil else { return false }
            case .refused: break  // Whatever was good of it before.
            }
        }
        return versions.keys.allSatisfy { state[$0] != nil }
    }
}

/// Runs a reflector against a server whose answers fail now and then.
private struct Schedule {
    var random: SeededGenerator
    var server = ModelServer()
    var mirror = Mirror()
    var reflector: Reflector
    var now = Duration.zero
    var faults = true
    var seen: Set<String> = []
    private var toldVersion = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        var settings = ReflectorSettings()
        settings.pageSize = 3
        settings.streamsLists = random.once(in: 2)
        server.streamsLists = !random.once(in: 3)
        reflector = Reflector(
            .services, nodeName: "n", settings: settings, random: SeededGenerator(seed: random.next()))
        for _ in 0..<random.number(0...20) { server.change(&random) }
    }

    private mutating func once(in times: Int) -> Bool { faults && random.once(in: times) }

    /// The world goes on.
    mutating func drift() {
        now += .milliseconds(random.number(0...5000))
        guard faults else { return }
        for _ in 0..<random.number(0...4) { server.change(&random) }
        if random.once(in: 12) { server.oldestKept = random.number(server.oldestKept...server.version) }
    }

    mutating func run(requests: Int) {
        var action = reflector.next(now: now)
        for _ in 0..<requests {
            drift()
            switch action {
            case .pause(let pause):
                #expect(pause <= .seconds(300))
                #expect(pause >= .milliseconds(800))
                now += pause
                action = reflector.next(now: now)
            case .request(let request):
                let end = answer(request)
                action = reflector.ended(end, now: now)
                handOver()
            }
        }
    }

    /// Every update must leave the mirror at one moment of the server's, and never an earlier one than before.
    mutating func handOver() {
        _ = reflector.takeNotes()
        if let update = reflector.takeUpdate() { mirror.apply(update) }
        guard let text = reflector.version, let version = Int(text) else { return }
        #expect(version >= toldVersion)
        toldVersion = version
        #expect(
            mirror.agrees(with: server.states[version]),
            "told \(mirror.versions), at version \(version) there was \(server.states[version])")
    }

    private mutating func answer(_ request: ReflectorRequest) -> Reflector.End {
        if once(in: 5) {
            seen.insert("refusal")
            let refusals: [RequestFailure] = [
                RequestFailure(.unreachable(111), "connection refused"),
                RequestFailure(StatusError(code: 500, reason: "InternalError", message: "")),
                RequestFailure(
                    StatusError(code: 429, reason: "TooManyRequests", message: "", retryAfterSeconds: 7)),
                RequestFailure(StatusError(code: 401, reason: "Unauthorized", message: "")),
                RequestFailure(StatusError(code: 404, reason: "", message: "")),
                RequestFailure(
                    StatusError(code: 504, reason: "Timeout", message: "Too large resource version: 9")),
                RequestFailure(.certificate, "wrong name"),
            ]
            return .failure(refusals[random.number(0...refusals.count - 1)])
        }
        switch request.purpose {
        case .list(let version, let limit, let token): return list(version, limit, token)
        case .watch(let version, _): return watch(from: Int(version) ?? -1)
        case .stream(let version, _):
            guard server.streamsLists else {
                seen.insert("no streams")
                return .failure(RequestFailure(StatusError(code: 422, reason: "Invalid", message: "")))
            }
            return stream(version)
        }
    }

    private mutating func send(_ event: WatchEvent) {
        let goesOn = reflector.receive(event, now: now)
        #expect(goesOn)
    }

    private mutating func list(_ text: String, _ limit: Int, _ token: String?) -> Reflector.End {
        let version: Int
        var offset = 0
        if let token {
            let parts = token.split(separator: ".").compactMap { Int($0) }
            (version, offset) = (parts[0], parts[1])
            guard version >= server.oldestKept else {
                seen.insert("expired token")
                return .failure(RequestFailure(StatusError(code: 410, reason: "Expired", message: "")))
            }
        } else {
            switch text {
            case "": version = server.version
            case "0": version = random.number(server.oldestKept...server.version)
            default: version = random.number(max(server.oldestKept, Int(text) ?? 0)...server.version)
            }
        }
        reflector.accepted(now: now)
        let names = server.states[version].keys.sorted().dropFirst(offset)
        let page = limit > 0 ? names.prefix(limit) : names
        for name in page {
            if once(in: 40) {
                seen.insert("broken list")
                return .failure(RequestFailure(.brokenOff, "broken off"))
            }
            if let object = server.states[version][name] { reflector.receive(server.decoded(name, object)) }
            if once(in: 20) { drift() }
        }
        handOver()
        let rest = names.count - page.count
        if rest > 0 { seen.insert("page") }
        return .page(
            ListMetadata(
                resourceVersion: "\(version)",
                continueToken: rest > 0 ? "\(version).\(offset + page.count)" : nil))
    }

    private mutating func watch(from: Int) -> Reflector.End {
        let gone = StatusError(code: 410, reason: "Expired", message: "too old resource version")
        guard from >= server.oldestKept else {
            seen.insert("gone")
            if random.once(in: 2) { return .failure(RequestFailure(gone)) }
            reflector.accepted(now: now)
            let goesOn = reflector.receive(.error(gone), now: now)
            #expect(!goesOn)
            return .clean
        }
        reflector.accepted(now: now)
        return events(after: from)
    }

    private mutating func events(after from: Int) -> Reflector.End {
        var at = from
        for _ in 0..<random.number(1...12) {
            drift()
            while at < server.version {
                if once(in: 25) {
                    seen.insert("broken watch")
                    handOver()
                    return .failure(RequestFailure(.brokenOff, "in the middle of an event"))
                }
                at += 1
                send(server.event(at))
                if once(in: 15) {
                    seen.insert("repeated")
                    send(server.event(at))
                }
                if random.once(in: 2) { handOver() }
            }
            handOver()
            if random.once(in: 3) {
                send(.bookmark(resourceVersion: "\(at)", endsInitialEvents: false))
                handOver()
            }
            if once(in: 12) {
                seen.insert("error event")
                let code = random.once(in: 2) ? 410 : 500
                let goesOn = reflector.receive(
                    .error(StatusError(code: code, reason: "", message: "")), now: now)
                #expect(!goesOn)
                return .clean
            }
            if once(in: 30) { return .failure(RequestFailure(.silence, "nothing came any more")) }
        }
        return .clean
    }

    private mutating func stream(_ text: String) -> Reflector.End {
        reflector.accepted(now: now)
        let from = max(Int(text) ?? server.version, server.oldestKept)
        var at = text.isEmpty ? server.version : random.number(from...server.version)
        for (name, object) in server.states[at] {
            if once(in: 40) {
                seen.insert("broken stream")
                return random.once(in: 2) ? .clean : .failure(RequestFailure(.brokenOff, "broken off"))
            }
            send(.upserted(server.decoded(name, object)))
            handOver()
        }
        drift()
        // Changes may come before the end of the first part is told.
        while at < server.version, random.once(in: 2) {
            at += 1
            seen.insert("change in a stream")
            send(server.event(at))
        }
        send(.bookmark(resourceVersion: "\(at)", endsInitialEvents: true))
        handOver()
        return events(after: at)
    }
}

@Suite("A reflector against a model of a server", .timeLimit(.minutes(2)))
struct ReflectorScheduleTests {
    @Test(
        "whatever fails, each update is a moment of the server's, none goes back, and in the end all is there"
    )
    func schedules() {
        let first = UInt64.random(in: 0...UInt64.max / 2)
        print("reflector seeds from \(first)")
        var seen: Set<String> = []
        var updates = 0
        for seed in first..<first + 400 {
            var schedule = Schedule(seed: seed)
            schedule.run(requests: 60)
            schedule.faults = false
            schedule.run(requests: 12)
            #expect(
                schedule.mirror.agrees(with: schedule.server.states[schedule.server.version]), "seed \(seed)")
            #expect(schedule.reflector.version == "\(schedule.server.version)", "seed \(seed)")
            #expect(schedule.mirror.completions == 1, "seed \(seed)")
            seen.formUnion(schedule.seen)
            updates += schedule.server.version
        }
        // The schedules must have been what they are for.
        for name in [
            "refusal", "no streams", "expired token", "broken list", "page", "gone", "broken watch",
            "repeated",
            "error event", "broken stream", "change in a stream",
        ] {
            #expect(seen.contains(name), "no schedule had: \(name)")
        }
        #expect(updates > 1000)
    }
}
