public import IPAddressing
public import KubernetesAPI

/// Which of a Service's ports something belongs to.
public struct ServicePortID: Sendable, Hashable, Comparable {
    public let service: ObjectName
    public let transport: TransportProtocol
    /// The port's name; empty for the only port of a Service.
    public let port: String

    public init(service: ObjectName, transport: TransportProtocol, port: String) {
        self.service = service
        self.transport = transport
        self.port = port
    }

    public static func < (a: Self, b: Self) -> Bool {
        (a.service, a.transport, a.port) < (b.service, b.transport, b.port)
    }
}

extension ServicePortID: CustomStringConvertible {
    /// `default/web:http`
    public var description: String { port.isEmpty ? "\(service)" : "\(service):\(port)" }
}

/// A member of a pool.
public struct PoolEndpoint: Sendable, Hashable {
    public let target: AddressPort
    /// It may be on this node, so that it can be sent to itself: on this node, or on none that its slice names.
    public let isHairpin: Bool

    public init(_ target: AddressPort, isHairpin: Bool) {
        self.target = target
        self.isHairpin = isHairpin
    }
}

/// What becomes of the connections to one service port, in one address family.
public struct PortPlan: Sendable, Hashable {
    public enum Outcome: Sendable, Hashable {
        /// To these in turn; at least one, in no particular order, each address and port once.
        case endpoints([PoolEndpoint])
        /// Refused at once: there is no usable endpoint anywhere.
        case refuse
        /// Dropped: there are usable endpoints, and the traffic policy allows none of them.
        case drop
    }

    public let id: ServicePortID
    public let family: AddressFamily
    /// The virtual addresses.
    public let addresses: [IPAddress]
    public let port: UInt16
    public let outcome: Outcome
    /// Seconds of ClientIP affinity; nil for none.
    public let affinityTimeout: UInt32?

    public init(
        id: ServicePortID, family: AddressFamily, addresses: [IPAddress], port: UInt16, outcome: Outcome,
        affinityTimeout: UInt32? = nil
    ) {
        self.id = id
        self.family = family
        self.addresses = addresses
        self.port = port
        self.outcome = outcome
        self.affinityTimeout = affinityTimeout
    }
}

/// All that one Service asks of the ruleset.
public struct ServicePlan: Sendable, Hashable {
    public var name: ObjectName
    /// The cluster IPs that this Service holds: their other ports are refused.
    public var clusterIPs: [IPAddress]
    public var ports: [PortPlan]

    public init(name: ObjectName, clusterIPs: [IPAddress] = [], ports: [PortPlan] = []) {
        self.name = name
        self.clusterIPs = clusterIPs
        self.ports = ports
    }
}
