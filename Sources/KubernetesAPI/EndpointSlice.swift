public import IPAddressing

/// What Sluice reads of an EndpointSlice (`discovery.k8s.io/v1`), parsed and checked.
///
/// The old `Endpoints` kind becomes one of these per subset and family.
public struct EndpointSlice: Sendable, Equatable {
    /// One entry of `endpoints` (its first address).
    public struct Endpoint: Sendable, Hashable {
        public var address: IPAddress
        /// `conditions.ready`, true when nil.
        public var isReady: Bool
        /// `conditions.serving`, true when nil.
        public var isServing: Bool
        /// `conditions.terminating`, false when nil.
        public var isTerminating: Bool
        /// `nodeName` and `hints`.
        public var placement: Placement

        public init(
            address: IPAddress, isReady: Bool = true, isServing: Bool = true,
            isTerminating: Bool = false, placement: Placement
        ) {
            self.address = address
            self.isReady = isReady
            self.isServing = isServing
            self.isTerminating = isTerminating
            self.placement = placement
        }

        /// An endpoint with a placement of its own.
        public init(
            address: IPAddress, isReady: Bool = true, isServing: Bool = true,
            isTerminating: Bool = false, nodeName: String? = nil, zoneHints: [String] = [],
            nodeHints: [String] = []
        ) {
            self.init(
                address: address, isReady: isReady, isServing: isServing, isTerminating: isTerminating,
                placement: Placement(nodeName: nodeName, zoneHints: zoneHints, nodeHints: nodeHints))
        }

        public var nodeName: String? {
            get { placement.nodeName }
            set { placement = Placement(nodeName: newValue, zoneHints: zoneHints, nodeHints: nodeHints) }
        }

        public var zoneHints: [String] {
            get { placement.zoneHints }
            set { placement = Placement(nodeName: nodeName, zoneHints: newValue, nodeHints: nodeHints) }
        }

        public var nodeHints: [String] {
            get { placement.nodeHints }
            set { placement = Placement(nodeName: nodeName, zoneHints: zoneHints, nodeHints: newValue) }
        }
    }

    /// One entry of `ports`; entries without a name or with a nil or zero port are left out.
    public struct Port: Sendable, Hashable {
        public var name: String
        public var transport: TransportProtocol
        public var port: UInt16

        public init(name: String = "", transport: TransportProtocol = .tcp, port: UInt16) {
            self.name = name
            self.transport = transport
            self.port = port
        }
    }

    public var name: ObjectName
    /// The Service of the label `kubernetes.io/service-name`, in the slice's own namespace.
    public var service: ObjectName
    public var family: AddressFamily
    public var endpoints: [Endpoint]
    public var ports: [Port]

    public init(
        name: ObjectName, service: ObjectName, family: AddressFamily, endpoints: [Endpoint] = [],
        ports: [Port] = []
    ) {
        self.name = name
        self.service = service
        self.family = family
        self.endpoints = endpoints
        self.ports = ports
    }
}
