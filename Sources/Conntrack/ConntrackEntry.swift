public import IPAddressing

/// One tracked connection, as ctnetlink shows it (`nfnetlink_conntrack.h`).
public struct ConntrackEntry: Sendable, Hashable {
    /// The two ends of one direction.
    public struct Tuple: Sendable, Hashable {
        /// Ports are 0 for protocols that have none, such as ICMP.
        public var source: AddressPort
        public var destination: AddressPort

        public init(source: AddressPort, destination: AddressPort) {
            self.source = source
            self.destination = destination
        }
    }

    /// `enum ip_conntrack_status`, as far as Sluice reads it; other bits are kept.
    public struct Status: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Packets were seen in both directions.
        public static let seenReply = Status(rawValue: 1 << 1)
        /// A table that overflows gives up other entries first.
        public static let assured = Status(rawValue: 1 << 2)
        /// The first packet got through.
        public static let confirmed = Status(rawValue: 1 << 3)
        /// The source of the original direction is translated.
        public static let sourceNAT = Status(rawValue: 1 << 4)
        /// The destination of the original direction is translated.
        public static let destinationNAT = Status(rawValue: 1 << 5)
        public static let dying = Status(rawValue: 1 << 9)
    }

    /// Which of several tables in one an entry belongs to (`ct zone`); 0 where nobody set one.
    public struct Zone: Sendable, Hashable {
        /// The direction that the zone counts for; the other one is in zone 0.
        public enum Direction: Sendable, Hashable { case both, original, reply }

        public let number: UInt16
        public let direction: Direction

        public init(_ number: UInt16, _ direction: Direction = .both) {
            self.number = number
            self.direction = direction
        }

        /// The zone of whoever sets none.
        public static let `default` = Zone(0)
    }

    /// IANA protocol number.
    public var transport: UInt8
    /// What the first packet said.
    public var original: Tuple
    /// What an answer says: `reply.source` is where packets go, once translated.
    public var reply: Tuple
    public var status: Status
    public var zone: Zone
    /// The kernel's own number for the entry. It is made of the original tuple and of the place in memory, so an entry
    /// that succeeds another at the same place with the same tuple has its number.
    public var id: UInt32
    /// Seconds that are left; 0 also for an entry whose timeout doesn't run.
    public var timeout: UInt32

    public init(
        transport: UInt8, original: Tuple, reply: Tuple, status: Status = [], zone: Zone = .default,
        id: UInt32 = 0, timeout: UInt32 = 0
    ) {
        self.transport = transport
        self.original = original
        self.reply = reply
        self.status = status
        self.zone = zone
        self.id = id
        self.timeout = timeout
    }

    public var family: AddressFamily { original.destination.address.family }

    /// Whether packets go elsewhere than where the client sent them.
    public var hasTranslatedDestination: Bool { reply.source != original.destination }
}

extension ConntrackEntry: CustomStringConvertible {
    /// `udp 10.0.0.5:4711 > 10.96.0.10:53, reply from 10.0.1.7:53`
    public var description: String {
        let name = TransportProtocol(rawValue: transport).map { "\($0)" } ?? "protocol \(transport)"
        let zone = zone.number == 0 ? "" : ", zone \(zone.number)"
        return "\(name) \(original.source) > \(original.destination), reply from \(reply.source)\(zone)"
    }
}
