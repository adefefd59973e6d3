public import Agent
import Documents
import Foundation
public import HostNetwork
public import IPAddressing

/// All that the agent needs to know from its operator: the configuration file or the flags, with defaults, checked,
/// and in the agent's own types.
public struct AgentConfiguration: Sendable, Equatable {
    /// How to reach the API server.
    public struct Client: Sendable, Equatable {
        /// Path of a kubeconfig; nil: the Pod's service account.
        public var kubeconfig: String?
        /// The API server's URL, instead of the kubeconfig's (`--master`).
        public var master: String?
        /// Requests per second; nil: no limit.
        public var qps: Double?
        /// Requests that may be sent at once.
        public var burst: Int
        /// Media type of what is sent (`contentType`).
        public var contentType: String
        /// Media types that are asked for; empty: `contentType`'s.
        public var acceptContentTypes: String
    }

    public struct Logging: Sendable, Equatable {
        public enum Format: String, Sendable, CaseIterable {
            case text
            case json
        }

        public var format: Format
        /// As klog's `-v`: 0 is the least, from 4 on it is for debugging.
        public var verbosity: Int
    }

    /// Flags that go with a file, and before it.
    public struct Overrides: Sendable, Equatable {
        /// `--master`.
        public var master: String?
        /// `--hostname-override`; goes before the file's.
        public var hostname: String?
        /// `--logging-format`, `-v`; go before the file's.
        public var logFormat: Logging.Format?
        public var verbosity: Int?

        public init(
            master: String? = nil, hostname: String? = nil, logFormat: Logging.Format? = nil,
            verbosity: Int? = nil
        ) {
            self.master = master
            self.hostname = hostname
            self.logFormat = logFormat
            self.verbosity = verbosity
        }
    }

    public var proxy: ProxySettings
    public var client: Client
    /// Nil: no such server. So with `metricsAddress`.
    public var healthzAddress: AddressPort?
    public var metricsAddress: AddressPort?
    /// A port that can't be bound ends the agent.
    public var bindAddressHardFail: Bool
    public var conntrack: ConntrackSettings
    /// -1000 to 1000 (proc(5), `oom_score_adj`).
    public var oomScoreAdjustment: Int
    /// How often all is checked; twice that long, an update may be pending before the agent counts as unhealthy.
    public var syncPeriod: Duration
    /// How often a source must give its word anew.
    public var configSyncPeriod: Duration
    public var logging: Logging
    public var enableProfiling: Bool
    public var featureGates: [String: Bool]
    /// The configuration with all defaults, as `--write-config-to` writes it and `/configz` shows it.
    public var effective: KubeProxyConfiguration
    public var notices: [ConfigurationNotice]

    /// What follows from a configuration.
    ///
    /// - Parameters:
    ///   - given: as it was read, without defaults.
    ///   - disabledServers: the fields, `healthzBindAddress` or `metricsBindAddress`, whose servers a flag turned
    ///     off: no file can say so.
    ///   - hostName: the machine's; asked for when nothing says the node's name.
    /// - Throws: `ConfigurationError` with all that is wrong, fields by their paths.
    public init(
        _ given: KubeProxyConfiguration, overrides: Overrides = Overrides(),
        disabledServers: Set<String> = [],
        hostName: () -> String = AgentConfiguration.machineName
    ) throws(ConfigurationError) {
        var effective = given.withDefaults().withPlatformDefaults()
        if let format = overrides.logFormat { effective.logging.format = format.rawValue }
        if let verbosity = overrides.verbosity { effective.logging.verbosity = UInt32(clamping: verbosity) }
        if disabledServers.contains("healthzBindAddress") { effective.healthzBindAddress = "" }
        if disabledServers.contains("metricsBindAddress") { effective.metricsBindAddress = "" }
        var problems = ConfigurationValidation.findings(in: effective).map { path, message in
            ConfigurationProblem(field: path.description, message: message)
        }
        let name = Self.nodeName(overrides.hostname ?? "", effective.hostnameOverride, hostName)
        if name.isEmpty { problems.append(ConfigurationProblem(field: "hostnameOverride", message: "empty")) }
        guard problems.isEmpty, let nodePorts = try? NodePortAddresses.parse(effective.nodePortAddresses)
        else {
            throw ConfigurationError(problems)
        }
        if overrides.hostname?.isEmpty == false { effective.hostnameOverride = name }
        proxy = ProxySettings(
            nodeName: name, localMode: effective.localMode, masqueradeAll: effective.selected.masqueradeAll,
            nodePortAddresses: nodePorts, primaryAddress: effective.primaryAddress,
            servesExternalIPs: effective.featureGates[Self.externalIPsGate] ?? true,
            masqueradeBit: Int(effective.selected.masqueradeBit ?? 14),
            minSyncPeriod: effective.selected.minSyncPeriod.duration)
        client = Client(effective.clientConnection, master: overrides.master)
        healthzAddress = AddressPort(effective.healthzBindAddress)
        metricsAddress = AddressPort(effective.metricsBindAddress)
        bindAddressHardFail = effective.bindAddressHardFail
        conntrack = ConntrackSettings(effective.conntrack)
        oomScoreAdjustment = Int(effective.oomScoreAdj ?? 0)
        syncPeriod = effective.selected.syncPeriod.duration
        configSyncPeriod = effective.configSyncPeriod.duration
        logging = Logging(
            format: Logging.Format(rawValue: effective.logging.format) ?? .text,
            verbosity: Int(effective.logging.verbosity))
        enableProfiling = effective.enableProfiling
        featureGates = effective.featureGates
        notices = ConfigurationNotices.notices(on: given)
        self.effective = effective
    }

    /// The one of kube-proxy's feature gates that says something here; on by default, as in v1.36.
    static let externalIPsGate = "AllowServiceExternalIPs"

    /// The host's name, as the kernel has it.
    @Sendable public static func machineName() -> String { ProcessInfo.processInfo.hostName }

    /// Node names are lower case, and white space around them doesn't count (kube-proxy's GetHostname). A flag
    /// without a value is no flag: so reads a variable that isn't set.
    private static func nodeName(_ flag: String, _ field: String, _ hostName: () -> String) -> String {
        let name = !flag.isEmpty ? flag : !field.isEmpty ? field : hostName()
        return name.trimmingCharacters(in: .whitespacesAndNewlines).lowercased()
    }
}

extension AgentConfiguration.Client {
    fileprivate init(_ client: KubeProxyConfiguration.ClientConnection, master: String?) {
        kubeconfig = client.kubeconfig.isEmpty ? nil : client.kubeconfig
        self.master = master.flatMap { $0.isEmpty ? nil : $0 }
        // A limit below 0 is none, as in client-go.
        qps = client.qps > 0 ? client.qps : nil
        burst = Int(client.burst)
        contentType = client.contentType
        acceptContentTypes = client.acceptContentTypes
    }
}

extension ConntrackSettings {
    fileprivate init(_ settings: KubeProxyConfiguration.Conntrack) {
        self.init(
            maxPerCore: Int(settings.maxPerCore ?? 0), min: Int(settings.min ?? 0),
            tcpEstablishedTimeout: settings.tcpEstablishedTimeout?.duration,
            tcpCloseWaitTimeout: settings.tcpCloseWaitTimeout?.duration, tcpBeLiberal: settings.tcpBeLiberal,
            udpTimeout: settings.udpTimeout.duration, udpStreamTimeout: settings.udpStreamTimeout.duration)
    }
}

extension KubeProxyConfiguration {
    /// Of a configuration that was checked.
    fileprivate var localMode: ProxySettings.LocalMode? {
        switch LocalModeName(rawValue: detectLocalMode) {
        case nil: return nil
        case .nodeCIDR: return .nodeCIDR
        case .bridgeInterface: return .bridgeInterface(detectLocal.bridgeInterface)
        case .interfaceNamePrefix: return .interfaceNamePrefix(detectLocal.interfaceNamePrefix)
        case .clusterCIDR:
            let networks = clusterNetworks.compactMap { IPNetwork(lenient: $0) }
            return networks.isEmpty ? nil : .clusterCIDR(networks)
        }
    }

    /// `bindAddress`, where it names one: "Overrides kube-proxy's idea of what its node's primary IP is".
    fileprivate var primaryAddress: IPAddress? {
        IPAddress(lenient: bindAddress).flatMap { $0.isUnspecified ? nil : $0 }
    }
}
