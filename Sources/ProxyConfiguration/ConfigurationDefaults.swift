import IPAddressing

extension KubeProxyConfiguration {
    /// What an unset field stands for: kube-proxy's own defaults (pkg/proxy/apis/config/v1alpha1, v1.36), with one
    /// exception: `minSyncPeriod` stays 0 s. kube-proxy waits for a second after each sync, since its syncs are
    /// long; Sluice paces itself by what its commits take.
    public func withDefaults() -> Self {
        var result = self
        result.setDefault(\.bindAddress, "0.0.0.0")
        let isIPv4 = IPAddress(lenient: result.bindAddress)?.family == .ipv4
        result.setAddress(\.healthzBindAddress, isIPv4 ? "0.0.0.0" : "[::]", Self.healthzPort)
        result.setAddress(\.metricsBindAddress, isIPv4 ? "127.0.0.1" : "[::1]", Self.metricsPort)
        result.oomScoreAdj = oomScoreAdj ?? -999
        result.iptables.masqueradeBit = iptables.masqueradeBit ?? 14
        result.nftables.masqueradeBit = nftables.masqueradeBit ?? 14
        result.setDefault(\.iptables.syncPeriod, .seconds(30))
        result.setDefault(\.ipvs.syncPeriod, .seconds(30))
        result.setDefault(\.nftables.syncPeriod, .seconds(30))
        result.conntrack.maxPerCore = conntrack.maxPerCore ?? 32 << 10
        result.conntrack.min = conntrack.min ?? 128 << 10
        result.conntrack.tcpEstablishedTimeout = conntrack.tcpEstablishedTimeout ?? .seconds(86_400)
        result.conntrack.tcpCloseWaitTimeout = conntrack.tcpCloseWaitTimeout ?? .seconds(3_600)
        result.setDefault(\.configSyncPeriod, .seconds(900))
        result.setDefault(\.clientConnection.contentType, "application/vnd.kubernetes.protobuf")
        if clientConnection.qps == 0 { result.clientConnection.qps = 5 }
        if clientConnection.burst == 0 { result.clientConnection.burst = 10 }
        result.setDefault(\.logging.format, "text")
        result.setDefault(\.logging.flushFrequency, .seconds(5))
        result.setDefault(\.logging.text.infoBufferSize, "0")
        result.setDefault(\.logging.json.infoBufferSize, "0")
        return result
    }

    /// What kube-proxy decides by platform once all is read, as it is with Sluice: node ports on the Node's own
    /// addresses in every mode, and never on loopback.
    public func withPlatformDefaults() -> Self {
        var result = self
        result.setDefault(\.detectLocalMode, LocalModeName.clusterCIDR.rawValue)
        if result.nodePortAddresses.isEmpty { result.nodePortAddresses = ["primary"] }
        result.iptables.localhostNodePorts = iptables.localhostNodePorts ?? false
        return result
    }

    static let healthzPort: UInt16 = 10256
    static let metricsPort: UInt16 = 10249

    private mutating func setDefault(_ place: WritableKeyPath<Self, String>, _ value: String) {
        if self[keyPath: place].isEmpty { self[keyPath: place] = value }
    }

    private mutating func setDefault(_ place: WritableKeyPath<Self, GoDuration>, _ value: GoDuration) {
        if self[keyPath: place].nanoseconds == 0 { self[keyPath: place] = value }
    }

    private mutating func setAddress(
        _ place: WritableKeyPath<Self, String>, _ host: String, _ port: UInt16
    ) {
        let given = self[keyPath: place]
        self[keyPath: place] =
            given.isEmpty ? "\(host):\(port)" : AddressPort.text(given, defaultPort: port)
    }
}

extension AddressPort {
    /// `text` with a port, where it is an address without one; anything else as it is.
    static func text(_ text: String, defaultPort port: UInt16) -> String {
        IPAddress(lenient: text).map { AddressPort($0, port).description } ?? text
    }
}

extension GoDuration {
    static func seconds(_ count: Int64) -> GoDuration { GoDuration(.seconds(count)) }
}

/// `detectLocalMode`.
enum LocalModeName: String, CaseIterable {
    case clusterCIDR = "ClusterCIDR"
    case nodeCIDR = "NodeCIDR"
    case bridgeInterface = "BridgeInterface"
    case interfaceNamePrefix = "InterfaceNamePrefix"
}
