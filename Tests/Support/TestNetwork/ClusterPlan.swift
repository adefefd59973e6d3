public import IPAddressing

/// What a `TestCluster` is made of. The defaults: one node with a client and three servers, both
/// families, pods routed, an outside host.
public struct ClusterPlan: Sendable {
    /// How a node's pods are joined to it.
    public enum PodNetwork: Sendable, Hashable {
        /// Each pod has a point-to-point link and host routes, as Calico and the `ptp` plugin do.
        case routed
        /// The pods of a node share its bridge `cni0`, as the `bridge` plugin and flannel do;
        /// `hairpin` lets the bridge send a packet out of the port it came in by (`hairpinMode`).
        case bridged(hairpin: Bool)
    }

    /// The pods of each node, by name; the first node is `node`, the next `node-b`, `node-c` …
    public var pods: [[String]]
    public var families: [AddressFamily] = [.ipv4, .ipv6]
    public var podNetwork: PodNetwork = .routed
    /// Adds the host `outside`, joined to the nodes, which reaches everything by way of the first node.
    public var outsideHost = true

    /// Each node takes a /24 and a /64 out of these: 10.244.<node>.0/24, fd00:244:0:<node>::/64. The pods
    /// have the host numbers 10, 11 …
    public var podPrefix: (ipv4: IPAddress, ipv6: IPAddress) = (
        IPAddress(ipv4: 0x0af4_0000), IPAddress(high: 0xfd00_0244_0000_0000, low: 0)
    )
    /// The nodes' network, a /24 and a /64: node number n has host number n (from 1), the outside host 254
    /// (0xfe).
    public var nodePrefix: (ipv4: IPAddress, ipv6: IPAddress) = (
        IPAddress(ipv4: 0xc0a8_6400), IPAddress(high: 0xfd00_0100_0000_0000, low: 0)
    )
    /// Links on a node that lead to pods are called by this and a number from 1. Routed pods only.
    public var podInterfacePrefix = "pod"

    /// A cluster of `pods.count` nodes.
    public init(pods: [[String]] = [["client", "a", "b", "c"]]) { self.pods = pods }

    func podAddress(_ family: AddressFamily, node: Int, pod: Int) -> IPAddress {
        Self.address(family, in: podPrefix, subnet: node, host: 10 + pod)
    }

    /// The bridge's address on a node.
    func bridgeAddress(_ family: AddressFamily, node: Int) -> IPAddress {
        Self.address(family, in: podPrefix, subnet: node, host: 1)
    }

    /// The block that a node's pods are in, e.g. `10.244.0.0/24`; nodes are counted from 0.
    public func podBlock(_ family: AddressFamily, node: Int) -> String {
        "\(Self.address(family, in: podPrefix, subnet: node, host: 0))/\(Self.networkLength(family))"
    }

    func nodeAddress(_ family: AddressFamily, node: Int) -> IPAddress {
        Self.address(family, in: nodePrefix, subnet: 0, host: node + 1)
    }

    func outsideAddress(_ family: AddressFamily) -> IPAddress {
        Self.address(family, in: nodePrefix, subnet: 0, host: 254)
    }

    /// Prefix length of a pod block and of the nodes' network, in bits.
    static func networkLength(_ family: AddressFamily) -> Int { family == .ipv4 ? 24 : 64 }

    private static func address(
        _ family: AddressFamily, in prefix: (ipv4: IPAddress, ipv6: IPAddress), subnet: Int, host: Int
    ) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: UInt32(prefix.ipv4.low) + UInt32(subnet << 8 + host))
        case .ipv6: IPAddress(high: prefix.ipv6.high + UInt64(subnet), low: UInt64(host))
        }
    }
}
