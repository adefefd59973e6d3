import PrometheusMetrics

/// Sluice's own metrics, for what kube-proxy has no name for.
struct SluiceMetrics: Sendable {
    let commitDuration: Histogram
    let commitMessages: Histogram
    let commitBytes: Counter
    let commitsChanged: Counter
    let commitsUnchanged: Counter
    let commitsFailed: Counter
    let comparisons: Counter
    let repairs: Counter
    let foreignChanges: InstrumentVector<Counter>
    let foreignTransactions: Counter
    let undone: Counter
    let pools: ByFamily<Gauge>
    let slotsUsed: ByFamily<Gauge>
    let slotRegions: ByFamily<Gauge>
    let affinityMaps: ByFamily<Gauge>
    let services: Gauge
    let endpoints: Gauge
    let inboxObjects: Gauge
    let servicesNotInForce: Gauge
    let problems: Gauge
    let kubeProxyLeftovers: InstrumentVector<Gauge>
    let conntrackPasses: InstrumentVector<Counter>
    let conntrackEntriesSeen: Counter
    let conntrackDeletionFailures: Counter
    let lists: InstrumentVector<Counter>
    let listDuration: InstrumentVector<Histogram>
    let watches: InstrumentVector<Counter>
    let watchRestarts: InstrumentVector<Counter>
    let sourceFailures: InstrumentVector<Counter>
    let events: InstrumentVector<Counter>

    init(_ registry: MetricRegistry, version: String) {
        registry.gauges("sluice_build_info", "Always 1; the version that runs, as a label.", by: "version")[
            version
        ].set(1)

        commitDuration = registry.histogram(
            "sluice_commit_duration_seconds",
            "Time from planning a change to the kernel's acknowledgement, failed commits included.",
            bounds: Buckets.exponential(start: 0.0001, factor: 2, count: 18))
        commitMessages = registry.histogram(
            "sluice_commit_messages", "Netlink messages of a commit that changed something.",
            bounds: Buckets.exponential(start: 4, factor: 4, count: 10))
        commitBytes = registry.counter("sluice_commit_bytes_total", "Bytes of netlink messages sent.")
        let commits = registry.counters(
            "sluice_commits_total",
            "Commits: changed, unchanged where the kernel had nothing to do, or failed.", by: "result")
        (commitsChanged, commitsUnchanged, commitsFailed) = (
            commits["changed"], commits["unchanged"], commits["failed"]
        )
        comparisons = registry.counter(
            "sluice_table_comparisons_total", "Commits for which the kernel's tables were read and compared.")
        repairs = registry.counter(
            "sluice_table_repairs_total", "Commits that put the tables right after a failed transaction.")
        foreignChanges = registry.counters(
            "sluice_foreign_changes_total", "Changes that others made in the tables, by what they changed.",
            by: "object")
        foreignTransactions = registry.counter(
            "sluice_foreign_transactions_total", "Times that others were noticed to have changed the tables.")
        undone = registry.counter(
            "sluice_foreign_changes_undone_total",
            "Operations, of parts compared at once, that undid what others had changed.")

        pools = ByFamily(registry.gauges("sluice_pools", "Pools of endpoints.", by: "ip_family"))
        slotsUsed = ByFamily(
            registry.gauges("sluice_slots_used", "Slots that lead to an endpoint.", by: "ip_family"))
        slotRegions = ByFamily(
            registry.gauges(
                "sluice_slot_regions", "Regions of slots given to pools of more than one endpoint.",
                by: "ip_family"))
        affinityMaps = ByFamily(
            registry.gauges(
                "sluice_affinity_maps", "Maps from clients to the endpoints they keep.", by: "ip_family"))
        services = registry.gauge("sluice_services", "Services known.")
        endpoints = registry.gauge("sluice_endpoints", "Endpoints of all EndpointSlices known.")
        inboxObjects = registry.gauge(
            "sluice_inbox_objects", "Objects of all kinds whose change nobody has looked at yet.")
        servicesNotInForce = registry.gauge(
            "sluice_services_not_in_force", "Services whose newest state the kernel has refused so far.")
        problems = registry.gauge("sluice_problems", "Problems that stand in Services and EndpointSlices.")

        kubeProxyLeftovers = registry.gauges(
            "sluice_kube_proxy_leftovers",
            "What kube-proxy left on the node: tables of its nftables mode, or chains of its iptables mode.",
            by: "kind")

        conntrackPasses = registry.counters(
            "sluice_conntrack_passes_total", "Passes over the UDP flows: complete or incomplete.",
            by: "result")
        conntrackEntriesSeen = registry.counter(
            "sluice_conntrack_entries_seen_total", "UDP flows looked at.")
        conntrackDeletionFailures = registry.counter(
            "sluice_conntrack_deletion_failures_total", "UDP flows that should have been ended and weren't.")

        lists = registry.counters("sluice_lists_total", "Lists completed.", by: "resource")
        listDuration = registry.histograms(
            "sluice_list_duration_seconds", "Time a complete list takes.",
            bounds: Buckets.exponential(start: 0.01, factor: 2, count: 13), by: "resource")
        watches = registry.counters("sluice_watches_total", "Watches begun.", by: "resource")
        watchRestarts = registry.counters(
            "sluice_watch_restarts_total", "Watches begun after a kind's first.", by: "resource")
        sourceFailures = registry.counters(
            "sluice_source_failures_total", "Lists and watches that failed and are tried again.",
            by: "resource")
        events = registry.counters(
            "sluice_events_total", "Events: posted, failed, or dropped because the queue was full.",
            by: "result")
    }
}

/// The API client's metrics, under the names that every Kubernetes component has them (package
/// `metrics/prometheus/restclient` of component-base).
struct RESTClientMetrics: Sendable {
    let requests: InstrumentVector<Counter>
    let duration: InstrumentVector<Histogram>

    init(_ registry: MetricRegistry) {
        requests = registry.counters(
            "rest_client_requests_total",
            "[BETA] Number of HTTP requests, partitioned by status code, method, and host.",
            by: "code", "method", "host")
        duration = registry.histograms(
            "rest_client_request_duration_seconds",
            "[BETA] Request latency in seconds. Broken down by verb, and host.",
            bounds: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60], by: "verb", "host")
    }
}
