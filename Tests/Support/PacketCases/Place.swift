import ClusterBuilders
public import IPAddressing
public import KubernetesAPI

/// A host of the cluster that all cases are about: pods on the node that is proxied, and what lies around it.
public enum Place: String, Sendable, Hashable, CaseIterable {
    /// Pods on the node.
    case client, a, b, c
    /// A pod on another node, which reaches Services by way of the node: nobody proxies its own.
    case far
    /// The node itself, as client and as an endpoint on the host network.
    case node
    /// A host outside of the cluster, which reaches everything by way of the node.
    case outside

    /// The name that EndpointSlices call the node by.
    public static let nodeName = "node"
    /// The node of `far`.
    public static let otherNodeName = "node-b"
    /// Pods of the node, in the order of their addresses.
    public static let podsOnNode: [Place] = [.client, .a, .b, .c]
    /// Those that serve.
    public static let servers: [Place] = [.a, .b, .c, .far, .node]

    public func address(_ family: AddressFamily) -> IPAddress {
        switch self {
        case .client: Self.pod(family, node: 0, host: 10)
        case .a: Self.pod(family, node: 0, host: 11)
        case .b: Self.pod(family, node: 0, host: 12)
        case .c: Self.pod(family, node: 0, host: 13)
        case .far: Self.pod(family, node: 1, host: 10)
        case .node: Self.onNodesNetwork(family, host: 1)
        case .outside: Self.onNodesNetwork(family, host: 254)
        }
    }

    /// The addresses of the pod `client`, each a client of its own: 0 is its usual one, then 10.244.0.100 … and
    /// fd00:244::1000 …
    public static func client(_ number: Int, _ family: AddressFamily) -> IPAddress {
        let first = family == .ipv4 ? 100 : 0x1000
        return number == 0 ? client.address(family) : pod(family, node: 0, host: first + number - 1)
    }

    /// Another address of the node, which masquerading gives to nobody.
    public static func secondOfNode(_ family: AddressFamily) -> IPAddress {
        onNodesNetwork(family, host: 77)
    }

    /// The bridge's address on the node, where pods are bridged.
    public static func bridge(_ family: AddressFamily) -> IPAddress { pod(family, node: 0, host: 1) }

    /// The pods of the node, and those of both nodes: a network of each family.
    public static let podNetworks = networks(ipv4: 24, ipv6: 64)
    public static let allPodNetworks = networks(ipv4: 16, ipv6: 48)

    private static func networks(ipv4: Int, ipv6: Int) -> [IPNetwork] {
        AddressFamily.allCases.compactMap { family in
            IPNetwork(
                pod(family, node: 0, host: 0), prefixLength: family == .ipv4 ? ipv4 : ipv6)
        }
    }

    /// The Node object of the node.
    public static func nodeObject(zone: String? = nil) -> Node {
        Node(
            name: nodeName, zone: zone, podCIDRs: podNetworks,
            addresses: AddressFamily.allCases.map(Place.node.address))
    }

    /// How many addresses it has besides its usual one.
    public static let clientCount = 4

    /// The host as an endpoint of a Service, with its addresses of both families.
    func endpoints(_ condition: EndpointCondition) -> [EndpointSlice.Endpoint] {
        let on = self == .outside ? nil : self == .far ? Self.otherNodeName : Self.nodeName
        return AddressFamily.allCases.map { .at(address($0), on: on, condition) }
    }

    /// 10.244.<node>.<host>, fd00:244:0:<node>::<host>
    private static func pod(_ family: AddressFamily, node: Int, host: Int) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: 0x0af4_0000 + UInt32(node << 8 + host))
        case .ipv6: IPAddress(high: 0xfd00_0244_0000_0000 + UInt64(node), low: UInt64(host))
        }
    }

    /// 192.168.100.<host>, fd00:100::<host>
    private static func onNodesNetwork(_ family: AddressFamily, host: Int) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: 0xc0a8_6400 + UInt32(host))
        case .ipv6: IPAddress(high: 0xfd00_0100_0000_0000, low: UInt64(host))
        }
    }
}

/// A port of a host that serves.
public struct Server: Sendable, Hashable, CustomStringConvertible {
    public let place: Place
    public let port: UInt16

    /// The ports on which each of `Place.servers` answers, over TCP and UDP.
    public static let ports: [UInt16] = [8080, 9090]

    public init(_ place: Place, _ port: UInt16 = 8080) {
        self.place = place
        self.port = port
    }

    public static let a = Server(.a)
    public static let b = Server(.b)
    public static let c = Server(.c)
    public static let far = Server(.far)
    public static let node = Server(.node)

    public func address(_ family: AddressFamily) -> AddressPort {
        AddressPort(place.address(family), port)
    }

    public var description: String { "\(place):\(port)" }
}

/// What a connection is made over.
public struct Traffic: Sendable, Hashable, CustomStringConvertible {
    public let transport: TransportProtocol
    public let family: AddressFamily

    public init(_ transport: TransportProtocol, _ family: AddressFamily) {
        self.transport = transport
        self.family = family
    }

    public static let all = [TransportProtocol.tcp, .udp].flatMap { transport in
        AddressFamily.allCases.map { Traffic(transport, $0) }
    }
    /// Two that have each transport and each family once, for what differs by neither.
    public static let some = [Traffic(.tcp, .ipv4), Traffic(.udp, .ipv6)]

    public var description: String { "\(transport) over IPv\(family.rawValue)" }
}
