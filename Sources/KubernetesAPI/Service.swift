public import IPAddressing

/// What Sluice reads of a Service (`v1.Service`), parsed and checked.
public struct Service: Sendable, Equatable {
    /// `spec.type`.
    public enum Kind: String, Sendable {
        case clusterIP = "ClusterIP"
        case nodePort = "NodePort"
        case loadBalancer = "LoadBalancer"
        case externalName = "ExternalName"
    }

    /// `spec.internalTrafficPolicy` and `spec.externalTrafficPolicy`.
    public enum TrafficPolicy: String, Sendable {
        case cluster = "Cluster"
        case local = "Local"
    }

    /// One entry of `spec.ports`.
    public struct Port: Sendable, Hashable {
        /// `name`; empty when the Service has one port without a name.
        public var name: String
        public var transport: TransportProtocol
        /// `port`, 1 to 65535.
        public var port: UInt16
        /// `nodePort`, 1 to 65535; nil when there is none.
        public var nodePort: UInt16?

        public init(
            name: String = "", transport: TransportProtocol = .tcp, port: UInt16,
            nodePort: UInt16? = nil
        ) {
            self.name = name
            self.transport = transport
            self.port = port
            self.nodePort = nodePort
        }
    }

    public var name: ObjectName
    public var kind: Kind
    /// `metadata.creationTimestamp`, seconds since 1970; nil in most manifests.
    public var created: Int64?
    /// True with `clusterIP: None`.
    public var isHeadless: Bool
    /// The label `service.kubernetes.io/service-proxy-name`: another proxy serves this one.
    public var proxyName: String?
    /// `spec.clusterIPs`, or `spec.clusterIP` alone; at most one per family; empty when headless.
    public var clusterIPs: [IPAddress]
    public var ports: [Port]
    /// Seconds of ClientIP affinity (`sessionAffinityConfig.clientIP.timeoutSeconds`, default
    /// 10800); nil when `sessionAffinity` is None.
    public var affinityTimeout: UInt32?
    public var internalTrafficPolicy: TrafficPolicy
    public var externalTrafficPolicy: TrafficPolicy
    public var externalIPs: [IPAddress]
    /// `status.loadBalancer.ingress` entries with an IP and `ipMode` VIP or unset.
    public var loadBalancerIPs: [IPAddress]
    /// `spec.loadBalancerSourceRanges`; nil when the field is empty.
    public var sourceRanges: [IPNetwork]?
    /// `sourceRanges` lacks entries that could not be read.
    public var hasUnreadableSourceRanges = false
    /// `spec.healthCheckNodePort`; nil when 0 or unset.
    public var healthCheckNodePort: UInt16?

    public init(
        name: ObjectName, kind: Kind = .clusterIP, created: Int64? = nil, isHeadless: Bool = false,
        proxyName: String? = nil, clusterIPs: [IPAddress] = [], ports: [Port] = [],
        affinityTimeout: UInt32? = nil, internalTrafficPolicy: TrafficPolicy = .cluster,
        externalTrafficPolicy: TrafficPolicy = .cluster, externalIPs: [IPAddress] = [],
        loadBalancerIPs: [IPAddress] = [], sourceRanges: [IPNetwork]? = nil,
        healthCheckNodePort: UInt16? = nil
    ) {
        self.name = name
        self.kind = kind
        self.created = created
        self.isHeadless = isHeadless
        self.proxyName = proxyName
        self.clusterIPs = clusterIPs
        self.ports = ports
        self.affinityTimeout = affinityTimeout
        self.internalTrafficPolicy = internalTrafficPolicy
        self.externalTrafficPolicy = externalTrafficPolicy
        self.externalIPs = externalIPs
        self.loadBalancerIPs = loadBalancerIPs
        self.sourceRanges = sourceRanges
        self.healthCheckNodePort = healthCheckNodePort
    }
}
