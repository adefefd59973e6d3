import Documents
import IPAddressing

/// Checks a configuration with its defaults the way kube-proxy v1.36 does (pkg/proxy/apis/config/validation).
struct ConfigurationValidation {
    private(set) var findings: [(path: FieldPath, message: String)] = []
    private let configuration: KubeProxyConfiguration

    /// All that is wrong, with the path of the field.
    static func findings(in configuration: KubeProxyConfiguration) -> [(path: FieldPath, message: String)] {
        var validation = ConfigurationValidation(configuration: configuration)
        validation.run()
        return validation.findings
    }

    private init(configuration: KubeProxyConfiguration) { self.configuration = configuration }

    private mutating func find(_ path: String, _ message: String) {
        findings.append((FieldPath(steps: path.split(separator: ".").map { .key(String($0)) }), message))
    }

    private mutating func run() {
        checkMode()
        checkPeriods()
        checkConntrack()
        checkAddresses()
        checkLocalMode()
        checkLogging()
        if let score = configuration.oomScoreAdj, !(-1000...1000).contains(score) {
            find("oomScoreAdj", "\(score) is not in the range -1000 to 1000")
        }
        if configuration.clientConnection.burst < 0 {
            find("clientConnection.burst", "\(configuration.clientConnection.burst) is below 0")
        }
        if !Self.isPortRange(configuration.portRange) {
            find(
                "portRange",
                "\(Text.quoted(configuration.portRange)) is not a range of ports such as 300-2000")
        }
        let version = configuration.showHiddenMetricsForVersion
        let numbers = version.split(separator: ".", omittingEmptySubsequences: false)
        if !version.isEmpty, numbers.count != 2 || !numbers.allSatisfy({ UInt16($0) != nil }) {
            find("showHiddenMetricsForVersion", "\(Text.quoted(version)) is not a version such as 1.35")
        }
    }

    private mutating func checkMode() {
        switch configuration.mode {
        case "", "iptables", "ipvs", "nftables": break
        case "kernelspace":
            find("mode", "kernelspace is for Windows; here it is nftables, iptables, ipvs or nothing")
        default:
            find("mode", "\(Text.quoted(configuration.mode)) is not nftables, iptables, ipvs or nothing")
        }
        checkBit("iptables.masqueradeBit", configuration.iptables.masqueradeBit)
        if configuration.mode == "nftables" {
            checkBit("nftables.masqueradeBit", configuration.nftables.masqueradeBit)
        }
        guard configuration.mode == "ipvs" else { return }
        checkNotNegative("ipvs.tcpTimeout", configuration.ipvs.tcpTimeout)
        checkNotNegative("ipvs.tcpFinTimeout", configuration.ipvs.tcpFinTimeout)
        checkNotNegative("ipvs.udpTimeout", configuration.ipvs.udpTimeout)
        checkNetworks(FieldPath.root["ipvs"]["excludeCIDRs"], configuration.ipvs.excludeCIDRs)
    }

    private mutating func checkBit(_ path: String, _ bit: Int32?) {
        if let bit, !(0...31).contains(bit) { find(path, "\(bit) is not a bit of the packet mark (0 to 31)") }
    }

    private mutating func checkPeriods() {
        let selected = configuration.selected
        let (period, least) = (selected.syncPeriod, selected.minSyncPeriod)
        if period.nanoseconds <= 0 { find("\(selected.section).syncPeriod", "\(period) is not above 0") }
        if least.nanoseconds < 0 { find("\(selected.section).minSyncPeriod", "\(least) is below 0") }
        if period.nanoseconds > 0, least.nanoseconds > period.nanoseconds {
            find("\(selected.section).minSyncPeriod", "\(least) is longer than syncPeriod, \(period)")
        }
        if configuration.configSyncPeriod.nanoseconds <= 0 {
            find("configSyncPeriod", "\(configuration.configSyncPeriod) is not above 0")
        }
    }

    private mutating func checkNotNegative(_ path: String, _ duration: GoDuration?) {
        if let duration, duration.nanoseconds < 0 { find(path, "\(duration) is below 0") }
    }

    private mutating func checkConntrack() {
        let qps = configuration.clientConnection.qps
        if !qps.isFinite { find("clientConnection.qps", "\(qps) is not a number of requests a second") }
        let conntrack = configuration.conntrack
        for (name, value) in [("maxPerCore", conntrack.maxPerCore), ("min", conntrack.min)] {
            if let value, value < 0 { find("conntrack.\(name)", "\(value) is below 0") }
        }
        checkNotNegative("conntrack.tcpEstablishedTimeout", conntrack.tcpEstablishedTimeout)
        checkNotNegative("conntrack.tcpCloseWaitTimeout", conntrack.tcpCloseWaitTimeout)
        checkNotNegative("conntrack.udpTimeout", conntrack.udpTimeout)
        checkNotNegative("conntrack.udpStreamTimeout", conntrack.udpStreamTimeout)
    }

    private mutating func checkAddresses() {
        if IPAddress(lenient: configuration.bindAddress) == nil {
            find("bindAddress", "\(Text.quoted(configuration.bindAddress)) is not an IP address")
        }
        let servers = [
            ("healthzBindAddress", configuration.healthzBindAddress),
            ("metricsBindAddress", configuration.metricsBindAddress),
        ]
        for (name, text) in servers where !text.isEmpty && AddressPort(text) == nil {
            find(name, "\(Text.quoted(text)) is not an IP address and a port, such as 0.0.0.0:10256")
        }
        let path = FieldPath.root["nodePortAddresses"]
        let entries = configuration.nodePortAddresses
        if let index = entries.firstIndex(of: "primary") {
            if entries.count > 1 { findings.append((path[index], "\"primary\" must stand alone")) }
        } else {
            checkNetworks(path, entries)
        }
    }

    private mutating func checkNetworks(_ path: FieldPath, _ entries: [String]) {
        for (index, entry) in entries.enumerated() where IPNetwork(lenient: entry) == nil {
            findings.append((path[index], Self.notANetwork(entry)))
        }
    }

    private static func notANetwork(_ text: some StringProtocol) -> String {
        "\(Text.quoted(String(text))) is not a CIDR block such as 10.244.0.0/16"
    }

    private mutating func checkLocalMode() {
        let name = configuration.detectLocalMode
        guard let mode = LocalModeName(rawValue: name) else {
            if !name.isEmpty {
                let names = LocalModeName.allCases.map(\.rawValue).joined(separator: ", ")
                find("detectLocalMode", "\(Text.quoted(name)) is none of \(names)")
            }
            return
        }
        switch mode {
        case .nodeCIDR: break
        case .bridgeInterface:
            checkInterface("detectLocal.bridgeInterface", configuration.detectLocal.bridgeInterface, mode)
        case .interfaceNamePrefix:
            checkInterface(
                "detectLocal.interfaceNamePrefix", configuration.detectLocal.interfaceNamePrefix, mode)
        case .clusterCIDR:
            let texts = configuration.clusterNetworks
            let networks = texts.map { IPNetwork(lenient: $0) }
            for (text, network) in zip(texts, networks) where network == nil {
                find("clusterCIDR", Self.notANetwork(text))
            }
            let families = networks.compactMap { $0?.family }
            if texts.count > 2 || families.count > Set(families).count {
                find("clusterCIDR", "more than one CIDR block of each family")
            }
        }
    }

    /// Names of interfaces: 1 to 15 bytes (`IFNAMSIZ`), no slash and no white space; no quote and no asterisk,
    /// which mean something in an nft script.
    private mutating func checkInterface(_ path: String, _ name: String, _ mode: LocalModeName) {
        if name.isEmpty {
            find(path, "must not be empty in mode \(mode.rawValue)")
        } else if name.utf8.count > 15
            || !name.utf8.allSatisfy({ (33...126).contains($0) && !"/\"*".utf8.contains($0) })
        {
            find(path, "\(Text.quoted(name)) is not a name of an interface")
        }
    }

    private mutating func checkLogging() {
        let logging = configuration.logging
        if !["text", "json"].contains(logging.format) {
            find("logging.format", "\(Text.quoted(logging.format)) is not text or json")
        }
        if logging.verbosity > Int32.max { find("logging.verbosity", "\(logging.verbosity) is too large") }
        if !logging.vmodule.isEmpty, logging.format == "json" {
            find("logging.vmodule", "goes only with the format text")
        }
        for (name, stream) in [("text", logging.text), ("json", logging.json)]
        where !Self.isQuantity(stream.infoBufferSize) {
            find(
                "logging.options.\(name).infoBufferSize",
                "\(Text.quoted(stream.infoBufferSize)) is not a quantity such as 64Ki")
        }
    }

    /// resource.Quantity: a decimal number, with a binary or decimal suffix or an exponent.
    static func isQuantity(_ text: String) -> Bool {
        text.wholeMatch(of: /[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?/) != nil
    }

    /// utilnet.ParsePortRange: nothing, `a`, `a-b`, or `a+count`.
    static func isPortRange(_ text: String) -> Bool {
        if text.isEmpty { return true }
        guard let match = text.wholeMatch(of: /([0-9]+)(?:([-+])([0-9]+))?/), let low = UInt16(match.1) else {
            return false
        }
        guard let sign = match.2, let other = match.3 else { return true }
        guard let second = UInt16(other) else { return false }
        return sign == "+" || second >= low
    }
}

extension KubeProxyConfiguration {
    /// The entries of `clusterCIDR`.
    var clusterNetworks: [String] {
        if clusterCIDR.isEmpty { return [] }
        return clusterCIDR.split(separator: ",", omittingEmptySubsequences: false).map { entry in
            String(entry.filter { $0 != " " })
        }
    }
}
