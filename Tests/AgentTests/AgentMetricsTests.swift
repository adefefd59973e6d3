import FakeKernel
import Glibc
import IPAddressing
import KubernetesAPI
import Logging
import PrometheusMetrics
import StatusServers
import Synchronization
import TestNetwork
import Testing

@testable import Agent

/// A clock that stands still until it is moved.
private final class HandClock: Sendable {
    private let seconds = Mutex(1_700_000_000.0)

    var now: Moment {
        let seconds = seconds.withLock { $0 }
        return Moment(uptime: .seconds(Int(seconds)), wall: Int64(seconds * 1e9))
    }

    func advance(_ by: Double) { seconds.withLock { $0 += by } }
}

@Suite("What the loop tells metrics and health", .timeLimit(.minutes(1)))
struct AgentMetricsTests {
    private let clock = HandClock()
    private let kernel = FakeNFTables()
    private let metrics: AgentMetrics
    private let health: ProxyHealthRecord
    private let inbox: ChangeInbox
    private let commits: AsyncStream<Bool>

    init() {
        let clock = clock
        metrics = AgentMetrics(version: "1.2.3", now: { clock.now })
        health = ProxyHealthRecord(patience: .seconds(60), now: { clock.now })
        inbox = ChangeInbox(metrics: metrics, health: health)
        let (commits, continuation) = AsyncStream.makeStream(of: Bool.self)
        self.commits = commits
        kernel.observe { result in continuation.yield((try? result.get()) != nil) }
    }

    private func makeAgent() -> NodeAgent<FakeNFTables> {
        NodeAgent(
            settings: ProxySettings(nodeName: "node"), kernel: kernel, inbox: inbox,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// The numbers of a scrape by name and labels, as `name{label="value"}`.
    private var scrape: [String: Double] {
        var values: [String: Double] = [:]
        for line in metrics.registry.text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " ") else { continue }
            values[String(line[..<space])] = Double(line[line.index(after: space)...])
        }
        return values
    }

    /// Runs the loop over what is in the inbox, until it has nothing left to do.
    private func settle(_ agent: NodeAgent<FakeNFTables>) async {
        inbox.wake()
        inbox.finish()
        await agent.run()
    }

    @Test("a start is a full sync of both families, in force and healthy")
    func start() throws {
        try makeAgent().start([
            service("web", "10.96.0.1"), service("six", "fd00:96::1"),
            endpoints("web", "10.244.0.1", "10.244.0.2"),
        ])
        let values = scrape
        for family in ["IPv4", "IPv6"] {
            let label = "{ip_family=\"\(family)\"}"
            #expect(values["kubeproxy_sync_proxy_rules_duration_seconds_count\(label)"] == 1)
            #expect(values["kubeproxy_sync_full_proxy_rules_duration_seconds_count\(label)"] == 1)
            #expect(values["kubeproxy_sync_partial_proxy_rules_duration_seconds_count\(label)"] == 0)
            #expect(values["kubeproxy_sync_proxy_rules_last_timestamp_seconds\(label)"] == 1_700_000_000)
            #expect(
                values["kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds\(label)"] == 1_700_000_000)
            #expect(values["kubeproxy_sync_proxy_rules_nftables_sync_failures_total\(label)"] == 0)
        }
        #expect(values["kubeproxy_sync_proxy_rules_service_changes_total"] == 2)
        #expect(values["kubeproxy_sync_proxy_rules_endpoint_changes_total"] == 1)
        #expect(values["kubeproxy_sync_proxy_rules_service_changes_pending"] == 0)
        #expect(values["sluice_services"] == 2)
        #expect(values["sluice_endpoints"] == 2)
        #expect(values["sluice_pools{ip_family=\"IPv4\"}"] == 1)
        #expect(values["sluice_slots_used{ip_family=\"IPv4\"}"] == 2)
        #expect(values["sluice_slot_regions{ip_family=\"IPv6\"}"] == 0)
        #expect(values["sluice_commits_total{result=\"changed\"}"] == 1)
        #expect(values["sluice_build_info{version=\"1.2.3\"}"] == 1)
        #expect(values["process_resident_memory_bytes"] ?? 0 > 0)
        #expect(health.report.isInForce)
    }

    @Test("changes are pending from the inbox into force, and late ones make the proxy unhealthy")
    func pending() async throws {
        let agent = makeAgent()
        try agent.start([service("web", "10.96.0.1")])
        clock.advance(10)
        inbox.put(
            upserted: [service("more", "10.96.0.2"), endpoints("web", "10.244.0.1")],
            removed: [.service(name("none"))])
        inbox.put(upserted: [endpoints("web", "10.244.0.2")])
        var values = scrape
        #expect(values["kubeproxy_sync_proxy_rules_service_changes_pending"] == 2)
        #expect(values["kubeproxy_sync_proxy_rules_endpoint_changes_pending"] == 1)
        #expect(values["kubeproxy_sync_proxy_rules_service_changes_total"] == 3)
        #expect(values["kubeproxy_sync_proxy_rules_endpoint_changes_total"] == 2)
        #expect(values["sluice_inbox_objects"] == 3)
        let queued = "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv4\"}"
        #expect(values[queued] == 1_700_000_010)
        clock.advance(60)
        #expect(!health.isHealthy)
        await settle(agent)
        values = scrape
        #expect(health.isHealthy)
        #expect(values["kubeproxy_sync_proxy_rules_service_changes_pending"] == 0)
        #expect(values["sluice_inbox_objects"] == 0)
        #expect(values["kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}"] == 1)
        #expect(
            values["kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv6\"}"] == 1_700_000_070)
        // The oldest change that was in the inbox, not the newest.
        #expect(values[queued] == 1_700_000_010)
    }

    @Test("a commit that fails counts as such, and its Services wait until they are in force")
    func failing() throws {
        kernel.failCommits([.refused])
        let agent = makeAgent()
        #expect(throws: (any Error).self) { try agent.start([service("web", "10.96.0.1")]) }
        var values = scrape
        #expect(values["kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family=\"IPv6\"}"] == 1)
        #expect(values["sluice_commits_total{result=\"failed\"}"] == 1)
        #expect(values["sluice_services_not_in_force"] == 1)
        #expect(!health.report.isInForce)
        clock.advance(60)
        #expect(!health.isHealthy)
        try agent.start([])
        values = scrape
        #expect(values["sluice_services_not_in_force"] == 0)
        #expect(health.isHealthy && health.report.isInForce)
    }

    @Test("a transaction that fails and is put right is a failure and a repair")
    func repaired() async throws {
        let agent = makeAgent()
        try agent.start([service("web", "10.96.0.1")])
        kernel.failCommits([.refused])
        inbox.put(upserted: [service("more", "10.96.0.2")])
        await settle(agent)
        let values = scrape
        #expect(values["sluice_table_repairs_total"] == 1)
        #expect(values["sluice_table_comparisons_total"] == 2)
        #expect(values["kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family=\"IPv4\"}"] == 1)
        #expect(values["kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}"] == 2)
        #expect(values["sluice_commits_total{result=\"failed\"}"] == 0)
    }

    @Test("statement 27: an endpoint change is timed from its trigger to the commit that put it in force")
    func programming() async throws {
        // The loop's start is by the machine's clock.
        let trigger = Moment.now.wall + 3_600_000_000_000
        clock.advance(Double(trigger) / 1e9 - 1_700_000_000 + 2)
        let agent = makeAgent()
        try agent.start([service("web", "10.96.0.1")])
        let slice = endpoints("web", "10.244.0.1")
        inbox.put(upserted: [slice], triggerTimes: [slice.key: trigger + 1_000_000_000])
        inbox.put(upserted: [endpoints("web", "10.244.0.2")], triggerTimes: [slice.key: trigger])
        await settle(agent)
        let values = scrape
        let name = "kubeproxy_network_programming_duration_seconds"
        #expect(values["\(name)_count{ip_family=\"IPv4\"}"] == 1)
        #expect(values["\(name)_count{ip_family=\"IPv6\"}"] == 0)
        #expect(abs((values["\(name)_sum{ip_family=\"IPv4\"}"] ?? 0) - 2) < 0.001)
        #expect(values["\(name)_bucket{ip_family=\"IPv4\",le=\"1\"}"] == 0)
        #expect(values["\(name)_bucket{ip_family=\"IPv4\",le=\"3\"}"] == 1)
    }

    @Test("statement 24: the node is eligible until it goes or is marked; one that nobody told of is")
    func eligible() async throws {
        let agent = makeAgent()
        try agent.start([])
        #expect(health.report.isNodeEligible)
        for (node, isEligible) in [
            (Node(name: "node"), true), (Node(name: "node", isBeingDeleted: true), false),
            (Node(name: "node", isToBeDeletedByAutoscaler: true), false),
            (Node(name: "other", isBeingDeleted: true), false), (Node(name: "node"), true),
        ] {
            try agent.start([.node(node)])
            #expect(health.report.isNodeEligible == isEligible)
        }
        inbox.put(removed: [.node("node")])
        await settle(agent)
        #expect(!health.report.isNodeEligible)
    }

    @Test("ports that are dropped for want of a local endpoint are counted")
    func noLocalEndpoints() throws {
        guard case .service(var web) = service("web", "10.96.0.1") else { return }
        web.internalTrafficPolicy = .local
        try makeAgent().start([.service(web), endpoints("web", "10.244.0.1")])
        let name = "kubeproxy_sync_proxy_rules_no_local_endpoints_total"
        #expect(scrape["\(name){ip_family=\"IPv4\",traffic_policy=\"internal\"}"] == 1)
        #expect(scrape["\(name){ip_family=\"IPv4\",traffic_policy=\"external\"}"] == 0)
    }

    @Test("what probes, the API client and events come to")
    func others() {
        metrics.probed(.healthz, status: 503)
        metrics.probed(.livez, status: 200)
        metrics.probed(.readyz, status: 200)
        for _ in 0..<3 { metrics.watchBegan("services") }
        metrics.listed("services", took: .milliseconds(30))
        metrics.sourceFailed("nodes")
        metrics.requested(method: "GET", host: "10.0.0.1:6443", status: 200, took: .milliseconds(7))
        metrics.requested(method: "GET", host: "10.0.0.1:6443", status: nil, took: .seconds(10))
        metrics.event(.posted)
        metrics.event(.dropped)
        let values = scrape
        #expect(values["kubeproxy_proxy_healthz_total{code=\"503\"}"] == 1)
        #expect(values["kubeproxy_proxy_livez_total{code=\"200\"}"] == 1)
        #expect(values["sluice_watches_total{resource=\"services\"}"] == 3)
        #expect(values["sluice_watch_restarts_total{resource=\"services\"}"] == 2)
        #expect(values["sluice_lists_total{resource=\"services\"}"] == 1)
        #expect(values["sluice_source_failures_total{resource=\"nodes\"}"] == 1)
        #expect(
            values["rest_client_requests_total{code=\"<error>\",host=\"10.0.0.1:6443\",method=\"GET\"}"] == 1)
        #expect(
            values[
                "rest_client_request_duration_seconds_bucket{host=\"10.0.0.1:6443\",verb=\"GET\",le=\"0.025\"}"
            ]
                == 1)
        #expect(values["sluice_events_total{result=\"dropped\"}"] == 1)
    }
}
