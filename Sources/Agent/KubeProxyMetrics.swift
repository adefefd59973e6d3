import PrometheusMetrics

/// kube-proxy's metrics under its own names, with its types, labels, help and buckets, as v1.36 has them in nftables mode
/// (package `metrics` of `pkg/proxy`), so that dashboards and alerts go on working.
///
/// A commit is one transaction over both families, so it counts in each.
struct KubeProxyMetrics: Sendable {
    let syncDuration: ByFamily<Histogram>
    /// Commits before which the kernel's tables were read and compared.
    let fullSyncDuration: ByFamily<Histogram>
    let partialSyncDuration: ByFamily<Histogram>
    let lastTimestamp: ByFamily<Gauge>
    let lastQueuedTimestamp: ByFamily<Gauge>
    let networkProgrammingDuration: ByFamily<Histogram>
    /// A gauge, whatever its name says.
    let noLocalEndpointsInternal: ByFamily<Gauge>
    let noLocalEndpointsExternal: ByFamily<Gauge>
    let endpointChangesPending: Gauge
    let endpointChanges: Counter
    let serviceChangesPending: Gauge
    let serviceChanges: Counter
    let healthzAnswers: InstrumentVector<Counter>
    let livezAnswers: InstrumentVector<Counter>
    let syncFailures: ByFamily<Counter>
    /// Stays at 0: what is stale goes in the same transaction as everything else.
    let cleanupFailures: ByFamily<Counter>
    let conntrackDuration: ByFamily<Histogram>
    let conntrackDeletions: ByFamily<Counter>

    static let syncBounds = Buckets.exponential(start: 0.001, factor: 2, count: 15)
    /// The 0 is kube-proxy's.
    static let programmingBounds =
        [0] + Buckets.linear(start: 0.25, width: 0.25, count: 2)
        + Buckets.linear(start: 1, width: 1, count: 59)
        + Buckets.linear(start: 60, width: 5, count: 12) + Buckets.linear(start: 120, width: 30, count: 7)

    init(_ registry: MetricRegistry) {
        func name(_ name: String) -> String { "kubeproxy_\(name)" }
        func help(_ help: String) -> String { "[ALPHA] \(help)" }
        func histogram(_ short: String, _ text: String, bounds: [Double] = KubeProxyMetrics.syncBounds)
            -> ByFamily<Histogram>
        {
            ByFamily(registry.histograms(name(short), help(text), bounds: bounds, by: "ip_family"))
        }
        func gauge(_ short: String, _ text: String) -> ByFamily<Gauge> {
            ByFamily(registry.gauges(name(short), help(text), by: "ip_family"))
        }
        func counter(_ short: String, _ text: String) -> ByFamily<Counter> {
            ByFamily(registry.counters(name(short), help(text), by: "ip_family"))
        }
        syncDuration = histogram("sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds")
        fullSyncDuration = histogram(
            "sync_full_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for full resyncs")
        partialSyncDuration = histogram(
            "sync_partial_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for partial resyncs")
        lastTimestamp = gauge(
            "sync_proxy_rules_last_timestamp_seconds", "The last time proxy rules were successfully synced")
        lastQueuedTimestamp = gauge(
            "sync_proxy_rules_last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued"
        )
        networkProgrammingDuration = histogram(
            "network_programming_duration_seconds", "In Cluster Network Programming Latency in seconds",
            bounds: Self.programmingBounds)
        let noLocalEndpoints = registry.gauges(
            name("sync_proxy_rules_no_local_endpoints_total"),
            help("Number of services with a Local traffic policy and no endpoints"),
            by: "traffic_policy", "ip_family")
        noLocalEndpointsInternal = ByFamily { noLocalEndpoints["internal", $0] }
        noLocalEndpointsExternal = ByFamily { noLocalEndpoints["external", $0] }
        endpointChangesPending = registry.gauge(
            name("sync_proxy_rules_endpoint_changes_pending"), help("Pending proxy rules Endpoint changes"))
        endpointChanges = registry.counter(
            name("sync_proxy_rules_endpoint_changes_total"), help("Cumulative proxy rules Endpoint changes"))
        serviceChangesPending = registry.gauge(
            name("sync_proxy_rules_service_changes_pending"), help("Pending proxy rules Service changes"))
        serviceChanges = registry.counter(
            name("sync_proxy_rules_service_changes_total"), help("Cumulative proxy rules Service changes"))
        healthzAnswers = registry.counters(
            name("proxy_healthz_total"), help("Cumulative proxy healthz HTTP status"), by: "code")
        livezAnswers = registry.counters(
            name("proxy_livez_total"), help("Cumulative proxy livez HTTP status"), by: "code")
        syncFailures = counter(
            "sync_proxy_rules_nftables_sync_failures_total", "Cumulative proxy nftables sync failures")
        cleanupFailures = counter(
            "sync_proxy_rules_nftables_cleanup_failures_total", "Cumulative proxy nftables cleanup failures")
        conntrackDuration = histogram(
            "conntrack_reconciler_sync_duration_seconds", "ReconcileConntrackFlowsLatency latency in seconds")
        conntrackDeletions = counter(
            "conntrack_reconciler_deleted_entries_total",
            "Cumulative conntrack flows deleted by conntrack reconciler")
    }
}
