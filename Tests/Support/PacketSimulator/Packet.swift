public import IPAddressing

/// The first packet of a connection, or a later one, before any translation.
public struct Packet: Sendable, Hashable {
    public var `protocol`: TransportProtocol
    public var source: AddressPort
    public var destination: AddressPort
    public var origin: Origin
    /// `skb->mark`
    public var mark: UInt32

    public enum Origin: Sendable, Hashable {
        /// It came in by this interface.
        case forwarded(inputInterface: String)
        /// A process of this host sent it.
        case local
    }

    public init(
        _ number: TransportProtocol = .tcp, from source: AddressPort, to destination: AddressPort,
        origin: Origin = .forwarded(inputInterface: "eth0"), mark: UInt32 = 0
    ) {
        self.protocol = number
        self.source = source
        self.destination = destination
        self.origin = origin
        self.mark = mark
    }

    /// Traps on text that is no address: it is written in a test.
    public init(
        _ number: TransportProtocol = .tcp, from source: String, _ sourcePort: UInt16, to destination: String,
        _ port: UInt16, origin: Origin = .forwarded(inputInterface: "eth0")
    ) {
        guard let from = IPAddress(source), let to = IPAddress(destination) else {
            preconditionFailure("\(source) or \(destination) is no address")
        }
        self.init(number, from: AddressPort(from, sourcePort), to: AddressPort(to, port), origin: origin)
    }

    public var family: AddressFamily { destination.address.family }
}

extension Packet: CustomStringConvertible {
    public var description: String {
        let by =
            switch origin {
            case .forwarded(let interface): "by \(interface)"
            case .local: "from this host"
            }
        return "\(`protocol`) \(source) → \(destination) \(by)"
    }
}

/// What the kernel did with a packet.
public enum Fate: Sendable, Hashable {
    public enum Refusal: Sendable, Hashable {
        /// A TCP RST.
        case reset
        /// ICMP type 3 or ICMPv6 type 1 with this code.
        case unreachable(code: UInt8)
    }

    /// It reached an endpoint, translated on the way.
    case delivered(to: AddressPort, source: AddressPort, masqueraded: Bool)
    case refused(Refusal)
    case dropped
    /// It went on with the addresses that it came with.
    case untouched(to: AddressPort, source: AddressPort)
}

extension Fate: CustomStringConvertible {
    public var description: String {
        switch self {
        case .delivered(let to, let source, let masqueraded):
            "delivered to \(to) from \(source)\(masqueraded ? " (masqueraded)" : "")"
        case .refused(.reset): "refused with a TCP reset"
        case .refused(.unreachable(let code)): "refused as unreachable (code \(code))"
        case .dropped: "dropped"
        case .untouched(let to, let source): "untouched, to \(to) from \(source)"
        }
    }
}

/// The node that the packets meet: its addresses and where it routes to.
public struct Node: Sendable {
    public struct Interface: Sendable {
        public var name: String
        public var networks: [IPNetwork]
        /// The interface's own addresses, which masquerading gives to what leaves by it; none: the node's.
        public var addresses: [IPAddress]

        public init(_ name: String, _ networks: [IPNetwork], addresses: [IPAddress] = []) {
            self.name = name
            self.networks = networks
            self.addresses = addresses
        }
    }

    /// What `fib daddr type local` finds, besides loopback and the interfaces' own; masquerading uses the first of the
    /// family where the interface has none.
    public var addresses: [IPAddress]
    /// What lies in none of their networks leaves by the first one.
    public var interfaces: [Interface]

    public init(addresses: [IPAddress], interfaces: [Interface] = [Interface("eth0", [])]) {
        self.addresses = addresses
        self.interfaces = interfaces
    }

    func isLocal(_ address: IPAddress) -> Bool {
        address.isLoopback || addresses.contains(address)
            || interfaces.contains { $0.addresses.contains(address) }
    }

    func outputInterface(for address: IPAddress) -> String {
        if isLocal(address) { return "lo" }
        return interfaces.first { $0.networks.contains { $0.contains(address) } }?.name ?? interfaces.first?
            .name
            ?? "eth0"
    }

    /// The loopback interface is always the first.
    func index(of interface: String) -> UInt32 {
        interface == "lo" ? 1 : UInt32((interfaces.firstIndex { $0.name == interface } ?? 0) + 2)
    }

    func masqueradeAddress(_ family: AddressFamily, by interface: String?) -> IPAddress? {
        let own = interfaces.first { $0.name == interface }?.addresses ?? []
        return (own + addresses).first { $0.family == family }
    }
}
