public import IPAddressing

/// Decides which UDP entries of connection tracking have outlived what they were made for.
///
/// UDP has no end of connection: as long as a client goes on sending, its entry leads it to the endpoint it was once
/// given, or past all rules to the bare virtual address. Following kube-proxy's reconciler, what counts is whether an
/// endpoint serves, not whether policy would choose it today: a change of policy leaves established flows alone, as it
/// does for TCP.
///
/// A value: compiled with the rules, and handed to whoever cleans up once the rules are in force. Sets are shared as
/// long as nobody changes them, so that a Service's cluster IP, external IPs and node port cost one set together.
public struct UDPCleanup: Sendable, Equatable {
    /// What is served over one address family. What is named nowhere here is let alone.
    public struct Live: Sendable, Equatable {
        /// Cluster IP, external IP or load balancer IP with UDP port → the serving endpoints, all of them, whatever
        /// traffic policy says. With an empty set all entries to the address go: for Services without endpoints, and
        /// for addresses that have just been taken away.
        public var services: [AddressPort: Set<AddressPort>]
        /// UDP node port → the serving endpoints; empty as above.
        public var nodePorts: [UInt16: Set<AddressPort>]
        /// This node's addresses at which node ports are served.
        public var nodeAddresses: Set<IPAddress>

        public init(
            services: [AddressPort: Set<AddressPort>] = [:], nodePorts: [UInt16: Set<AddressPort>] = [:],
            nodeAddresses: Set<IPAddress> = []
        ) {
            self.services = services
            self.nodePorts = nodePorts
            self.nodeAddresses = nodeAddresses
        }

        /// Whether there is nothing that an entry could belong to.
        public var isEmpty: Bool { services.isEmpty && (nodePorts.isEmpty || nodeAddresses.isEmpty) }
    }

    /// What is to become of an entry.
    public enum Decision: Sendable, Hashable {
        /// Not UDP, or not to a service address.
        case unrelated
        /// It leads to a serving endpoint of the very Service port.
        case live
        /// To a service address, and never translated: made before the rules were, or while they were gone.
        case untranslated
        /// It leads to what is no serving endpoint of the Service port, or no longer.
        case stale

        /// Whether the entry is to be deleted.
        public var deletes: Bool { self == .untranslated || self == .stale }
    }

    public var live: [AddressFamily: Live]

    public init(live: [AddressFamily: Live]) { self.live = live }

    /// The families in which there is something to look for.
    public var families: [AddressFamily] {
        AddressFamily.allCases.filter { live[$0].map { !$0.isEmpty } ?? false }
    }

    public func decision(for entry: ConntrackEntry) -> Decision {
        guard entry.transport == TransportProtocol.udp.rawValue,
            let endpoints = endpoints(of: entry.original.destination)
        else { return .unrelated }
        // First, since an endpoint in the host's network may have the very address and port of its Service.
        if endpoints.contains(entry.reply.source) { return .live }
        if entry.hasTranslatedDestination { return .stale }
        // Open vSwitch tracks a packet in zones of its own before the host's rules translate it. Such an entry is as
        // it should be, and access lists hang on it.
        return entry.zone == .default ? .untranslated : .unrelated
    }

    private func endpoints(of destination: AddressPort) -> Set<AddressPort>? {
        guard let live = live[destination.address.family] else { return nil }
        if let endpoints = live.services[destination] { return endpoints }
        guard let endpoints = live.nodePorts[destination.port],
            live.nodeAddresses.contains(destination.address)
        else { return nil }
        return endpoints
    }
}
