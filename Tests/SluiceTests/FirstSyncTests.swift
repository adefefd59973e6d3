import Agent
import IPAddressing
import KubernetesAPI
import KubernetesClient
import KubernetesWire
import Logging
import Synchronization
import Testing

@testable import sluice

@Suite("What the API server tells first")
struct FirstSyncTests {
    private let inbox = ChangeInbox()
    private let service = ClusterObject.service(
        Service(
            name: ObjectName(namespace: "default", name: "web"), clusterIPs: [IPAddress(ipv4: 0x0a60_0001)]))

    private let log = WarningLog()

    /// Until the end of the test.
    private static let forever: @Sendable (Duration) async throws -> Void = { _ in
        try await Task.sleep(for: .seconds(3600))
    }

    private func sync(
        awaiting node: String? = nil, sleep: @escaping @Sendable (Duration) async throws -> Void = forever
    ) -> FirstSync {
        FirstSync(inbox, awaitingPodNetworksOf: node, logger: log.logger, sleep: sleep)
    }

    private func tell(_ sync: FirstSync, _ kind: ResourceKind, _ objects: ClusterObject...) {
        sync.take(SourceUpdate(kind: kind, upserted: objects, isFirstComplete: true))
    }

    private func node(_ podCIDRs: [String]) -> ClusterObject {
        .node(Node(name: "node-1", podCIDRs: podCIDRs.compactMap { IPNetwork($0) }))
    }

    @Test("statement 6: is handed over when all kinds have been told, and what comes later goes to the inbox")
    func allKinds() async throws {
        let sync = sync()
        tell(sync, .services, service)
        tell(sync, .endpointSlices)
        tell(sync, .nodes)
        #expect(inbox.take().isEmpty)
        tell(sync, .serviceCIDRs)
        let first = try #require(await sync.objects())
        #expect(first.objects == [service.key: service])
        sync.take(SourceUpdate(kind: .services, removed: [service.key]))
        #expect(inbox.take().objects == [service.key: nil])
    }

    @Test("statement 13: where the Node's podCIDRs tell its pods, they are waited for")
    func podNetworks() async throws {
        let sync = sync(awaiting: "node-1")
        tell(sync, .services, service)
        tell(sync, .endpointSlices)
        tell(sync, .serviceCIDRs)
        tell(sync, .nodes, node([]))
        // Still held back.
        sync.take(SourceUpdate(kind: .services, removed: [service.key]))
        #expect(inbox.take().isEmpty)
        sync.take(SourceUpdate(kind: .nodes, upserted: [node(["10.244.1.0/24"])]))
        let first = try #require(await sync.objects())
        #expect(first.objects == [.node("node-1"): node(["10.244.1.0/24"])])
    }

    @Test("statement 13: a Node that gets no podCIDRs doesn't hold up the cluster for ever")
    func noPodNetworks() async throws {
        let waits = Mutex<[Duration]>([])
        let sync = sync(awaiting: "node-1") { duration in waits.withLock { $0.append(duration) } }
        // The wait begins with the last of the kinds that nothing is served without.
        for kind in [ResourceKind.nodes, .serviceCIDRs, .services, .endpointSlices] { tell(sync, kind) }
        let first = try #require(await sync.objects())
        #expect(first.objects.isEmpty)
        #expect(waits.withLock { $0.reduce(.zero, +) } == FirstSync.podNetworkPatience)
        #expect(log.lines.count == 1)
        #expect(log.lines.first?.contains("Node node-1 has no spec.podCIDRs") == true)
    }

    @Test("statement 6: Nodes and ServiceCIDRs that don't come don't hold up Services, and are named")
    func missingKinds() async throws {
        let waits = Mutex<[Duration]>([])
        let sync = sync { duration in waits.withLock { $0.append(duration) } }
        tell(sync, .services, service)
        #expect(waits.withLock { $0 } == [])
        tell(sync, .endpointSlices)
        let first = try #require(await sync.objects())
        #expect(first.objects == [service.key: service])
        #expect(waits.withLock { $0 } == [FirstSync.patience])
        #expect(log.lines.count == 1)
        #expect(log.lines.first?.contains("nodes and servicecidrs in 10 s") == true, "\(log.lines)")
        // What comes late is taken as any change.
        tell(sync, .nodes, node([]))
        #expect(inbox.take().objects == [.node("node-1"): node([])])
    }

    @Test(
        "statement 6: neither Services nor EndpointSlices are gone on without", arguments: FirstSync.essential
    )
    func essential(kind: ResourceKind) {
        let waits = Mutex(0)
        let sync = sync { _ in waits.withLock { $0 += 1 } }
        for other in ResourceKind.allCases where other != kind { tell(sync, other, service) }
        sync.take(SourceUpdate(kind: .services, removed: [service.key]))
        #expect(inbox.take().isEmpty)
        // Nothing even begins to wait.
        #expect(waits.withLock { $0 } == 0)
    }

    @Test("statement 13: ServiceCIDRs that don't come don't end the wait for the Node's podCIDRs")
    func missingKindAndPodNetworks() async throws {
        let (waits, began) = AsyncStream.makeStream(of: Duration.self)
        let sync = sync(awaiting: "node-1") { duration in
            began.yield(duration)
            if duration != FirstSync.patience { try await Self.forever(duration) }
        }
        tell(sync, .services, service)
        tell(sync, .endpointSlices)
        var wait = waits.makeAsyncIterator()
        #expect(await wait.next() == FirstSync.patience)
        // What it waits for now are the podCIDRs, and the Node with them.
        #expect(await wait.next() == FirstSync.podNetworkPatience - FirstSync.patience)
        #expect(log.lines.count == 1)
        #expect(log.lines.first?.contains("all servicecidrs in") == true, "\(log.lines)")
        tell(sync, .nodes, node(["10.244.1.0/24"]))
        let first = try #require(await sync.objects())
        #expect(first.objects[.node("node-1")] == node(["10.244.1.0/24"]))
    }
}

/// Warnings and worse.
private final class WarningLog: Sendable {
    private let kept = Mutex<[String]>([])

    var lines: [String] { kept.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: WarningLog
        var logLevel = Logger.Level.warning
        var metadata: Logger.Metadata = [:]

        init(log: WarningLog) { self.log = log }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { log.kept.withLock { $0.append("\(event.message)") } }
    }
}
