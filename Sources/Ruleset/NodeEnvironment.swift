public import IPAddressing

/// How the packets of pods on this node are told from others (`detectLocalMode`).
public enum LocalDetection: Sendable, Hashable {
    /// By source address, in the networks of `NodeEnvironment.localPods`: ClusterCIDR and NodeCIDR.
    case networks
    /// By the interface they come in on: BridgeInterface.
    case interface(name: String)
    /// By the beginning of that interface's name: InterfaceNamePrefix.
    case interfacePrefix(String)
}

/// What is decided once, when the agent starts.
public struct RulesetSettings: Sendable, Hashable {
    /// Nil: there is no telling.
    public var localDetection: LocalDetection?
    /// All traffic to cluster IPs is masqueraded.
    public var masqueradeAll: Bool
    /// The packet mark bit that says "masquerade", used only where local pods are told by their interface: which
    /// interface a packet came in on is not known where it is masqueraded (`masqueradeBit`).
    public var masqueradeMark: UInt32

    public init(
        localDetection: LocalDetection? = nil, masqueradeAll: Bool = false, masqueradeMark: UInt32 = 1 << 14
    ) {
        self.localDetection = localDetection
        self.masqueradeAll = masqueradeAll
        self.masqueradeMark = masqueradeMark
    }
}

/// What the rules depend on beside Services, and what may change while the agent runs.
public struct NodeEnvironment: Sendable, Hashable {
    /// Networks that Services' cluster IPs come from: what no Service has there is dropped.
    public var serviceNetworks: [IPNetwork]
    /// Networks of local pods, where they are told by their address.
    public var localPods: [IPNetwork]
    /// The node's addresses that serve node ports.
    public var nodePortAddresses: [IPAddress]

    public init(
        serviceNetworks: [IPNetwork] = [], localPods: [IPNetwork] = [], nodePortAddresses: [IPAddress] = []
    ) {
        self.serviceNetworks = serviceNetworks
        self.localPods = localPods
        self.nodePortAddresses = nodePortAddresses
    }
}
