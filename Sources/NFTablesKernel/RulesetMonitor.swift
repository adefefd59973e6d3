internal import CNetfilter
internal import Dispatch
import Glibc
public import NFTables
package import Netlink
import Synchronization

/// What others did, in one transaction, to tables that are watched.
public struct ForeignChange: Sendable, Equatable {
    /// Whoever did it, as the kernel tells (`NFTA_GEN_PROC_*`).
    public struct Author: Sendable, Hashable, CustomStringConvertible {
        public let processID: UInt32
        /// The name of the thread, at most 15 bytes.
        public let name: String

        public init(processID: UInt32, name: String) {
            self.processID = processID
            self.name = name
        }

        public var description: String { "\(name) (process \(processID))" }
    }

    /// Nil where it isn't known.
    public var author: Author?
    /// What they touched, by table.
    public var parts: [TableID: TableScope] = [:]
    /// More than the parts may be another: a table as a whole was changed, or messages were lost.
    public var isWhole = false
    /// The first of them, as `delete element ip sluice services`.
    public var examples: [String] = []
    /// How many messages the kernel sent of it.
    public var count = 0
    /// By kind of object, as `element`.
    public var kinds: [String: Int] = [:]

    public init() {}

    /// Examples that are kept.
    static var exampleLimit: Int { 3 }
    /// Objects that are remembered one by one: beyond that, all is to be looked at.
    static var partLimit: Int { 1024 }

    public var isEmpty: Bool { count == 0 && !isWhole }

    /// Adds a later change.
    public mutating func formUnion(_ later: ForeignChange) {
        author = later.author ?? author
        for (table, scope) in later.parts { parts[table, default: TableScope()].formUnion(scope) }
        isWhole = isWhole || later.isWhole
        examples = Array((examples + later.examples).prefix(Self.exampleLimit))
        count += later.count
        kinds.merge(later.kinds, uniquingKeysWith: +)
        bound()
    }

    fileprivate mutating func bound() {
        guard parts.values.reduce(0, { $0 + $1.sets.count + $1.chains.count }) > Self.partLimit else {
            return
        }
        parts = [:]
        isWhole = true
    }
}

/// Hears of every change that others make in some tables, at once (`NFNLGRP_NFTABLES`).
///
/// Follows the network namespace of the thread that made it, until nobody holds it any more. Nothing runs while nothing
/// happens, and nothing runs for the changes of the one port that is left out.
public final class RulesetMonitor: Sendable {
    private let source: DispatchSource
    private let socket: Shared

    /// The socket with what was read of it, for the queue and whoever stops it.
    private final class Shared: Sendable {
        let reader: Mutex<Reader>
        init(_ reader: sending Reader) { self.reader = Mutex(reader) }
    }

    /// Bytes of news that may wait to be read: some ten thousand messages.
    private static let receiveBuffer: Int32 = 4 << 20

    /// - Parameters:
    ///   - tables: those to watch.
    ///   - port: whose changes are left out: see `Connection.portID`.
    ///   - changed: called from a queue of its own, once for each transaction.
    /// - Throws: `KernelError.socket` when netlink can't be used.
    public convenience init(
        of tables: [TableID], ignoring port: UInt32, changed: @escaping @Sendable (ForeignChange) -> Void
    ) throws(KernelError) {
        try self.init(of: tables, ignoring: port, receiveBuffer: Self.receiveBuffer, changed: changed)
    }

    package init(
        of tables: [TableID], ignoring port: UInt32, receiveBuffer: Int32,
        changed: @escaping @Sendable (ForeignChange) -> Void
    ) throws(KernelError) {
        let socket = try NetlinkSocket()
        try socket.join(
            group: Int32(NFNLGRP_NFTABLES.rawValue), ignoring: port, receiveBuffer: receiveBuffer)
        let queue = DispatchQueue(label: "ruleset-monitor")
        let descriptor = socket.descriptor
        let shared = Shared(Reader(socket: socket, gatherer: ForeignChangeGatherer(tables, ignoring: port)))
        guard
            let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
                as? DispatchSource
        else { throw .socket(call: "watch", errno: ENOMEM) }
        self.source = source
        self.socket = shared
        source.setEventHandler {
            for change in shared.reader.withLock({ $0.read() }) { changed(change) }
        }
        // The socket lives until no handler can ask it any more.
        source.setCancelHandler { withExtendedLifetime(shared) {} }
        source.activate()
    }

    /// Hears nothing any more. When this returns, the kernel puts nothing together for it: of large transactions, that
    /// would be some kilobytes of memory for each element until they end.
    public func stop() {
        source.cancel()
        socket.reader.withLock { $0.socket.leave(group: Int32(NFNLGRP_NFTABLES.rawValue)) }
    }

    deinit { source.cancel() }

    private struct Reader {
        let socket: NetlinkSocket
        var gatherer: ForeignChangeGatherer
        /// Messages were thrown away, and more may be until the queue was empty once.
        private var isOverflowing = false

        init(socket: NetlinkSocket, gatherer: ForeignChangeGatherer) {
            self.socket = socket
            self.gatherer = gatherer
        }

        /// The end of a transaction, which says whose it was, comes right behind its changes.
        private static let patienceMilliseconds: Int32 = 20
        /// Datagrams read in one go, so that what is found is told.
        private static let readLimit = 1024

        mutating func read() -> [ForeignChange] {
            var changes: [ForeignChange] = []
            for _ in 0..<Self.readLimit {
                do throws(KernelError) {
                    if let datagram = try socket.receive(wait: false) {
                        changes += try gatherer.take(datagram)
                        continue
                    }
                    if isOverflowing {
                        isOverflowing = false
                        changes += gatherer.lost()
                    }
                    guard gatherer.isPending, wait() else { break }
                } catch {
                    changes += gatherer.lost()
                    isOverflowing = true
                    // What can't be read at all will not be by reading on.
                    guard error.errno == ENOBUFS else { break }
                }
            }
            if let rest = gatherer.finish() { changes.append(rest) }
            return changes
        }

        private func wait() -> Bool {
            var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, Self.patienceMilliseconds) > 0
        }
    }
}

/// Puts the kernel's messages of changes together, transaction by transaction.
package struct ForeignChangeGatherer {
    private let tables: Set<TableID>
    private let port: UInt32
    private var pending = ForeignChange()

    package init(_ tables: [TableID], ignoring port: UInt32) {
        self.tables = Set(tables)
        self.port = port
    }

    /// Whether a transaction isn't at its end.
    package var isPending: Bool { !pending.isEmpty }

    /// The changes that end in this datagram.
    package mutating func take(_ datagram: UnsafeRawBufferPointer) throws(KernelError) -> [ForeignChange] {
        var ended: [ForeignChange] = []
        try NetlinkMessage.forEach(in: datagram) { (message) throws(KernelError) in
            guard message.type >> 8 == UInt16(NFNL_SUBSYS_NFTABLES), message.portID != port else {
                return true
            }
            if message.subtype == UInt16(NFT_MSG_NEWGEN.rawValue) {
                if !pending.isEmpty {
                    pending.author = Self.author(message)
                    ended.append(pending)
                    pending = ForeignChange()
                }
            } else {
                note(message)
            }
            return true
        }
        return ended
    }

    /// Messages were thrown away.
    package mutating func lost() -> [ForeignChange] {
        var change = pending
        pending = ForeignChange()
        change.isWhole = true
        return [change]
    }

    /// What there is of a transaction whose end doesn't come.
    package mutating func finish() -> ForeignChange? {
        guard !pending.isEmpty else { return nil }
        defer { pending = ForeignChange() }
        return pending
    }

    private static func author(_ message: NetlinkMessage) -> ForeignChange.Author? {
        var (processID, name): (UInt32?, String?)
        for attribute in Attributes(of: message) {
            switch UInt32(attribute.type) {
            case UInt32(NFTA_GEN_PROC_PID.rawValue): processID = attribute.bigEndian32
            case UInt32(NFTA_GEN_PROC_NAME.rawValue): name = attribute.string
            default: break
            }
        }
        return processID.map { ForeignChange.Author(processID: $0, name: name ?? "?") }
    }

    /// What a message is about; the table's name is the first attribute of all of them.
    private struct Subject {
        let verb: String
        let kind: String
        /// The attribute that names the object, or the one that it is in.
        let name: UInt32

        init?(_ subtype: UInt16) {
            switch nf_tables_msg_types(rawValue: UInt32(subtype)) {
            case NFT_MSG_NEWTABLE: (verb, kind, name) = ("add", "table", NFTA_TABLE_NAME.rawValue)
            case NFT_MSG_DELTABLE: (verb, kind, name) = ("delete", "table", NFTA_TABLE_NAME.rawValue)
            case NFT_MSG_NEWCHAIN: (verb, kind, name) = ("add", "chain", NFTA_CHAIN_NAME.rawValue)
            case NFT_MSG_DELCHAIN: (verb, kind, name) = ("delete", "chain", NFTA_CHAIN_NAME.rawValue)
            case NFT_MSG_NEWRULE: (verb, kind, name) = ("add", "rule", NFTA_RULE_CHAIN.rawValue)
            case NFT_MSG_DELRULE: (verb, kind, name) = ("delete", "rule", NFTA_RULE_CHAIN.rawValue)
            case NFT_MSG_NEWSET: (verb, kind, name) = ("add", "set", NFTA_SET_NAME.rawValue)
            case NFT_MSG_DELSET: (verb, kind, name) = ("delete", "set", NFTA_SET_NAME.rawValue)
            case NFT_MSG_NEWSETELEM: (verb, kind, name) = ("add", "element", NFTA_SET_ELEM_LIST_SET.rawValue)
            case NFT_MSG_DELSETELEM:
                (verb, kind, name) = ("delete", "element", NFTA_SET_ELEM_LIST_SET.rawValue)
            case NFT_MSG_NEWOBJ: (verb, kind, name) = ("add", "object", NFTA_OBJ_NAME.rawValue)
            case NFT_MSG_DELOBJ: (verb, kind, name) = ("delete", "object", NFTA_OBJ_NAME.rawValue)
            case NFT_MSG_NEWFLOWTABLE: (verb, kind, name) = ("add", "flowtable", NFTA_FLOWTABLE_NAME.rawValue)
            case NFT_MSG_DELFLOWTABLE:
                (verb, kind, name) = ("delete", "flowtable", NFTA_FLOWTABLE_NAME.rawValue)
            default: return nil
            }
        }
    }

    private mutating func note(_ message: NetlinkMessage) {
        guard let subject = Subject(message.subtype), let family = Family(rawValue: message.family) else {
            return
        }
        var (tableName, objectName): (String?, String?)
        for attribute in Attributes(of: message) {
            if attribute.type == UInt16(NFTA_TABLE_NAME.rawValue) { tableName = attribute.string }
            if attribute.type == UInt16(subject.name) { objectName = attribute.string }
        }
        guard let tableName else { return }
        let table = TableID(family, tableName)
        guard tables.contains(table) else { return }
        let name = objectName ?? ""
        pending.count += 1
        pending.kinds[subject.kind, default: 0] += 1
        if pending.examples.count < ForeignChange.exampleLimit {
            let object = subject.kind == "table" ? "" : " \(name)"
            pending.examples.append("\(subject.verb) \(subject.kind) \(table)\(object)")
        }
        switch subject.kind {
        case "chain", "rule": pending.parts[table, default: TableScope()].chains.insert(name)
        case "set", "element": pending.parts[table, default: TableScope()].sets.insert(name)
        default: pending.isWhole = true
        }
        pending.bound()
    }
}
