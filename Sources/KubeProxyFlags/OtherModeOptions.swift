import ArgumentParser
import ProxyConfiguration

/// kube-proxy's flags for its modes iptables and ipvs. `--help-hidden` shows them.
struct OtherModeOptions: ParsableArguments {
    private static func help(_ text: String, _ valueName: String) -> ArgumentHelp {
        ArgumentHelp(ArgumentHelp(stringLiteral: text).abstract, valueName: valueName, visibility: .hidden)
    }

    @Option(
        parsing: .unconditional,
        help: help("The bit of the packet mark that interface modes use, 0 to 31 (14).", "bit"))
    var iptablesMasqueradeBit: Int32?

    @Option(
        parsing: .unconditional,
        help: help(
            "How often all is checked; twice that long, an update may be pending before the agent is unhealthy (30s).",
            "duration"))
    var iptablesSyncPeriod: GoDuration?

    @Option(
        parsing: .unconditional,
        help: help("How soon after a commit the next may begin, at the least (0s).", "duration"))
    var iptablesMinSyncPeriod: GoDuration?

    @Option(
        defaultAsFlag: Switch.on, parsing: .next,
        help: help("Accepted; node ports are never served on loopback.", "bool"))
    var iptablesLocalhostNodeports: Switch?

    @Option(
        parsing: .unconditional, help: help("The same as for iptables, with --proxy-mode ipvs.", "duration"))
    var ipvsSyncPeriod: GoDuration?

    @Option(
        parsing: .unconditional, help: help("The same as for iptables, with --proxy-mode ipvs.", "duration"))
    var ipvsMinSyncPeriod: GoDuration?

    @Option(help: help("Accepted; round robin is used.", "name"))
    var ipvsScheduler: String?

    @Option(help: help("Accepted; Sluice touches nothing of IPVS's.", "cidrs"))
    var ipvsExcludeCidrs: [String] = []

    @Option(
        defaultAsFlag: Switch.on, parsing: .next,
        help: help("Accepted; Sluice puts no service addresses on an interface.", "bool"))
    var ipvsStrictArp: Switch?

    @Option(parsing: .unconditional, help: help("Accepted; the timeouts of conntrack count.", "duration"))
    var ipvsTcpTimeout: GoDuration?

    @Option(parsing: .unconditional, help: help("Accepted; the timeouts of conntrack count.", "duration"))
    var ipvsTcpfinTimeout: GoDuration?

    @Option(parsing: .unconditional, help: help("Accepted; the timeouts of conntrack count.", "duration"))
    var ipvsUdpTimeout: GoDuration?

    func apply(to settings: inout FlagSettings) {
        settings.set("--iptables-masquerade-bit", iptablesMasqueradeBit, \.iptables.masqueradeBit)
        // kube-proxy takes the periods of iptables for its mode nftables as well.
        let isNFTables = settings.configuration.mode == "nftables"
        settings.set(
            period: "--iptables-sync-period", iptablesSyncPeriod,
            isNFTables ? \.nftables.syncPeriod : \.iptables.syncPeriod)
        settings.set(
            "--iptables-min-sync-period", iptablesMinSyncPeriod,
            isNFTables ? \.nftables.minSyncPeriod : \.iptables.minSyncPeriod)
        settings.set(
            "--iptables-localhost-nodeports", iptablesLocalhostNodeports,
            \.iptables.localhostNodePorts)
        settings.set(period: "--ipvs-sync-period", ipvsSyncPeriod, \.ipvs.syncPeriod)
        settings.set("--ipvs-min-sync-period", ipvsMinSyncPeriod, \.ipvs.minSyncPeriod)
        settings.set("--ipvs-scheduler", ipvsScheduler, \.ipvs.scheduler)
        settings.set("--ipvs-exclude-cidrs", list(ipvsExcludeCidrs), \.ipvs.excludeCIDRs)
        settings.set("--ipvs-strict-arp", ipvsStrictArp, \.ipvs.strictARP)
        settings.set("--ipvs-tcp-timeout", ipvsTcpTimeout, \.ipvs.tcpTimeout)
        settings.set("--ipvs-tcpfin-timeout", ipvsTcpfinTimeout, \.ipvs.tcpFinTimeout)
        settings.set("--ipvs-udp-timeout", ipvsUdpTimeout, \.ipvs.udpTimeout)
    }
}
