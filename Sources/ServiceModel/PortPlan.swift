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

/// Where connections to a service port can be addressed to.
public struct Frontend: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case clusterIP
        case externalIP
        /// - Parameter sources: who may connect; nil: everybody.
        case loadBalancer(sources: [IPNetwork]?)
        case nodePort
    }

    public let kind: Kind
    /// The address; nil for a node port, which is one of all of the node's addresses that serve such.
    public let address: IPAddress?
    public let port: UInt16
    /// Which endpoints it leads to: all, or those on this node.
    public let policy: Service.TrafficPolicy

    public init(_ kind: Kind, _ address: IPAddress?, port: UInt16, policy: Service.TrafficPolicy = .cluster) {
        self.kind = kind
        self.address = address
        self.port = port
        self.policy = policy
    }

    public var isExternal: Bool { kind != .clusterIP }
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
    public let frontends: [Frontend]
    /// Under Cluster policy.
    public let cluster: Outcome
    /// Under Local policy; the same as `cluster` where no frontend has that policy.
    public let local: Outcome
    /// Seconds of ClientIP affinity; nil for none.
    public let affinityTimeout: UInt32?
    /// Of a UDP port, all endpoints that serve, ready or not, whatever policy says: flows to them may go on.
    public let serving: Set<AddressPort>

    public init(
        id: ServicePortID, family: AddressFamily, frontends: [Frontend], cluster: Outcome,
        local: Outcome? = nil, affinityTimeout: UInt32? = nil, serving: Set<AddressPort> = []
    ) {
        self.serving = serving
        self.id = id
        self.family = family
        self.frontends = frontends
        self.cluster = cluster
        self.local = local ?? cluster
        self.affinityTimeout = affinityTimeout
    }

    /// A port that has cluster IPs only, all under Cluster policy.
    public init(
        id: ServicePortID, family: AddressFamily, addresses: [IPAddress], port: UInt16, outcome: Outcome,
        affinityTimeout: UInt32? = nil
    ) {
        self.init(
            id: id, family: family, frontends: addresses.map { Frontend(.clusterIP, $0, port: port) },
            cluster: outcome, affinityTimeout: affinityTimeout)
    }

    public func outcome(_ policy: Service.TrafficPolicy) -> Outcome { policy == .local ? local : cluster }

    public func hasFrontend(_ policy: Service.TrafficPolicy) -> Bool {
        frontends.contains { $0.policy == policy }
    }
}

/// All that one Service asks of the ruleset.
public struct ServicePlan: Sendable, Hashable {
    public var name: ObjectName
    /// The cluster IPs that this Service holds: their other ports are refused.
    public var clusterIPs: [IPAddress]
    public var ports: [PortPlan]
    /// The port of the server that tells load balancers whether this node has endpoints; nil for none.
    public var healthCheckPort: UInt16?
    /// Ready endpoints on this node, by their addresses of the family that has more: what that server tells.
    public var localEndpoints: Int

    public init(
        name: ObjectName, clusterIPs: [IPAddress] = [], ports: [PortPlan] = [],
        healthCheckPort: UInt16? = nil,
        localEndpoints: Int = 0
    ) {
        self.name = name
        self.clusterIPs = clusterIPs
        self.ports = ports
        self.healthCheckPort = healthCheckPort
        self.localEndpoints = localEndpoints
    }
}
