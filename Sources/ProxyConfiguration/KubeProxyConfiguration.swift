/// `KubeProxyConfiguration` of `kubeproxy.config.k8s.io/v1alpha1`, with all fields of Kubernetes v1.36.
///
/// As in Kubernetes, a field that isn't set has its type's zero value: "", 0, false, no elements; it is nil only
/// where 0 or false would mean something else. `withDefaults` fills in what an unset field stands for.
public struct KubeProxyConfiguration: Sendable, Equatable {
    public static let apiVersion = "kubeproxy.config.k8s.io/v1alpha1"
    public static let kind = "KubeProxyConfiguration"

    /// How to reach the API server.
    public struct ClientConnection: Sendable, Equatable {
        /// Path of a kubeconfig; empty: the Pod's service account.
        public var kubeconfig = ""
        public var acceptContentTypes = ""
        public var contentType = ""
        /// Requests per second; below 0: no limit.
        public var qps = 0.0
        public var burst: Int32 = 0
    }

    /// `LoggingConfiguration` of component-base.
    public struct Logging: Sendable, Equatable {
        public struct ModuleVerbosity: Sendable, Equatable {
            public var filePattern: String
            public var verbosity: UInt32

            public init(filePattern: String, verbosity: UInt32) {
                self.filePattern = filePattern
                self.verbosity = verbosity
            }
        }

        public struct Stream: Sendable, Equatable {
            public var splitStream = false
            /// A quantity of bytes, as `64Ki`.
            public var infoBufferSize = ""
        }

        /// `text` or `json`.
        public var format = ""
        public var flushFrequency = GoDuration(nanoseconds: 0)
        public var verbosity: UInt32 = 0
        public var vmodule: [ModuleVerbosity] = []
        public var text = Stream()
        public var json = Stream()
    }

    public struct IPTables: Sendable, Equatable {
        /// The bit of the packet mark, 0 to 31.
        public var masqueradeBit: Int32?
        public var masqueradeAll = false
        public var localhostNodePorts: Bool?
        public var syncPeriod = GoDuration(nanoseconds: 0)
        public var minSyncPeriod = GoDuration(nanoseconds: 0)
    }

    public struct IPVS: Sendable, Equatable {
        public var syncPeriod = GoDuration(nanoseconds: 0)
        public var minSyncPeriod = GoDuration(nanoseconds: 0)
        public var scheduler = ""
        public var excludeCIDRs: [String] = []
        public var strictARP = false
        public var tcpTimeout = GoDuration(nanoseconds: 0)
        public var tcpFinTimeout = GoDuration(nanoseconds: 0)
        public var udpTimeout = GoDuration(nanoseconds: 0)
    }

    public struct NFTables: Sendable, Equatable {
        /// The bit of the packet mark, 0 to 31.
        public var masqueradeBit: Int32?
        public var masqueradeAll = false
        public var syncPeriod = GoDuration(nanoseconds: 0)
        public var minSyncPeriod = GoDuration(nanoseconds: 0)
    }

    public struct Winkernel: Sendable, Equatable {
        public var networkName = ""
        public var sourceVip = ""
        public var enableDSR = false
        public var rootHnsEndpointName = ""
        public var forwardHealthCheckVip = false
    }

    public struct DetectLocal: Sendable, Equatable {
        public var bridgeInterface = ""
        public var interfaceNamePrefix = ""
    }

    public struct Conntrack: Sendable, Equatable {
        public var maxPerCore: Int32?
        public var min: Int32?
        public var tcpEstablishedTimeout: GoDuration?
        public var tcpCloseWaitTimeout: GoDuration?
        public var tcpBeLiberal = false
        public var udpTimeout = GoDuration(nanoseconds: 0)
        public var udpStreamTimeout = GoDuration(nanoseconds: 0)
    }

    public var featureGates: [String: Bool] = [:]
    public var clientConnection = ClientConnection()
    public var logging = Logging()
    public var hostnameOverride = ""
    public var bindAddress = ""
    /// `address:port`; empty: the default in a file, no server as a flag. So with `metricsBindAddress`.
    public var healthzBindAddress = ""
    public var metricsBindAddress = ""
    public var bindAddressHardFail = false
    public var enableProfiling = false
    public var showHiddenMetricsForVersion = ""
    /// `iptables`, `ipvs`, `nftables`, or empty, which means `iptables`: whose settings are read.
    public var mode = ""
    public var iptables = IPTables()
    public var ipvs = IPVS()
    public var nftables = NFTables()
    public var winkernel = Winkernel()
    public var detectLocalMode = ""
    public var detectLocal = DetectLocal()
    /// One network, or one of each family with a comma between.
    public var clusterCIDR = ""
    public var nodePortAddresses: [String] = []
    /// -1000 to 1000 (proc(5), `oom_score_adj`).
    public var oomScoreAdj: Int32?
    public var conntrack = Conntrack()
    public var configSyncPeriod = GoDuration(nanoseconds: 0)
    public var portRange = ""
    public var windowsRunAsService = false

    public init() {}
}

extension KubeProxyConfiguration {
    /// The settings that kube-proxy reads from one mode's section or another's: `masqueradeAll` and `masqueradeBit`
    /// from `nftables` in that mode and else from `iptables`, the periods from the mode's own.
    var selected:
        (
            masqueradeBit: Int32?, masqueradeAll: Bool, syncPeriod: GoDuration, minSyncPeriod: GoDuration,
            section: String
        )
    {
        switch mode {
        case "nftables":
            (
                nftables.masqueradeBit, nftables.masqueradeAll, nftables.syncPeriod, nftables.minSyncPeriod,
                "nftables"
            )
        case "ipvs":
            (iptables.masqueradeBit, iptables.masqueradeAll, ipvs.syncPeriod, ipvs.minSyncPeriod, "ipvs")
        default:
            (
                iptables.masqueradeBit, iptables.masqueradeAll, iptables.syncPeriod, iptables.minSyncPeriod,
                "iptables"
            )
        }
    }
}
