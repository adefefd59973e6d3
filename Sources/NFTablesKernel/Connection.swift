internal import CNetfilter
public import NFTables
import Netlink

/// What a committed transaction was made of.
public struct CommitSummary: Sendable, Equatable {
    /// Netlink messages, the batch's begin and end among them; 0 when there was nothing to do.
    public let messages: Int
    /// Bytes of the one datagram that carried them.
    public let bytes: Int

    public init(messages: Int, bytes: Int) {
        self.messages = messages
        self.bytes = bytes
    }
}

/// A way to nf_tables in one network namespace: commits transactions and reads tables back.
///
/// The namespace is that of the thread which made the connection. A connection serves one caller at a time.
public final class Connection {
    let socket: NetlinkSocket
    private let buffer = MessageBuffer()
    private var sequence: UInt32 = 1

    /// Opens a connection.
    ///
    /// - Throws: `KernelError.socket` when netlink can't be used. Rights are checked when something is asked for.
    public init() throws(KernelError) {
        socket = try NetlinkSocket()
    }

    /// The number by which the kernel knows who commits: the owner of the tables that are made with
    /// `TableFlags.owner`.
    public var portID: UInt32 { socket.portID }

    // MARK: Writing

    /// Carries out the operations in order as one transaction: all of them are in force when this returns, or none.
    ///
    /// - Throws: `KernelError.refused` with the operations that the kernel named, and nothing is in force;
    ///   `.lost` when the kernel's answer was lost, and what is in force must be read back;
    ///   `.unencodable` or `.socket` when nothing was sent.
    @discardableResult
    public func commit(_ operations: [Operation]) throws(KernelError) -> CommitSummary {
        guard !operations.isEmpty else { return CommitSummary(messages: 0, bytes: 0) }
        let encoder = BatchEncoder(buffer: buffer, firstSequence: sequence)
        for operation in operations { try encoder.append(operation) }
        encoder.finish()
        let first = sequence
        sequence = encoder.nextSequence
        guard encoder.messageCount > 0 else { return CommitSummary(messages: 0, bytes: 0) }
        socket.drain()
        let summary = CommitSummary(messages: encoder.messageCount + 2, bytes: buffer.count)
        defer { buffer.removeAll() }
        try socket.send(buffer.bytes)
        try readAnswers(first: first, encoder: encoder, operations: operations)
        return summary
    }

    /// The kernel has worked the batch off before `send` returned, so its answers are all there.
    private func readAnswers(
        first: UInt32, encoder: BatchEncoder, operations: [Operation]
    ) throws(KernelError) {
        var refusals: [KernelError.Refusal] = []
        var isAcknowledged = false
        while true {
            let datagram: UnsafeRawBufferPointer?
            do throws(KernelError) {
                datagram = try socket.receive(wait: false)
            } catch {
                // ENOBUFS: answers were thrown away. Refusals that did arrive still say that nothing is in force.
                guard refusals.isEmpty else { break }
                throw .lost("the kernel's answer to a transaction was lost: \(error)")
            }
            guard let datagram else { break }
            try NetlinkMessage.forEach(in: datagram) { (message) throws(KernelError) in
                guard message.type == UInt16(NLMSG_ERROR),
                    message.sequence &- first < encoder.nextSequence &- first
                else { return true }
                guard message.errorCode != 0 else {
                    if message.sequence == encoder.acknowledged { isAcknowledged = true }
                    return true
                }
                let operation = encoder.operationIndex(sequence: message.sequence).map { "\(operations[$0])" }
                refusals.append(
                    .init(
                        operation: operation ?? "transaction of \(operations.count) operations",
                        errno: message.errorCode, detail: message.errorText))
                return true
            }
        }
        guard refusals.isEmpty else { throw .refused(refusals) }
        guard isAcknowledged else { throw .lost("the kernel did not acknowledge a transaction") }
    }

    // MARK: Reading

    /// Sends a request and hands each message of its answer to `body`.
    ///
    /// - Parameter attributes: the names that the request is about.
    /// - Returns: false when the objects changed while they were being dumped.
    func request(
        _ type: nf_tables_msg_types, family: Family?, flags: Int32, object: String,
        attributes: [(type: UInt32, value: String)] = [],
        answer body: (NetlinkMessage) throws(KernelError) -> Void
    ) throws(KernelError) -> Bool {
        buffer.removeAll()
        let number = sequence
        sequence &+= 1
        let header = buffer.begin(
            type: UInt16(type.rawValue), family: UInt16(family?.rawValue ?? 0), flags: UInt16(flags),
            sequence: number)
        for attribute in attributes { mnl_attr_put_strz(header, UInt16(attribute.type), attribute.value) }
        buffer.end()
        socket.drain()
        try socket.send(buffer.bytes)
        buffer.removeAll()
        var isDone = false
        var isConsistent = true
        while !isDone {
            guard let datagram = try socket.receive(wait: true) else { continue }
            try NetlinkMessage.forEach(in: datagram) { (message) throws(KernelError) in
                guard message.sequence == number else { return true }
                if message.flags & UInt16(NLM_F_DUMP_INTR) != 0 { isConsistent = false }
                switch Int32(message.type) {
                case NLMSG_DONE:
                    isDone = true
                    if message.errorCode > 0 {
                        throw KernelError.read(object: object, errno: message.errorCode)
                    }
                case NLMSG_ERROR:
                    isDone = true
                    guard message.errorCode == 0 else {
                        throw KernelError.read(object: object, errno: message.errorCode)
                    }
                default:
                    try body(message)
                }
                return true
            }
        }
        return isConsistent
    }
}
