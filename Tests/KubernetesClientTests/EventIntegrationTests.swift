import KubernetesAPI
import KubernetesClient
import TestAPIServer
import Testing

/// The server checks each Event as the API server's own validation does.
@Suite("Events are posted")
struct EventIntegrationTests {
    private func recorded(_ name: String, note: String = "a note") -> RecordedEvent {
        RecordedEvent(
            regarding: .service(.init(namespace: "team-a", name: name)),
            reason: "FailedToStartServiceHealthcheck", action: "Listen", note: note)
    }

    private func posts(
        _ cluster: FollowedCluster, _ outcomes: Observed<EventRecorder.Outcome> = Observed(),
        _ body: (EventRecorder) async throws -> Void
    ) async throws {
        let recorder = EventRecorder(client: cluster.client, nodeName: "node-1", logger: cluster.log.logger) {
            outcomes.add($0)
        }
        let posting = Task { await recorder.run() }
        defer { posting.cancel() }
        try await body(recorder)
    }

    @Test("once for the same trouble, with all that the API asks for")
    func posted() async throws {
        try await FollowedCluster().run { cluster in
            try await posts(cluster) { recorder in
                recorder.record(recorded("web"))
                recorder.record(recorded("web"))
                recorder.record(
                    RecordedEvent(
                        regarding: .node("node-1"), type: .normal, reason: "Started", action: "Start",
                        note: String(repeating: "ä", count: 2_000)))
                try await cluster.request("the last Event") {
                    $0.verb == .create && $0.namespace == "default"
                }
            }
            let events = cluster.server.postedEvents
            let web = try #require(events.first { $0.regardingName == "web" })
            #expect(events.count { $0.regardingName == "web" } == 1)
            #expect(web.apiVersion == "events.k8s.io/v1" && web.namespace == "team-a")
            #expect(web.regardingKind == "Service" && web.regardingNamespace == "team-a")
            #expect(web.reason == "FailedToStartServiceHealthcheck" && web.action == "Listen")
            #expect(web.type == "Warning" && web.note == "a note")
            let node = try #require(events.first { $0.regardingName == "node-1" })
            #expect(node.type == "Normal" && node.note.utf8.count <= 1_024)
            #expect(cluster.log.complaints.isEmpty)
        }
    }

    @Test("a server that fails gets it later; one that refuses is told of once")
    func failures() async throws {
        let outcomes = Observed<EventRecorder.Outcome>()
        try await FollowedCluster().run { cluster in
            try await posts(cluster, outcomes) { recorder in
                cluster.server.add(.status(503), on: .create)
                cluster.server.add(.reset, on: .create)
                recorder.record(recorded("web"))
                let number = cluster.server.requestCount
                try await cluster.request("the third try") { $0.verb == .create && $0.number >= number + 2 }
                cluster.server.access.forbid(.create, "events")
                recorder.record(recorded("second"))
                recorder.record(recorded("third"))
                try await cluster.request("the last refusal") {
                    $0.verb == .create && $0.number >= number + 4
                }
                cluster.server.access.allowAll()
                recorder.record(recorded("fourth"))
                try await cluster.request("after the refusals") {
                    $0.verb == .create && $0.number >= number + 5
                }
                // The server knows of it first.
                try await outcomes.wait { $0.count == 4 }
            }
            #expect(outcomes.all == [.posted, .failed, .failed, .posted])
            #expect(cluster.server.postedEvents.map(\.regardingName).sorted() == ["fourth", "web"])
            #expect(cluster.log.complaints.count == 1)
            #expect(cluster.log.complaints.first?.contains("create events") ?? false)
        }
    }
}
