internal import CNetfilter
import Glibc
public import IPAddressing
@_exported public import Netlink

/// Which status bits an entry must have and which it must not.
public struct StatusFilter: Sendable, Hashable {
    /// The bits looked at.
    public let mask: ConntrackEntry.Status
    /// Of these, the ones that must be set; the others must not.
    public let value: ConntrackEntry.Status

    public init(mask: ConntrackEntry.Status, value: ConntrackEntry.Status) {
        self.mask = mask
        self.value = value.intersection(mask)
    }

    func admits(_ status: ConntrackEntry.Status) -> Bool { status.intersection(mask) == value }
}

/// A way to the connection tracking of one network namespace (ctnetlink).
///
/// The namespace is that of the thread which made the connection. A connection serves one caller at a time, and no
/// request can be made on it from within a dump.
public final class ConntrackConnection {
    /// What became of entries that were to be deleted.
    public struct Deletion: Sendable, Equatable {
        public var deleted: Int
        /// Those that had gone before, or that another entry had taken the place of.
        public var gone: Int
        /// Those that the kernel would not delete, and why.
        public var refusals: [KernelError.Refusal]

        public init(deleted: Int = 0, gone: Int = 0, refusals: [KernelError.Refusal] = []) {
            self.deleted = deleted
            self.gone = gone
            self.refusals = refusals
        }
    }

    /// Deletions in one datagram; their answers (36 bytes each, about 1 KiB with the kernel's bookkeeping) fit any
    /// receive buffer.
    static let deletionsAtOnce = 128

    private let socket: NetlinkSocket
    private var writer = RequestWriter()
    private var sequence: UInt32 = 0
    /// Until the kernel says that it doesn't know protocol filters.
    private var canFilter = true

    /// Opens a connection.
    ///
    /// - Throws: `KernelError.socket` when netlink can't be used. Rights are checked when something is asked for.
    public init() throws(KernelError) {
        socket = try NetlinkSocket()
    }

    // MARK: Reading

    /// Hands the entries of a family to `body`, one by one as they arrive; no more than one datagram of them (32 KiB)
    /// is in memory.
    ///
    /// A table that changes meanwhile is never read as of one moment: an entry may be missed, or come twice. Where the
    /// kernel can leave out other protocols (Linux 5.8) and other status bits, it does; what it doesn't is left out
    /// here.
    ///
    /// - Throws: what `body` throws, once the rest of the answer has been thrown away; `KernelError.read` when the
    ///   kernel refuses, `.socket` or `.lost` when the answer doesn't come through.
    public func dump(
        _ family: AddressFamily, protocol transport: TransportProtocol? = nil, status: StatusFilter? = nil,
        _ body: (ConntrackEntry) throws -> Void
    ) throws {
        do {
            try read(family, transport, status, isFiltered: canFilter, body)
        } catch KernelError.read(_, let errno)
            where canFilter && transport != nil && (errno == EOPNOTSUPP || errno == EINVAL)
        {
            // Refused before the first entry: a filter is looked at when the dump starts.
            canFilter = false
            try read(family, transport, status, isFiltered: false, body)
        }
    }

    private func read(
        _ family: AddressFamily, _ transport: TransportProtocol?, _ status: StatusFilter?, isFiltered: Bool,
        _ body: (ConntrackEntry) throws -> Void
    ) throws {
        let number = nextSequence()
        writer.removeAll()
        writer.dump(
            family, protocol: isFiltered ? transport : nil, status: isFiltered ? status : nil,
            sequence: number)
        socket.drain()
        try send()
        let object = "\(transport.map { "\($0) " } ?? "")conntrack entries over IPv\(family.rawValue)"
        var isDone = false
        var failure: (any Error)?
        while !isDone {
            guard let datagram = try socket.receive(wait: true) else { continue }
            try NetlinkMessage.forEach(in: datagram) { (message) throws(KernelError) in
                guard message.sequence == number else { return true }
                switch Int32(message.type) {
                case NLMSG_DONE, NLMSG_ERROR:
                    isDone = true
                    if message.errorCode > 0 { throw .read(object: object, errno: message.errorCode) }
                default:
                    guard failure == nil, let entry = ConntrackEntry(message), entry.family == family,
                        transport.map({ $0.rawValue == entry.transport }) ?? true,
                        status?.admits(entry.status) ?? true
                    else { return true }
                    do { try body(entry) } catch { failure = error }
                }
                return true
            }
            // The kernel goes on with a dump only as it is read, so what is left must be read in order to end it.
            if failure != nil, !isDone {
                socket.drain()
                isDone = true
            }
        }
        if let failure { throw failure }
    }

    // MARK: Deleting

    /// Deletes an entry, and none that has taken its place.
    ///
    /// - Returns: false when it had gone already.
    /// - Throws: `KernelError.refused` when the kernel would not, `.unencodable` for a protocol without ports.
    @discardableResult
    public func delete(_ entry: ConntrackEntry) throws(KernelError) -> Bool {
        let result = try delete([entry])
        guard result.refusals.isEmpty else { throw .refused(result.refusals) }
        return result.deleted > 0
    }

    /// Deletes entries, and none that have taken their places. That some have gone already is no error.
    ///
    /// - Throws: `KernelError.socket` or `.lost` when it is unknown which are deleted; `.unencodable` for a protocol
    ///   without ports, and nothing is deleted.
    public func delete(_ entries: [ConntrackEntry]) throws(KernelError) -> Deletion {
        if let odd = entries.first(where: { TransportProtocol(rawValue: $0.transport) == nil }) {
            throw .unencodable("delete conntrack entry \(odd): only tcp, udp and sctp are told by ports")
        }
        var result = Deletion()
        var rest = entries[...]
        while !rest.isEmpty {
            try deleteAtOnce(rest.prefix(Self.deletionsAtOnce), into: &result)
            rest = rest.dropFirst(Self.deletionsAtOnce)
        }
        return result
    }

    private func deleteAtOnce(
        _ entries: ArraySlice<ConntrackEntry>, into result: inout Deletion
    ) throws(KernelError) {
        writer.removeAll()
        let first = sequence &+ 1
        for entry in entries { writer.delete(entry, sequence: nextSequence()) }
        let errors = try exchange(first: first, count: entries.count)
        for (entry, errno) in zip(entries, errors) {
            switch errno {
            case 0: result.deleted += 1
            case ENOENT: result.gone += 1
            default: result.refusals.append(.init(operation: "delete conntrack entry \(entry)", errno: errno))
            }
        }
    }

    /// Makes an entry: for those who try what a full table costs.
    package func create(_ entries: [ConntrackEntry]) throws(KernelError) {
        writer.removeAll()
        let first = sequence &+ 1
        for entry in entries { writer.create(entry, sequence: nextSequence()) }
        let errors = try exchange(first: first, count: entries.count)
        if let (entry, errno) = zip(entries, errors).first(where: { $0.1 != 0 }) {
            throw .refused([.init(operation: "create conntrack entry \(entry)", errno: errno)])
        }
    }

    /// Sends what is written, which is `count` requests with sequence numbers from `first` on.
    ///
    /// - Returns: each one's errno, 0 for done.
    private func exchange(first: UInt32, count: Int) throws(KernelError) -> [Int32] {
        socket.drain()
        try send()
        var answers = [Int32?](repeating: nil, count: count)
        // The kernel has worked them all off before `send` returned, so the answers are there.
        while let datagram = try socket.receive(wait: false) {
            try NetlinkMessage.forEach(in: datagram) { (message) throws(KernelError) in
                let index = Int(message.sequence &- first)
                if message.type == UInt16(NLMSG_ERROR), index < count { answers[index] = message.errorCode }
                return true
            }
        }
        let errors = answers.compactMap { $0 }
        guard errors.count == count else {
            throw .lost("the kernel answered \(errors.count) of \(count) conntrack requests")
        }
        return errors
    }

    private func send() throws(KernelError) {
        // No closure may throw a typed error through `withUnsafeBytes` of an array.
        let result = writer.bytes.withUnsafeBytes { bytes in
            Result { () throws(KernelError) in try socket.send(bytes) }
        }
        try result.get()
    }

    private func nextSequence() -> UInt32 {
        sequence &+= 1
        return sequence
    }
}
