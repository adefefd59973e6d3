import HTTPServing
import PrometheusMetrics

/// What the metrics server answers from.
public struct StatusContent: Sendable {
    /// Metrics in Prometheus' text format 0.0.4.
    public var metrics: @Sendable () -> String
    /// What `/proxyMode` says. `nftables`: programs that ask kube-proxy want to know where the rules are.
    public var proxyMode: String
    /// The configuration in force, as a JSON object.
    public var configz: @Sendable () -> String
    /// Told of each answer of the health server, with its status code.
    public var probed: @Sendable (HealthProbe, Int) -> Void

    /// Closures are called on the servers' thread and must not block.
    public init(
        metrics: @escaping @Sendable () -> String, proxyMode: String = "nftables",
        configz: @escaping @Sendable () -> String = { "{}" },
        probed: @escaping @Sendable (HealthProbe, Int) -> Void = { _, _ in }
    ) {
        self.metrics = metrics
        self.proxyMode = proxyMode
        self.configz = configz
        self.probed = probed
    }
}

/// The metrics server's answers.
enum MetricsAnswers {
    static func answer(_ path: String, _ content: StatusContent) -> HTTPAnswer {
        switch path {
        case "/metrics":
            HTTPAnswer(type: PrometheusText.contentType, body: content.metrics())
        case "/healthz": .text("ok")
        case "/proxyMode": .text(content.proxyMode)
        case "/configz": .json(content.configz())
        case _ where path == "/debug/pprof" || path.hasPrefix("/debug/pprof/"):
            .text(
                "profiling is not offered, whatever enableProfiling says; perf(1) can be used\n", status: 404)
        default: notFound
        }
    }

    static let notFound = HTTPAnswer.text("404 page not found\n", status: 404)
}
