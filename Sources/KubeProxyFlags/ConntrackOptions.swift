import ArgumentParser
import ProxyConfiguration

/// How connection tracking is set, with kube-proxy's names. 0 leaves a limit or a timeout as it is.
struct ConntrackOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Tracked connections per core (32768).", valueName: "count"))
    var conntrackMaxPerCore: Int32?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The least limit, whatever the number of cores (131072).", valueName: "count"))
    var conntrackMin: Int32?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Timeout of idle connections (24h0m0s).", valueName: "duration"))
    var conntrackTcpTimeoutEstablished: GoDuration?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Timeout in the state CLOSE_WAIT (1h0m0s).", valueName: "duration"))
    var conntrackTcpTimeoutCloseWait: GoDuration?

    @Option(
        defaultAsFlag: Switch.on, parsing: .next,
        help: ArgumentHelp("Packets outside the TCP window aren't invalid.", valueName: "bool"))
    var conntrackTcpBeLiberal: Switch?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Timeout of UDP flows without an answer.", valueName: "duration"))
    var conntrackUdpTimeout: GoDuration?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Timeout of UDP flows that were answered.", valueName: "duration"))
    var conntrackUdpTimeoutStream: GoDuration?

    func apply(to settings: inout FlagSettings) {
        settings.set("--conntrack-max-per-core", conntrackMaxPerCore, \.conntrack.maxPerCore)
        settings.set("--conntrack-min", conntrackMin, \.conntrack.min)
        settings.set(
            "--conntrack-tcp-timeout-established", conntrackTcpTimeoutEstablished,
            \.conntrack.tcpEstablishedTimeout)
        settings.set(
            "--conntrack-tcp-timeout-close-wait", conntrackTcpTimeoutCloseWait,
            \.conntrack.tcpCloseWaitTimeout)
        settings.set("--conntrack-tcp-be-liberal", conntrackTcpBeLiberal, \.conntrack.tcpBeLiberal)
        settings.set("--conntrack-udp-timeout", conntrackUdpTimeout, \.conntrack.udpTimeout)
        settings.set(
            "--conntrack-udp-timeout-stream", conntrackUdpTimeoutStream, \.conntrack.udpStreamTimeout)
    }
}
