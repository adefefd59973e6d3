internal import CNetfilter
public import NFTables
import Netlink

/// What tells whether a kernel takes something, and leaves nothing behind.
extension Connection {
    /// Has the kernel look operations through as one transaction and take them back, as `nft --check` does: nothing of
    /// them comes into force. It loads the modules that they need.
    ///
    /// Base chains are put on their hooks for that moment, without rules; leave them out where that matters.
    ///
    /// - Throws: `KernelError.refused` with every operation that the kernel wouldn't take; `.lost`, `.unencodable` or
    ///   `.socket` when there is no telling.
    public func check(_ operations: [Operation]) throws(KernelError) {
        guard !operations.isEmpty else { return }
        let buffer = MessageBuffer()
        let encoder = BatchEncoder(buffer: buffer, firstSequence: Self.trialSequence)
        for operation in operations { try encoder.append(operation) }
        // Without the message that ends a batch, the kernel undoes it.
        buffer.requestAcknowledgement()
        try exchange(buffer, last: encoder.nextSequence &- 1) { number in
            encoder.operationIndex(sequence: number).map { "\(operations[$0])" }
        }
    }

    /// Far from the numbers of `commit` and of requests, so that no late answer is taken for another.
    private static var trialSequence: UInt32 { 1 << 31 }

    /// Sends a batch whose last message asks to be acknowledged, and reads what the kernel says of it.
    private func exchange(
        _ buffer: MessageBuffer, last: UInt32, operation: (UInt32) -> String?
    ) throws(KernelError) {
        socket.drain()
        try socket.send(buffer.bytes)
        var refusals: [KernelError.Refusal] = []
        var isAcknowledged = false
        // The kernel has worked the batch off before `send` returned, so its answers are all there.
        while let datagram = try socket.receive(wait: false) {
            try NetlinkMessage.forEach(in: datagram) { (message) throws(KernelError) in
                guard message.type == UInt16(NLMSG_ERROR), message.sequence >= Self.trialSequence else {
                    return true
                }
                if message.errorCode == 0 {
                    isAcknowledged = isAcknowledged || message.sequence == last
                } else {
                    refusals.append(
                        .init(
                            operation: operation(message.sequence) ?? "transaction",
                            errno: message.errorCode, detail: message.errorText))
                }
                return true
            }
        }
        guard refusals.isEmpty else { throw .refused(refusals) }
        guard isAcknowledged else { throw .lost("the kernel did not acknowledge a transaction") }
    }
}
