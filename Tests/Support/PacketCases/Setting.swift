public import Agent
public import HostNetwork
import IPAddressing

/// What a case is played on: the node's proxy as the operator set it up, and how pods are joined to the node.
public struct Setting: Sendable {
    public var proxy: ProxySettings
    /// The pods of the node share the bridge `cni0`; else each has a link of its own.
    public var isBridged: Bool

    /// The bridge, and how the names of the links begin that lead to pods where they are routed.
    public static let bridge = "cni0"
    public static let podInterfacePrefix = "pod"

    public init(
        _ mode: ProxySettings.LocalMode? = nil, masqueradeAll: Bool = false,
        nodePorts: NodePortAddresses = .primary
    ) {
        proxy = ProxySettings(
            nodeName: Place.nodeName, localMode: mode, masqueradeAll: masqueradeAll,
            nodePortAddresses: nodePorts)
        isBridged = false
    }

    /// Local pods are told by the networks that all pods of the cluster are in.
    public static let clusterCIDR = Setting(.clusterCIDR(Place.allPodNetworks))
    /// By what the Node says.
    public static let nodeCIDR = Setting(.nodeCIDR)
    /// By the names of their links.
    public static let interfaceNamePrefix = Setting(.interfaceNamePrefix(podInterfacePrefix))
    /// By the bridge that they are on.
    public static let bridgeInterface: Setting = {
        var setting = Setting(.bridgeInterface(bridge))
        setting.isBridged = true
        return setting
    }()

    /// What masquerading gives to what is sent to an endpoint: the bridge's address to a pod on it, else the node's.
    func masqueradeAddress(to endpoint: IPAddress) -> IPAddress {
        let isOnBridge = isBridged && Place.podNetworks.contains { $0.contains(endpoint) }
        return isOnBridge ? Place.bridge(endpoint.family) : Place.node.address(endpoint.family)
    }
}
