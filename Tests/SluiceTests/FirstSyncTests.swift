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

    private func sync(
        awaiting node: String? = nil, sleep: @escaping @Sendable (Duration) async throws -> Void = { _ in }
    ) -> FirstSync {
        FirstSync(
            inbox, awaitingPodNetworksOf: node,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            sleep: sleep)
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
        let sync = sync(awaiting: "node-1") { _ in
            // Until the end of the test.
            try await Task.sleep(for: .seconds(3600))
        }
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
        for kind in ResourceKind.allCases { tell(sync, kind) }
        let first = try #require(await sync.objects())
        #expect(first.objects.isEmpty)
        #expect(waits.withLock { $0 } == [FirstSync.patience])
    }
}
