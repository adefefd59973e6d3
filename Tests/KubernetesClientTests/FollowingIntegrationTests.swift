import Foundation
import IPAddressing
import KubernetesAPI
import KubernetesClient
import KubernetesWire
import TestAPIServer
import Testing

@Suite("The client follows an API server")
struct FollowingIntegrationTests {
    /// Every way in which a server can give its objects.
    struct Manner: Sendable, CustomTestStringConvertible {
        var mediaType: MediaType
        var streams: Bool
        var asksFor = ""

        var testDescription: String {
            "\(mediaType == .json ? "JSON" : "protobuf"), \(streams ? "as a stream" : "by pages")"
                + (asksFor.isEmpty ? "" : ", asked for \(asksFor)")
        }

        func apply(_ configuration: inout TestAPIServer.Configuration) {
            configuration.streamsInitialEvents = streams
            configuration.mediaTypes = mediaType == .json && asksFor.isEmpty ? [.json] : [.json, .protobuf]
            configuration.ignoresLimitAtZero = false
        }

        var setup: FollowedCluster.Setup {
            var setup = FollowedCluster.Setup()
            setup.contentType = asksFor
            return setup
        }

        static let all =
            MediaType.allCases.flatMap { type in
                [true, false].map { Manner(mediaType: type, streams: $0) }
            } + [Manner(mediaType: .json, streams: true, asksFor: MediaType.json.rawValue)]
    }

    @Test("all objects, then every change to them", arguments: Manner.all)
    func follows(_ manner: Manner) async throws {
        let cluster = try await FollowedCluster(manner.setup, configure: manner.apply)
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            #expect(cluster.view.current.completed.count == 4)

            cluster.store.put(APIObject(SmallCluster.service(8, number: 100)))
            cluster.store.put(APIObject(SmallCluster.slice(0, number: 101, endpoints: 0)))
            cluster.store.put(APIObject(SmallCluster.slice(8, number: 102)))
            cluster.store.put(APIObject(SmallCluster.node("node-1", number: 103)))
            cluster.store.put(APIObject(SmallCluster.block(1, number: 104)))
            try await cluster.settle()
            cluster.store.delete(.service(SmallCluster.serviceName(3)))
            cluster.store.delete(.endpointSlice(SmallCluster.slice(3, number: 0).name))
            cluster.store.delete(.serviceCIDR("block-0"))
            cluster.store.delete(.node("node-1"))
            try await cluster.settle()
            cluster.store.put(APIObject(SmallCluster.service(3, number: 105)))
            try await cluster.settle()

            let state = cluster.view.current
            #expect(state.removals.count == 4 && state.removals.values.allSatisfy { $0 == 1 })
            #expect(state.problems.isEmpty)
            #expect(state.faults.isEmpty)
            #expect(cluster.log.complaints.isEmpty)
            for request in cluster.server.requests where request.verb == .watch && !request.wantsInitialEvents
            {
                #expect(UInt64(request.query["resourceVersion"] ?? "").map { $0 >= 1_000 } ?? false)
                #expect(request.query["timeoutSeconds"] != nil)
            }
        }
    }

    @Test("statement 1: what others serve isn't asked for, and what they take over is gone")
    func selectors() async throws {
        try await FollowedCluster().run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            var other = SmallCluster.service(0, number: 50)
            other.proxyName = "another-proxy"
            cluster.store.put(APIObject(other))
            var headless = APIObject(SmallCluster.slice(1, number: 51))
            headless.labels["service.kubernetes.io/headless"] = ""
            cluster.store.put(headless)
            var service = SmallCluster.service(2, number: 52)
            service.isHeadless = true
            service.clusterIPs = []
            cluster.store.put(APIObject(service))
            try await cluster.settle()
            let key = ClusterObject.Key.service(SmallCluster.serviceName(0))
            #expect(cluster.view.current.removals[key] == 1)
            cluster.store.put(APIObject(SmallCluster.service(0, number: 53)))
            cluster.store.put(APIObject(SmallCluster.service(2, number: 54)))
            try await cluster.settle()

            for request in cluster.server.requests {
                switch request.resource {
                case "services":
                    #expect(request.query["labelSelector"] == "!service.kubernetes.io/service-proxy-name")
                case "endpointslices":
                    #expect(request.query["labelSelector"] == "!service.kubernetes.io/headless")
                case "nodes": #expect(request.query["fieldSelector"] == "metadata.name=node-1")
                default: break
                }
            }
        }
    }

    @Test(
        "a server that can't select by cluster IP is asked for all Services, and headless ones are passed over"
    )
    func olderServer() async throws {
        try await FollowedCluster { $0.selectsByClusterIP = false }.run { cluster in
            SmallCluster.fill(cluster.store)
            var headless = SmallCluster.service(2, number: 52)
            headless.isHeadless = true
            headless.clusterIPs = []
            cluster.store.put(APIObject(headless))
            cluster.follow()
            try await cluster.settle()
            cluster.store.put(APIObject(SmallCluster.service(2, number: 53)))
            try await cluster.settle()
            // It was a Service to be served until now.
            cluster.store.put(APIObject(headless))
            try await cluster.settle()
        }
    }

    @Test("pages are of one moment, whatever changes between them")
    func pages() async throws {
        let cluster = try await FollowedCluster {
            $0.streamsInitialEvents = false
            $0.ignoresLimitAtZero = false
        }
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.add(.late(.milliseconds(30)), on: .continuation, of: .services, times: 2)
            cluster.follow()
            try await cluster.request("a second page") { $0.isContinuation && $0.resource == "services" }
            // Behind the place where the list is, and before it.
            cluster.store.delete(.service(SmallCluster.serviceName(7)))
            cluster.store.put(APIObject(SmallCluster.service(0, number: 60)))
            cluster.store.put(APIObject(SmallCluster.service(9, number: 61)))
            try await cluster.settle()
            #expect(cluster.server.requests.count { $0.isContinuation && $0.resource == "services" } == 2)
        }
    }

    @Test(
        "an object that doesn't decode is named and passed over; what was good of it stays",
        arguments: MediaType.allCases)
    func brokenObject(_ type: MediaType) async throws {
        try await FollowedCluster { $0.mediaTypes = type == .json ? [.json] : [.json, .protobuf] }.run {
            cluster in
            SmallCluster.fill(cluster.store)
            cluster.store.put(.broken(.service(.init(namespace: "ns-0", name: "never-good"))))
            cluster.follow()
            try await cluster.settle()
            let before = cluster.view.current.objects
            let slice = ClusterObject.Key.endpointSlice(SmallCluster.slice(1, number: 0).name)
            cluster.store.put(.broken(.service(SmallCluster.serviceName(1))))
            cluster.store.put(.broken(slice))
            cluster.store.put(APIObject(SmallCluster.service(20, number: 70)))
            try await within("the change after the broken object") {
                try await cluster.view.wait {
                    $0.objects[.service(SmallCluster.serviceName(20))] != nil && $0.problems.count >= 3
                }
            }
            let state = cluster.view.current
            // Only protobuf has lists that can't be read at all; in JSON, as in a manifest, what is no list is none.
            for key in before.keys where key != slice || type == .protobuf {
                #expect(state.objects[key] == before[key])
            }
            let named = Set(state.problems.compactMap(\.subject))
            #expect(named.contains(.object(.service(.init(namespace: "ns-0", name: "never-good")))))
            #expect(named.contains(.object(.service(SmallCluster.serviceName(1)))))
            #expect(named.contains(.object(slice)))
            // Good again.
            cluster.store.put(APIObject(SmallCluster.service(1, number: 71)))
            cluster.store.put(APIObject(SmallCluster.slice(1, number: 72)))
            try await cluster.settle()
            cluster.store.delete(.service(.init(namespace: "ns-0", name: "never-good")))
            cluster.store.delete(.service(SmallCluster.serviceName(1)))
            try await cluster.settle()
        }
    }

    @Test("statement 27: when the change of an EndpointSlice began is told")
    func triggerTimes() async throws {
        try await FollowedCluster().run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            var slice = APIObject(SmallCluster.slice(0, number: 80))
            slice.annotations["endpoints.kubernetes.io/last-change-trigger-time"] = "2026-03-01T10:00:00.25Z"
            cluster.store.put(slice)
            try await cluster.settle()
            #expect(cluster.view.current.triggerTimes == [slice.key: 1_772_359_200_250_000_000])
        }
    }

    @Test("a node that is leaving says so")
    func leavingNode() async throws {
        try await FollowedCluster().run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            var node = SmallCluster.node("node-1", number: 3)
            node.isToBeDeletedByAutoscaler = true
            cluster.store.put(APIObject(node))
            try await cluster.settle()
            var object = APIObject(node)
            object.deletionTimestamp = 1_700_000_100
            cluster.store.put(object)
            node.isToBeDeletedByAutoscaler = false
            cluster.store.put(APIObject(node))
            try await cluster.settle()
        }
    }

    @Test("a server without ServiceCIDRs is asked for them again, and has them one day")
    func absentKind() async throws {
        try await FollowedCluster { $0.hasServiceCIDRs = false }.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            #expect(cluster.view.current.completed.contains(.serviceCIDRs))
            #expect(cluster.log.complaints.isEmpty)
            cluster.server.configuration.hasServiceCIDRs = true
            try await cluster.settle()
        }
    }

    @Test("watches end when they should and go on where they were, without a list")
    func watchTimeouts() async throws {
        var setup = FollowedCluster.Setup()
        setup.settings.watchSeconds = 1...1
        try await FollowedCluster(setup).run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            for round in 0..<3 {
                try await anotherWatch(cluster)
                cluster.store.put(APIObject(SmallCluster.service(round, number: 90 + round)))
                try await cluster.settle()
            }
            let lists = cluster.server.requests.filter { $0.verb == .list || $0.wantsInitialEvents }
            #expect(lists.map(\.resource).count { $0 == "services" } == 1)
            #expect(cluster.view.current.removals.isEmpty)
            #expect(cluster.log.complaints.isEmpty)
        }
    }

    private func anotherWatch(_ cluster: FollowedCluster) async throws {
        try await cluster.request(from: cluster.server.requestCount, "another watch") {
            $0.verb == .watch && $0.resource == "services"
        }
    }

    @Test("qps and burst are kept, over all kinds")
    func rateLimit() async throws {
        var setup = FollowedCluster.Setup()
        setup.qps = 50
        setup.burst = 2
        let cluster = try await FollowedCluster(setup) {
            $0.streamsInitialEvents = false
            $0.ignoresLimitAtZero = false
        }
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            let begin = ContinuousClock.now
            cluster.follow()
            try await cluster.settle()
            let last = try #require(cluster.server.requests.map(\.time).max())
            let count = cluster.server.requestCount
            #expect(count >= 12)
            #expect(last - begin >= .milliseconds(20 * (count - 2)))
        }
    }
}
