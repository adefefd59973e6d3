import Documents

/// Finds what an operator should know of a configuration: settings for another mode, and those that Sluice can't
/// honour, each once.
struct ConfigurationNotices {
    private(set) var notices: [ConfigurationNotice] = []
    /// As it was given, without defaults: only what somebody asked for is worth a warning.
    private let given: KubeProxyConfiguration

    static func notices(on given: KubeProxyConfiguration) -> [ConfigurationNotice] {
        var notices = ConfigurationNotices(given: given)
        notices.run()
        return notices.notices
    }

    private init(given: KubeProxyConfiguration) { self.given = given }

    private mutating func warn(_ setting: String, _ message: String, if isSo: Bool = true) {
        if isSo { notices.append(ConfigurationNotice(setting, message)) }
    }

    private mutating func run() {
        let gates = given.featureGates.keys.filter { $0 != AgentConfiguration.externalIPsGate }.sorted()
        if !gates.isEmpty {
            let names = gates.map { Text.isPlain($0) ? $0 : Text.quoted($0) }
            warn("featureGates", "no effect: Sluice has none of \(names.joined(separator: ", "))")
        }
        switch given.mode {
        case "ipvs", "iptables": warn("mode", "\(given.mode): Sluice serves with nftables, whatever the mode")
        default: break
        }
        noteNodePorts()
        noteIPTables()
        noteIPVS()
        noteNFTables()
        noteWindows()
        noteLogging()
        warn("enableProfiling", "ignored: Sluice serves no /debug/pprof", if: given.enableProfiling)
        warn(
            "showHiddenMetricsForVersion", "ignored: Sluice hides no metrics",
            if: !given.showHiddenMetricsForVersion.isEmpty)
        warn("portRange", "ignored, as kube-proxy does", if: !given.portRange.isEmpty)
        noteLocalMode()
    }

    private mutating func noteNodePorts() {
        warn(
            "iptables.localhostNodePorts", "node ports are never served on loopback addresses",
            if: given.iptables.localhostNodePorts == true)
        guard given.nodePortAddresses.isEmpty, given.mode != "nftables" else { return }
        notices.append(
            ConfigurationNotice(
                "nodePortAddresses",
                "not set: node ports are served on the Node's own addresses (primary), not on all as kube-proxy does outside mode nftables",
                isWarning: false))
    }

    private mutating func noteLocalMode() {
        let isByCIDR = given.detectLocalMode.isEmpty || given.detectLocalMode == "ClusterCIDR"
        guard isByCIDR, given.clusterCIDR.isEmpty else { return }
        notices.append(
            ConfigurationNotice(
                "clusterCIDR", "not set: pods of this node can't be told from others", isWarning: false))
    }

    /// Which section a setting is read from under the given mode.
    private func isRead(_ section: String, period: Bool = false) -> Bool {
        switch given.mode {
        case "nftables": section == "nftables"
        case "ipvs": section == (period ? "ipvs" : "iptables")
        default: section == "iptables"
        }
    }

    private var reading: String { given.mode.isEmpty ? "without a mode" : "in mode \(given.mode)" }

    /// Values that are kube-proxy's defaults stand in every file that a tool has written out.
    private mutating func notePeriods(_ section: String, _ period: GoDuration, _ least: GoDuration) {
        guard !isRead(section, period: true) else { return }
        let message = "not read \(reading)"
        warn("\(section).syncPeriod", message, if: ![0, 30_000_000_000].contains(period.nanoseconds))
        warn("\(section).minSyncPeriod", message, if: ![0, 1_000_000_000].contains(least.nanoseconds))
    }

    private mutating func noteIPTables() {
        let section = given.iptables
        notePeriods("iptables", section.syncPeriod, section.minSyncPeriod)
        guard !isRead("iptables") else { return }
        warn("iptables.masqueradeAll", "not read \(reading)", if: section.masqueradeAll)
        warn("iptables.masqueradeBit", "not read \(reading)", if: ![nil, 14].contains(section.masqueradeBit))
    }

    private mutating func noteNFTables() {
        let section = given.nftables
        notePeriods("nftables", section.syncPeriod, section.minSyncPeriod)
        guard !isRead("nftables") else { return }
        warn("nftables.masqueradeAll", "not read \(reading)", if: section.masqueradeAll)
        warn("nftables.masqueradeBit", "not read \(reading)", if: ![nil, 14].contains(section.masqueradeBit))
    }

    private mutating func noteIPVS() {
        let ipvs = given.ipvs
        notePeriods("ipvs", ipvs.syncPeriod, ipvs.minSyncPeriod)
        switch ipvs.scheduler {
        case "": break
        case "rr":
            notices.append(
                ConfigurationNotice("ipvs.scheduler", "rr is what Sluice does anyway", isWarning: false))
        default:
            let name = Text.isPlain(ipvs.scheduler) ? ipvs.scheduler : Text.quoted(ipvs.scheduler)
            warn("ipvs.scheduler", "\(name): round robin is used")
        }
        warn(
            "ipvs.excludeCIDRs", "ignored: Sluice touches nothing of IPVS's", if: !ipvs.excludeCIDRs.isEmpty)
        warn(
            "ipvs.strictARP", "ignored: Sluice puts no service addresses on an interface", if: ipvs.strictARP)
        let timeouts = [
            ("tcpTimeout", ipvs.tcpTimeout), ("tcpFinTimeout", ipvs.tcpFinTimeout),
            ("udpTimeout", ipvs.udpTimeout),
        ]
        for (name, timeout) in timeouts {
            warn("ipvs.\(name)", "ignored: the timeouts of conntrack count", if: timeout.nanoseconds != 0)
        }
    }

    private mutating func noteWindows() {
        let winkernel = given.winkernel
        let settings = [
            ("networkName", !winkernel.networkName.isEmpty), ("sourceVip", !winkernel.sourceVip.isEmpty),
            ("enableDSR", winkernel.enableDSR),
            ("rootHnsEndpointName", !winkernel.rootHnsEndpointName.isEmpty),
            ("forwardHealthCheckVip", winkernel.forwardHealthCheckVip),
        ]
        for (name, isSet) in settings { warn("winkernel.\(name)", "ignored: for Windows", if: isSet) }
        warn("windowsRunAsService", "ignored: for Windows", if: given.windowsRunAsService)
    }

    private mutating func noteLogging() {
        let logging = given.logging
        warn("logging.vmodule", "ignored: logging.verbosity counts for all", if: !logging.vmodule.isEmpty)
        warn(
            "logging.flushFrequency", "ignored: each line is written at once",
            if: ![0, 5_000_000_000].contains(logging.flushFrequency.nanoseconds))
        for (name, stream) in [("text", logging.text), ("json", logging.json)] {
            let isSet = stream.splitStream || !["", "0"].contains(stream.infoBufferSize)
            warn("logging.options.\(name)", "ignored: all lines go to standard error, unbuffered", if: isSet)
        }
    }
}
