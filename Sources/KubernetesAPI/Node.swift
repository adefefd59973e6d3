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
    /// It is being deleted (`metadata.deletionTimestamp`), or its taint `ToBeDeletedByClusterAutoscaler`
    /// says that it will be: no new connections should be sent here.
    public var isLeaving: Bool

    public init(
        name: String, zone: String? = nil, podCIDRs: [IPNetwork] = [], addresses: [IPAddress] = [],
        isLeaving: Bool = false
    ) {
        self.name = name
        self.zone = zone
        self.podCIDRs = podCIDRs
        self.addresses = addresses
        self.isLeaving = isLeaving
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
