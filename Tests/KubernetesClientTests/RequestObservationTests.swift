import KubernetesAPI
import KubernetesClient
import TestAPIServer
import Testing

@Suite("Requests are told for the metrics")
struct RequestObservationTests {
    @Test("with method, host and status; without a status where no response came")
    func told() async throws {
        try await FollowedCluster().run { cluster in
            cluster.server.add(.status(503), on: .watch)
            cluster.server.add(.reset, on: .watch)
            cluster.follow()
            try await cluster.settle()
            // A watch that is refused or opened is a request like others.
            try await cluster.observations.wait { all in all.count { $0.status == 200 } >= 4 }
            let all = cluster.observations.all
            let host = String(cluster.server.url.dropFirst("https://".count))
            #expect(all.allSatisfy { $0.method == "GET" && $0.host == host && $0.duration > .zero })
            #expect(all.count { $0.status == 503 } == 1)
            #expect(all.count { $0.status == nil } == 1)
            #expect(all.allSatisfy { [nil, 200, 503].contains($0.status) })
        }
    }
}
