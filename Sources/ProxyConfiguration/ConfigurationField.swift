import Documents

/// One field of the configuration: where it stands in the file, and where in the value.
///
/// The table of them is what reading, writing and the naming of flags go by, so that none is forgotten in one.
struct ConfigurationField: Sendable {
    typealias Place<Value> = any WritableKeyPath<KubeProxyConfiguration, Value> & Sendable

    enum Access: Sendable {
        case string(Place<String>)
        case bool(Place<Bool>)
        case optionalBool(Place<Bool?>)
        case int32(Place<Int32>)
        case optionalInt32(Place<Int32?>)
        /// A log verbosity: not below 0.
        case verbosity(Place<UInt32>)
        case number(Place<Double>)
        case duration(Place<GoDuration>)
        case optionalDuration(Place<GoDuration?>)
        /// A duration, or a number of nanoseconds.
        case durationOrNanoseconds(Place<GoDuration>)
        /// A resource.Quantity: text, or a bare number.
        case quantity(Place<String>)
        case strings(Place<[String]>)
        case switches(Place<[String: Bool]>)
        case modules(Place<[KubeProxyConfiguration.Logging.ModuleVerbosity]>)
    }

    var path: FieldPath
    var access: Access
    /// `omitempty` in Kubernetes: not written when it has the zero value.
    var isOmittedWhenEmpty = false

    private init(_ path: String, _ access: Access, omitted: Bool = false) {
        self.path = FieldPath(steps: path.split(separator: ".").map { .key(String($0)) })
        self.access = access
        isOmittedWhenEmpty = omitted
    }

    /// All fields but `apiVersion` and `kind`.
    static let all: [ConfigurationField] = [
        .init("featureGates", .switches(\.featureGates), omitted: true),
        .init("clientConnection.kubeconfig", .string(\.clientConnection.kubeconfig)),
        .init("clientConnection.acceptContentTypes", .string(\.clientConnection.acceptContentTypes)),
        .init("clientConnection.contentType", .string(\.clientConnection.contentType)),
        .init("clientConnection.qps", .number(\.clientConnection.qps)),
        .init("clientConnection.burst", .int32(\.clientConnection.burst)),
        .init("logging.format", .string(\.logging.format), omitted: true),
        .init("logging.flushFrequency", .durationOrNanoseconds(\.logging.flushFrequency)),
        .init("logging.verbosity", .verbosity(\.logging.verbosity)),
        .init("logging.vmodule", .modules(\.logging.vmodule), omitted: true),
        .init("logging.options.text.splitStream", .bool(\.logging.text.splitStream), omitted: true),
        .init("logging.options.text.infoBufferSize", .quantity(\.logging.text.infoBufferSize)),
        .init("logging.options.json.splitStream", .bool(\.logging.json.splitStream), omitted: true),
        .init("logging.options.json.infoBufferSize", .quantity(\.logging.json.infoBufferSize)),
        .init("hostnameOverride", .string(\.hostnameOverride)),
        .init("bindAddress", .string(\.bindAddress)),
        .init("healthzBindAddress", .string(\.healthzBindAddress)),
        .init("metricsBindAddress", .string(\.metricsBindAddress)),
        .init("bindAddressHardFail", .bool(\.bindAddressHardFail)),
        .init("enableProfiling", .bool(\.enableProfiling)),
        .init("showHiddenMetricsForVersion", .string(\.showHiddenMetricsForVersion)),
        .init("mode", .string(\.mode)),
        .init("iptables.masqueradeBit", .optionalInt32(\.iptables.masqueradeBit)),
        .init("iptables.masqueradeAll", .bool(\.iptables.masqueradeAll)),
        .init("iptables.localhostNodePorts", .optionalBool(\.iptables.localhostNodePorts)),
        .init("iptables.syncPeriod", .duration(\.iptables.syncPeriod)),
        .init("iptables.minSyncPeriod", .duration(\.iptables.minSyncPeriod)),
        .init("ipvs.syncPeriod", .duration(\.ipvs.syncPeriod)),
        .init("ipvs.minSyncPeriod", .duration(\.ipvs.minSyncPeriod)),
        .init("ipvs.scheduler", .string(\.ipvs.scheduler)),
        .init("ipvs.excludeCIDRs", .strings(\.ipvs.excludeCIDRs)),
        .init("ipvs.strictARP", .bool(\.ipvs.strictARP)),
        .init("ipvs.tcpTimeout", .duration(\.ipvs.tcpTimeout)),
        .init("ipvs.tcpFinTimeout", .duration(\.ipvs.tcpFinTimeout)),
        .init("ipvs.udpTimeout", .duration(\.ipvs.udpTimeout)),
        .init("nftables.masqueradeBit", .optionalInt32(\.nftables.masqueradeBit)),
        .init("nftables.masqueradeAll", .bool(\.nftables.masqueradeAll)),
        .init("nftables.syncPeriod", .duration(\.nftables.syncPeriod)),
        .init("nftables.minSyncPeriod", .duration(\.nftables.minSyncPeriod)),
        .init("winkernel.networkName", .string(\.winkernel.networkName)),
        .init("winkernel.sourceVip", .string(\.winkernel.sourceVip)),
        .init("winkernel.enableDSR", .bool(\.winkernel.enableDSR)),
        .init("winkernel.rootHnsEndpointName", .string(\.winkernel.rootHnsEndpointName)),
        .init("winkernel.forwardHealthCheckVip", .bool(\.winkernel.forwardHealthCheckVip)),
        .init("detectLocalMode", .string(\.detectLocalMode)),
        .init("detectLocal.bridgeInterface", .string(\.detectLocal.bridgeInterface)),
        .init("detectLocal.interfaceNamePrefix", .string(\.detectLocal.interfaceNamePrefix)),
        .init("clusterCIDR", .string(\.clusterCIDR)),
        .init("nodePortAddresses", .strings(\.nodePortAddresses)),
        .init("oomScoreAdj", .optionalInt32(\.oomScoreAdj)),
        .init("conntrack.maxPerCore", .optionalInt32(\.conntrack.maxPerCore)),
        .init("conntrack.min", .optionalInt32(\.conntrack.min)),
        .init("conntrack.tcpEstablishedTimeout", .optionalDuration(\.conntrack.tcpEstablishedTimeout)),
        .init("conntrack.tcpCloseWaitTimeout", .optionalDuration(\.conntrack.tcpCloseWaitTimeout)),
        .init("conntrack.tcpBeLiberal", .bool(\.conntrack.tcpBeLiberal)),
        .init("conntrack.udpTimeout", .duration(\.conntrack.udpTimeout)),
        .init("conntrack.udpStreamTimeout", .duration(\.conntrack.udpStreamTimeout)),
        .init("configSyncPeriod", .duration(\.configSyncPeriod)),
        .init("portRange", .string(\.portRange)),
        .init("windowsRunAsService", .bool(\.windowsRunAsService), omitted: true),
    ]

    /// The field at each path.
    static let byPath: [FieldPath: ConfigurationField] =
        Dictionary(all.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })

    /// The names that may stand in each mapping.
    static let children: [FieldPath: Set<String>] = {
        var children: [FieldPath: Set<String>] = [.root: ["apiVersion", "kind"]]
        for field in all {
            var parent = FieldPath.root
            for case .key(let name) in field.path.steps {
                children[parent, default: []].insert(name)
                parent = parent[name]
            }
        }
        return children
    }()
}
