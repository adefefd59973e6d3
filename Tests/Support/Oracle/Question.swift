public import IPAddressing

/// The first packet of a connection, as the oracle is asked about it.
public struct Question: Sendable, Hashable {
    /// Who sent it.
    public enum Sender: Sendable, Hashable {
        /// A process of this host.
        case host
        /// Anyone else; the interface that it came in by.
        case interface(String)
    }

    public var sender: Sender
    public var source: IPAddress
    public var destination: AddressPort
    public var transport: TransportProtocol

    public init(
        _ transport: TransportProtocol, _ sender: Sender, from source: IPAddress, to destination: AddressPort
    ) {
        self.transport = transport
        self.sender = sender
        self.source = source
        self.destination = destination
    }
}

/// What has to become of it.
public struct Answer: Sendable, Hashable {
    public enum Fate: Sendable, Hashable {
        /// It reaches one of these, and so do others in turn; never empty.
        case oneOf(Set<AddressPort>)
        /// The sender is told at once.
        case refused
        case dropped
        /// It goes on as it came.
        case untouched
    }

    public var fate: Fate
    /// The endpoints that see this node's address as the source.
    public var masqueraded: Set<AddressPort> = []
    /// Seconds for which the client stays with its endpoint; nil without affinity.
    public var affinityTimeout: UInt32?

    public init(
        _ fate: Fate, masqueraded: Set<AddressPort> = [], affinityTimeout: UInt32? = nil
    ) {
        self.fate = fate
        self.masqueraded = masqueraded
        self.affinityTimeout = affinityTimeout
    }
}
