import Glibc
import PrometheusMetrics
import StatusServers
import TestNetwork
import Testing

@testable import Agent

@Suite("kube-proxy's metrics")
struct KubeProxyMetricsTests {
    /// Those of kube-proxy v1.36 in nftables mode, from its source: type, labels, help.
    private static let expected = """
        conntrack_reconciler_deleted_entries_total counter ip_family [ALPHA] Cumulative conntrack flows deleted by conntrack reconciler
        conntrack_reconciler_sync_duration_seconds histogram ip_family [ALPHA] ReconcileConntrackFlowsLatency latency in seconds
        network_programming_duration_seconds histogram ip_family [ALPHA] In Cluster Network Programming Latency in seconds
        proxy_healthz_total counter code [ALPHA] Cumulative proxy healthz HTTP status
        proxy_livez_total counter code [ALPHA] Cumulative proxy livez HTTP status
        sync_full_proxy_rules_duration_seconds histogram ip_family [ALPHA] SyncProxyRules latency in seconds for full resyncs
        sync_partial_proxy_rules_duration_seconds histogram ip_family [ALPHA] SyncProxyRules latency in seconds for partial resyncs
        sync_proxy_rules_duration_seconds histogram ip_family [ALPHA] SyncProxyRules latency in seconds
        sync_proxy_rules_endpoint_changes_pending gauge - [ALPHA] Pending proxy rules Endpoint changes
        sync_proxy_rules_endpoint_changes_total counter - [ALPHA] Cumulative proxy rules Endpoint changes
        sync_proxy_rules_last_queued_timestamp_seconds gauge ip_family [ALPHA] The last time a sync of proxy rules was queued
        sync_proxy_rules_last_timestamp_seconds gauge ip_family [ALPHA] The last time proxy rules were successfully synced
        sync_proxy_rules_nftables_cleanup_failures_total counter ip_family [ALPHA] Cumulative proxy nftables cleanup failures
        sync_proxy_rules_nftables_sync_failures_total counter ip_family [ALPHA] Cumulative proxy nftables sync failures
        sync_proxy_rules_no_local_endpoints_total gauge traffic_policy,ip_family [ALPHA] Number of services with a Local traffic policy and no endpoints
        sync_proxy_rules_service_changes_pending gauge - [ALPHA] Pending proxy rules Service changes
        sync_proxy_rules_service_changes_total counter - [ALPHA] Cumulative proxy rules Service changes
        """

    @Test("names, types, labels and help are kube-proxy's")
    func names() {
        let lines = AgentMetrics().registry.families.filter { $0.name.hasPrefix("kubeproxy_") }.map {
            family in
            let labels = family.labels.isEmpty ? "-" : family.labels.joined(separator: ",")
            return "\(family.name.dropFirst(10)) \(family.kind.rawValue) \(labels) \(family.help)"
        }
        #expect(lines.joined(separator: "\n") == Self.expected)
    }

    @Test(
        "so are the buckets: from 1 ms doubled fifteen times, and from a quarter of a second to five minutes")
    func buckets() {
        let bounds = KubeProxyMetrics.programmingBounds
        #expect(bounds.count == 81)
        #expect(Array(bounds.prefix(5)) == [0, 0.25, 0.5, 1, 2])
        #expect(Array(bounds[61...63]) == [59, 60, 65])
        #expect(Array(bounds.suffix(8)) == [115, 120, 150, 180, 210, 240, 270, 300])
        #expect(KubeProxyMetrics.syncBounds.last == 16.384)
    }

    @Test(
        "both families are there from the start, at 0: a rate over what appears later would miss its beginning"
    )
    func fromTheStart() {
        let text = AgentMetrics().registry.text
        for family in ["IPv4", "IPv6"] {
            #expect(
                text.contains(
                    "kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family=\"\(family)\"} 0\n"))
        }
    }

    /// Of Prometheus, beside which the agent's metrics are written.
    private static let hasPromtool = access("/usr/bin/promtool", X_OK) == 0

    @Test(
        "promtool finds nothing to say against all metrics but what is kube-proxy's own",
        .enabled(
            if: hasPromtool || KernelTests.areRequired,
            "needs promtool of Debian's prometheus (scripts/bootstrap)"))
    func promtool() throws {
        let metrics = AgentMetrics(version: "1.2.3")
        metrics.probed(.healthz, status: 200)
        metrics.probed(.livez, status: 503)
        metrics.watchBegan("services")
        metrics.listed("services", took: .seconds(1))
        metrics.sourceFailed("services")
        metrics.requested(method: "GET", host: "[::1]:6443", status: nil, took: .seconds(1))
        metrics.event(.posted)
        let error = #expect(throws: CommandError.self) {
            try runCommand(["promtool", "check", "metrics"], input: metrics.registry.text)
        }
        // 3: it could read all of it, and has something to say.
        #expect(error?.status == 3)
        #expect(
            error?.standardError
                == "kubeproxy_sync_proxy_rules_no_local_endpoints_total "
                + "non-counter metrics should not have \"_total\" suffix\n")
    }
}
