import KubernetesAPI
import KubernetesClient
import KubernetesWire
import Logging
import TestAPIServer
import Testing

/// After each fault the client's view is the server's again, and nothing that exists was ever told to be gone.
@Suite("What goes wrong with requests and streams")
struct FaultIntegrationTests {
    static let requestFaults: [Fault] = [
        .status(400), .status(401), .status(403), .status(404), .status(410), .status(422),
        .status(429, retryAfter: 1), .status(500), .status(503, retryAfter: 1), .status(504),
        .errorEvent(410),
        .errorEvent(500), .reset, .silence, .late(.milliseconds(20)), .notHTTP, .wrongContentType,
        .resetAfter(bytes: 0), .resetAfter(bytes: 700), .cutAfter(bytes: 0), .cutAfter(bytes: 700),
        .endAfter(bytes: 0), .endAfter(bytes: 3), .endAfter(bytes: 700), .stallAfter(bytes: 0),
        .stallAfter(bytes: 700), .slow(bytes: 64, every: .milliseconds(1)),
    ]

    static let streamFaults: [StreamFault] = [
        .end, .reset, .resetInNextEvent, .endInNextEvent, .stall, .errorEvent(410), .errorEvent(500),
        .errorEvent(429), .repeatLast, .bookmark, .unknownEvent, .garbageObject, .garbageFrame, .endlessFrame,
    ]

    private func change(_ cluster: FollowedCluster, _ number: Int) {
        cluster.store.put(APIObject(SmallCluster.service(number % 7, number: 200 + number)))
        cluster.store.put(APIObject(SmallCluster.slice(number % 7, number: 300 + number)))
        cluster.store.put(APIObject(SmallCluster.node("node-1", number: number % 200)))
    }

    private func check(_ cluster: FollowedCluster) {
        let state = cluster.view.current
        #expect(state.removals.isEmpty)
        #expect(state.faults.isEmpty)
    }

    @Test("a fault in the first list", arguments: requestFaults, [true, false])
    func firstList(_ fault: Fault, streams: Bool) async throws {
        let cluster = try await FollowedCluster(.impatient) {
            $0.streamsInitialEvents = streams
            $0.ignoresLimitAtZero = false
        }
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            // The second of the same is another matter than the first: a client may ask in another way then.
            cluster.server.add(fault, on: streams ? .initialEvents : .list, of: .services, times: 2)
            cluster.server.add(fault, on: streams ? .initialEvents : .list, of: .endpointSlices)
            cluster.follow()
            try await cluster.settle()
            change(cluster, 1)
            try await cluster.settle()
            check(cluster)
        }
    }

    @Test("a server that takes a stream for a watch, and stays silent, is soon asked by pages")
    func silentStream() async throws {
        var setup = FollowedCluster.Setup()
        setup.settings.streamPatience = .milliseconds(100)
        // Whoever waits for this long has failed.
        setup.settings.listPatience = .seconds(3_600)
        setup.settings.bookmarkPatience = .seconds(3_600)
        setup.settings.watchSeconds = 3_600...3_600
        try await FollowedCluster(setup).run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.add(.stallAfter(bytes: 0), on: .initialEvents, times: 100)
            cluster.follow()
            try await cluster.settle()
            change(cluster, 1)
            try await cluster.settle()
            check(cluster)
        }
    }

    @Test("a fault in a later page", arguments: requestFaults)
    func laterPage(_ fault: Fault) async throws {
        let cluster = try await FollowedCluster(.impatient) {
            $0.streamsInitialEvents = false
            $0.ignoresLimitAtZero = false
        }
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.add(fault, on: .continuation, of: .services)
            cluster.follow()
            try await cluster.settle()
            #expect(cluster.server.requests.contains { $0.isContinuation })
            check(cluster)
        }
    }

    @Test("a fault in a watch that goes on where the last one ended", arguments: requestFaults)
    func laterWatch(_ fault: Fault) async throws {
        try await FollowedCluster(.impatient).run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            cluster.server.add(fault, on: .watch, of: .services, times: 2)
            cluster.server.add(fault, on: .watch, of: .endpointSlices)
            cluster.server.disturb(with: .end)
            change(cluster, 1)
            try await cluster.settle()
            change(cluster, 2)
            try await cluster.settle()
            check(cluster)
        }
    }

    @Test("a fault in a running watch", arguments: streamFaults, MediaType.allCases)
    func runningWatch(_ fault: StreamFault, type: MediaType) async throws {
        try await FollowedCluster(.impatient) {
            $0.mediaTypes = type == .json ? [.json] : [.json, .protobuf]
        }.run {
            cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            change(cluster, 1)
            try await cluster.settle()
            #expect(cluster.server.disturb(with: fault) > 0)
            change(cluster, 2)
            try await cluster.settle()
            // And once more: it must not have worn anything out.
            cluster.server.disturb(with: fault)
            change(cluster, 3)
            try await cluster.settle()
            check(cluster)
        }
    }

    @Test(
        "a version that the server has forgotten: what exists stays, what is gone goes",
        arguments: [true, false])
    func compacted(streams: Bool) async throws {
        try await FollowedCluster { $0.streamsInitialEvents = streams }.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            // No watch sees what happens now.
            cluster.server.add(.status(503), on: .watch, times: 20)
            cluster.server.disturb(with: .reset)
            change(cluster, 1)
            cluster.store.delete(.service(SmallCluster.serviceName(7)))
            cluster.store.put(APIObject(SmallCluster.service(12, number: 400)))
            cluster.store.compact()
            cluster.server.clearFaults()
            try await cluster.settle()
            let state = cluster.view.current
            #expect(state.removals == [.service(SmallCluster.serviceName(7)): 1])
            #expect(state.faults.isEmpty)
        }
    }

    @Test("a continue token that expires in the middle of a list")
    func expiredToken() async throws {
        let cluster = try await FollowedCluster {
            $0.streamsInitialEvents = false
            $0.ignoresLimitAtZero = false
        }
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.add(.late(.milliseconds(100)), on: .continuation, of: .services)
            cluster.follow()
            try await cluster.request("a second page") { $0.isContinuation && $0.resource == "services" }
            cluster.store.put(APIObject(SmallCluster.service(0, number: 60)))
            cluster.store.compact()
            try await cluster.settle()
            check(cluster)
        }
    }

    @Test("a server whose cache lags behind sends nobody back in time")
    func staleCache() async throws {
        let gone = ClusterObject.Key.service(SmallCluster.serviceName(7))
        let view = ClusterView { update, view in
            let isBack = view.removals[gone] != nil && update.upserted.contains { $0.key == gone }
            return isBack ? ["\(gone) is back"] : []
        }
        let cluster = try await FollowedCluster(view: view) { $0.streamsInitialEvents = false }
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            for number in 1...4 { change(cluster, number) }
            cluster.store.delete(gone)
            try await cluster.settle()
            // From here on, a list at version 0 would bring the deleted Service back.
            cluster.server.add(.stale(changes: 13), on: .list, times: 100)
            let number = cluster.server.requestCount
            cluster.server.disturb(with: .errorEvent(410))
            cluster.server.add(.errorEvent(410), on: .watch, of: .services, times: 2)
            try await cluster.request(from: number, "a list") {
                $0.verb == .list && $0.resource == "services"
            }
            change(cluster, 5)
            try await cluster.settle()
            #expect(cluster.view.current.faults.isEmpty)
        }
    }

    @Test("the server is gone, and comes back with other objects", arguments: [true, false])
    func serverGone(streams: Bool) async throws {
        try await FollowedCluster { $0.streamsInitialEvents = streams }.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            await cluster.server.stop()
            change(cluster, 1)
            cluster.store.delete(.endpointSlice(SmallCluster.slice(3, number: 0).name))
            _ = try await cluster.complaint(containing: "127.0.0.1:\(cluster.server.port)", "refused")
            try await cluster.server.start()
            try await cluster.settle()
            #expect(cluster.view.current.removals.count == 1)
        }
    }

    @Test("connections that are reset as they come, or served late")
    func arrivals() async throws {
        try await FollowedCluster().run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.resetConnections(toCome: 5)
            cluster.server.delayConnections(.milliseconds(30))
            cluster.follow()
            try await cluster.settle()
            cluster.server.resetConnections(toCome: 3)
            await cluster.server.resetConnections()
            change(cluster, 1)
            try await cluster.settle()
            check(cluster)
        }
    }

    @Test("a client that is shut down doesn't wait for a connection that is being made")
    func shutDownWhileConnecting() async throws {
        var setup = FollowedCluster.Setup()
        // Whoever waits for this long has failed.
        setup.timeouts.connect = .seconds(90)
        try await FollowedCluster(setup).run { cluster in
            cluster.server.delayConnections(.seconds(3_600))
            cluster.follow()
            try await within("no connection came") {
                while cluster.server.connectionCount == 0 {
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
            try await within("the client isn't shut down") { await cluster.client.shutDown() }
        }
    }

    @Test("Retry-After is kept", arguments: [429, 503])
    func retryAfter(_ code: Int) async throws {
        var setup = FollowedCluster.Setup()
        setup.settings.longestRetryAfter = .seconds(300)
        try await FollowedCluster(setup).run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.add(.status(code, retryAfter: 1), on: .any, of: .services)
            cluster.follow()
            try await cluster.settle()
            let services = cluster.server.requests.filter { $0.resource == "services" }
            try #require(services.count >= 2)
            #expect(services[1].time - services[0].time >= .milliseconds(950))
            check(cluster)
        }
    }

    @Test("a version that no watch can go on from: each new list counts as a failure, and a line says so")
    func goneWatches() async throws {
        var setup = FollowedCluster.Setup()
        setup.settings.streamsLists = false
        try await FollowedCluster(setup).run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.add(.errorEvent(410), on: .watch, of: .services, times: 4)
            cluster.follow()
            try await within("no four failures: \(cluster.log.lines.map(\.text))") {
                try await cluster.view.wait { state in
                    state.observations.count { $0 == .failed(.services, reason: "410") } == 4
                }
            }
            let lines = cluster.log.lines.filter {
                $0.level == .info && $0.text.contains("services: 410 gone")
                    && $0.text.contains("listed anew")
            }
            #expect(lines.count == 4)
            change(cluster, 1)
            try await cluster.settle()
            check(cluster)
        }
    }

    @Test("watches that bring something and are reset, again and again, make no pause grow")
    func usefulWatches() async throws {
        var setup = FollowedCluster.Setup()
        setup.settings.shortestPause = .milliseconds(1)
        // 25 pauses that double would be nine hours.
        setup.settings.longestPause = .seconds(36_000)
        setup.settings.healthyTime = .seconds(36_000)
        try await FollowedCluster(setup).run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            for number in 0..<25 {
                change(cluster, number)
                try await cluster.settle()
                cluster.server.disturb(with: .reset)
            }
            change(cluster, 25)
            try await cluster.settle()
            check(cluster)
        }
    }

    @Test("pauses between failures grow and begin anew after a healthy time")
    func pauses() async throws {
        var setup = FollowedCluster.Setup()
        setup.settings.shortestPause = .milliseconds(20)
        setup.settings.longestPause = .milliseconds(80)
        try await FollowedCluster(setup).run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.add(.status(500), on: .any, of: .services, times: 6)
            cluster.follow()
            try await cluster.settle()
            let times = cluster.server.requests.filter { $0.resource == "services" }.map(\.time)
            // 20, 40, 80, 80, 80, 80: at least.
            try #require(times.count >= 7)
            #expect(times[6] - times[0] >= .milliseconds(370))
        }
    }
}
