import ClusterBuilders
public import IPAddressing

/// An address of the Service that `exposed()` makes, or one that looks like it.
public enum Frontend: Sendable, CaseIterable {
    case clusterIP, loadBalancerIP, externalIP
    case nodePort
    /// The node port at the node's second address, or at loopback.
    case nodePortAtSecond, nodePortAtLoopback
    /// A port that the Service doesn't have, at addresses that are not the cluster's.
    case unservedLoadBalancerPort, unservedExternalPort

    /// Those that external traffic comes to.
    static let external: [Frontend] = [.loadBalancerIP, .externalIP, .nodePort]

    public static let number: UInt8 = 1
    public static let port: UInt16 = 30080

    public func destination(_ family: AddressFamily) -> AddressPort {
        switch self {
        case .clusterIP: AddressPort(VirtualAddress.number(Self.number, family), 80)
        case .loadBalancerIP: AddressPort(VirtualAddress.loadBalancer(Self.number, family), 80)
        case .externalIP: AddressPort(VirtualAddress.external(Self.number, family), 80)
        case .nodePort: AddressPort(Place.node.address(family), Self.port)
        case .nodePortAtSecond: AddressPort(Place.secondOfNode(family), Self.port)
        case .nodePortAtLoopback:
            AddressPort(
                family == .ipv4 ? IPAddress(ipv4: 0x7f00_0001) : IPAddress(high: 0, low: 1), Self.port)
        case .unservedLoadBalancerPort:
            AddressPort(VirtualAddress.loadBalancer(Self.number, family), 81)
        case .unservedExternalPort: AddressPort(VirtualAddress.external(Self.number, family), 81)
        }
    }
}
