public import IPAddressing

/// One direction of a connection.
public struct Tuple: Sendable, Hashable {
    public var `protocol`: TransportProtocol
    public var source: AddressPort
    public var destination: AddressPort

    var reversed: Tuple { Tuple(protocol: `protocol`, source: destination, destination: source) }
}

/// An entry of the conntrack table.
public struct Connection: Sendable, Hashable {
    /// As the first packet had it.
    public internal(set) var original: Tuple
    /// As an answer has it.
    public internal(set) var reply: Tuple
    /// `enum ip_conntrack_status`
    public internal(set) var status: Status

    public struct Status: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let confirmed = Status(rawValue: 1 << 3)
        public static let snat = Status(rawValue: 1 << 4)
        public static let dnat = Status(rawValue: 1 << 5)
        static let snatDone = Status(rawValue: 1 << 7)
        static let dnatDone = Status(rawValue: 1 << 8)
    }

    init(_ packet: Packet) {
        original = Tuple(protocol: packet.protocol, source: packet.source, destination: packet.destination)
        reply = original.reversed
        status = []
    }

    /// The first packet as it leaves.
    var translated: Tuple { reply.reversed }
}

/// The connections by both of their tuples.
struct ConntrackTable: Sendable {
    private var byOriginal: [Tuple: Connection] = [:]
    private var originalOfReply: [Tuple: Tuple] = [:]

    var all: [Connection] { Array(byOriginal.values) }

    func find(_ tuple: Tuple) -> (connection: Connection, isReply: Bool)? {
        if let connection = byOriginal[tuple] { return (connection, false) }
        if let original = originalOfReply[tuple], let connection = byOriginal[original] {
            return (connection, true)
        }
        return nil
    }

    /// True when an answer to a connection so translated could be taken for one to another.
    func isTaken(reply: Tuple) -> Bool { originalOfReply[reply] != nil || byOriginal[reply] != nil }

    mutating func insert(_ connection: Connection) {
        byOriginal[connection.original] = connection
        originalOfReply[connection.reply] = connection.original
    }

    mutating func remove(where condition: (Connection) -> Bool) {
        for connection in byOriginal.values where condition(connection) {
            byOriginal[connection.original] = nil
            originalOfReply[connection.reply] = nil
        }
    }
}
