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

    public init(
        nodeName: String, localMode: LocalMode? = nil, masqueradeAll: Bool = false,
        nodePortAddresses: NodePortAddresses = .primary
    ) {
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
        return RulesetSettings(localDetection: detection, masqueradeAll: masqueradeAll)
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
