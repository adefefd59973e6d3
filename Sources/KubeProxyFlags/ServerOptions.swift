import ArgumentParser
import ProxyConfiguration

/// Where the API server is, and which servers the agent has itself; with kube-proxy's names.
struct ServerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The kubeconfig to reach the API server with. Default: the Pod's service account.",
            valueName: "path"))
    var kubeconfig: String?

    @Option(help: ArgumentHelp("The API server, instead of the kubeconfig's.", valueName: "url"))
    var master: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Requests per second to the API server (5).", valueName: "number"))
    var kubeApiQps: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Requests to the API server at once (10).", valueName: "count"))
    var kubeApiBurst: Int32?

    @Option(help: ArgumentHelp("Media type of what is sent to the API server.", valueName: "type"))
    var kubeApiContentType: String?

    @Option(
        help: ArgumentHelp("How often a source must give its word anew (15m0s).", valueName: "duration"))
    var configSyncPeriod: GoDuration?

    @Option(
        help: ArgumentHelp(
            "Where /healthz and /livez are served (0.0.0.0:10256); empty: nowhere.",
            valueName: "address:port"))
    var healthzBindAddress: String?

    @Option(
        help: ArgumentHelp(
            "Where /metrics is served (127.0.0.1:10249); empty: nowhere.", valueName: "address:port"))
    var metricsBindAddress: String?

    @Option(
        defaultAsFlag: Switch.on, parsing: .next,
        help: ArgumentHelp("End when one of these can't be bound.", valueName: "bool"))
    var bindAddressHardFail: Switch?

    @Option(help: .hidden)
    var healthzPort: UInt16?

    @Option(help: .hidden)
    var metricsPort: UInt16?

    @Option(defaultAsFlag: Switch.on, parsing: .next, help: .hidden)
    var profiling: Switch?

    @Option(help: .hidden)
    var showHiddenMetricsForVersion: String?

    func apply(to settings: inout FlagSettings) {
        settings.overrides.master = master
        settings.set("--kubeconfig", kubeconfig, \.clientConnection.kubeconfig)
        settings.set("--kube-api-qps", kubeApiQps, \.clientConnection.qps)
        settings.set("--kube-api-burst", kubeApiBurst, \.clientConnection.burst)
        settings.set("--kube-api-content-type", kubeApiContentType, \.clientConnection.contentType)
        settings.set(period: "--config-sync-period", configSyncPeriod, \.configSyncPeriod)
        settings.set(
            server: "--healthz-bind-address", healthzBindAddress, port: ("--healthz-port", healthzPort),
            \.healthzBindAddress)
        settings.set(
            server: "--metrics-bind-address", metricsBindAddress, port: ("--metrics-port", metricsPort),
            \.metricsBindAddress)
        settings.set("--bind-address-hard-fail", bindAddressHardFail, \.bindAddressHardFail)
        settings.set("--profiling", profiling, \.enableProfiling)
        settings.set(
            "--show-hidden-metrics-for-version", showHiddenMetricsForVersion, \.showHiddenMetricsForVersion)
    }
}
