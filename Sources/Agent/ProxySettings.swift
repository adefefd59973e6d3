public import HostNetwork
public import IPAddressing
public import Ruleset

/// What an operator decides about this node's proxy.
public struct ProxySettings: Sendable, Equatable {
    /// How pods of this node are told from others (`detectLocalMode`).
    public enum LocalMode: Sendable, Equatable {
        /// By source address, in the cluster's pod networks (`clusterCIDR`).
        case clusterCIDR([IPNetwork])
        /// By source address, in the Node's own `spec.podCIDRs`.
        case nodeCIDR
        /// By the bridge they come in on.
        case bridgeInterface(String)
        /// By the beginning of the name of the interface they come in on.
        case interfaceNamePrefix(String)
    }

    /// This node's name, as EndpointSlices say it.
    public var nodeName: String
    /// Nil: local pods can't be told.
    public var localMode: LocalMode?
    /// All traffic to cluster IPs is masqueraded.
    public var masqueradeAll: Bool
    public var nodePortAddresses: NodePortAddresses
    /// The Node's primary address of its family, whatever the Node object says (`bindAddress`).
    public var primaryAddress: IPAddress?
    /// Whether `externalIPs` of Services are served (the feature gate `AllowServiceExternalIPs`).
    public var servesExternalIPs: Bool
    /// The bit of the packet mark, 0 to 31, that interface modes use (`masqueradeBit`).
    public var masqueradeBit: Int
    /// How soon after a commit the next may begin, at the least.
    public var minSyncPeriod: Duration
    /// Whether the tables belong to this process alone, where the kernel can do that.
    public var ownsTables: Bool

    public init(
        nodeName: String, localMode: LocalMode? = nil, masqueradeAll: Bool = false,
        nodePortAddresses: NodePortAddresses = .primary, primaryAddress: IPAddress? = nil,
        servesExternalIPs: Bool = true, masqueradeBit: Int = 14, minSyncPeriod: Duration = .zero,
        ownsTables: Bool = false
    ) {
        self.ownsTables = ownsTables
        precondition((0...31).contains(masqueradeBit), "a packet mark has 32 bits")
        self.primaryAddress = primaryAddress
        self.servesExternalIPs = servesExternalIPs
        self.masqueradeBit = masqueradeBit
        self.minSyncPeriod = minSyncPeriod
        self.nodeName = nodeName
        self.localMode = localMode
        self.masqueradeAll = masqueradeAll
        self.nodePortAddresses = nodePortAddresses
    }

    /// What the ruleset needs of it.
    public var ruleset: RulesetSettings {
        let detection: LocalDetection? =
            switch localMode {
            case nil: nil
            case .clusterCIDR, .nodeCIDR: .networks
            case .bridgeInterface(let name): .interface(name: name)
            case .interfaceNamePrefix(let prefix): .interfacePrefix(prefix)
            }
        return RulesetSettings(
            localDetection: detection, masqueradeAll: masqueradeAll,
            masqueradeMark: 1 << UInt32(masqueradeBit))
    }

    /// The Node's addresses, the operator's own word for one first: the first of each family is the primary one.
    func nodeAddresses(_ addresses: [IPAddress]) -> [IPAddress] {
        guard let primaryAddress else { return addresses }
        return [primaryAddress] + addresses
    }

    /// The networks of local pods; the first of each family counts (kube-proxy reads no more).
    func localPods(nodeCIDRs: [IPNetwork]) -> [IPNetwork] {
        let networks: [IPNetwork]
        switch localMode {
        case .clusterCIDR(let own): networks = own
        case .nodeCIDR: networks = nodeCIDRs
        case nil, .bridgeInterface, .interfaceNamePrefix: networks = []
        }
        return AddressFamily.allCases.compactMap { family in networks.first { $0.family == family } }
    }
}
