public import IPAddressing

/// What Sluice reads of a Node (`v1.Node`).
public struct Node: Sendable, Equatable {
    public var name: String
    /// The label `topology.kubernetes.io/zone`.
    public var zone: String?
    /// `spec.podCIDRs`, or `spec.podCIDR` alone.
    public var podCIDRs: [IPNetwork]
    /// `status.addresses` of type InternalIP, then ExternalIP.
    public var addresses: [IPAddress]
    /// It has a `metadata.deletionTimestamp`.
    public var isBeingDeleted: Bool
    /// It carries a taint `ToBeDeletedByClusterAutoscaler`, whatever its value and effect.
    public var isToBeDeletedByAutoscaler: Bool

    /// The key of that taint.
    public static let autoscalerTaint = "ToBeDeletedByClusterAutoscaler"

    /// Whether load balancers may send traffic by this node: it isn't about to go (statement 24).
    public var isEligible: Bool { !isBeingDeleted && !isToBeDeletedByAutoscaler }

    public init(
        name: String, zone: String? = nil, podCIDRs: [IPNetwork] = [], addresses: [IPAddress] = [],
        isBeingDeleted: Bool = false, isToBeDeletedByAutoscaler: Bool = false
    ) {
        self.isBeingDeleted = isBeingDeleted
        self.isToBeDeletedByAutoscaler = isToBeDeletedByAutoscaler
        self.name = name
        self.zone = zone
        self.podCIDRs = podCIDRs
        self.addresses = addresses
    }
}

/// What Sluice reads of a ServiceCIDR (`networking.k8s.io/v1`).
public struct ServiceCIDR: Sendable, Equatable {
    public var name: String
    /// `spec.cidrs`.
    public var networks: [IPNetwork]

    public init(name: String, networks: [IPNetwork]) {
        self.name = name
        self.networks = networks
    }
}
