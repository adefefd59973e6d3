internal import CNetfilter
import Glibc

/// A growing run of netlink messages: the one place that writes to raw message memory.
///
/// libmnl and libnftnl append attributes without looking at the room that is left, so each message begins with
/// `slack` bytes free, more than any message that Sluice or a caller's valid values can fill (64 KiB of nested
/// attributes, and a rule of 128 expressions).
package final class MessageBuffer {
    private var memory: UnsafeMutableRawBufferPointer
    package private(set) var count = 0
    private var open: UnsafeMutablePointer<nlmsghdr>?
    /// Where the message that was closed last begins.
    private var lastOffset = 0

    static let slack = 256 << 10

    /// The most that is kept between transactions.
    private static let keptCapacity = 1 << 20

    package init(capacity: Int = 512 << 10) {
        memory = Self.resized(nil, to: max(capacity, Self.slack))
    }

    deinit { free(memory.baseAddress) }

    private func resize(_ size: Int) { memory = Self.resized(memory.baseAddress, to: size) }

    /// realloc(3) moves the pages of a large buffer elsewhere and copies nothing, so a buffer that grows is never there
    /// twice; and what was never written of it is no memory yet.
    private static func resized(_ start: UnsafeMutableRawPointer?, to size: Int)
        -> UnsafeMutableRawBufferPointer
    {
        guard let start = realloc(start, size) else { preconditionFailure("out of memory") }
        return UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }

    /// What a cold start needed, some 16 MiB, isn't kept: changes are small.
    func removeAll() {
        count = 0
        open = nil
        guard memory.count > Self.keptCapacity else { return }
        resize(Self.keptCapacity)
    }

    /// Begins a message; it ends with `end`, the next `begin`, or the buffer's use.
    func begin(type: UInt16, family: UInt16, flags: UInt16, sequence: UInt32) -> UnsafeMutablePointer<
        nlmsghdr
    > {
        header { nftnl_nlmsg_build_hdr($0, type, family, flags, sequence) }
    }

    func beginBatch(sequence: UInt32) {
        _ = header { nftnl_batch_begin($0, sequence) }
        end()
    }

    func endBatch(sequence: UInt32) {
        _ = header { nftnl_batch_end($0, sequence) }
        end()
    }

    private func header(
        _ build: (UnsafeMutablePointer<CChar>) -> UnsafeMutablePointer<nlmsghdr>?
    ) -> UnsafeMutablePointer<nlmsghdr> {
        end()
        if memory.count - count < Self.slack { grow() }
        guard let start = memory.baseAddress?.advanced(by: count).assumingMemoryBound(to: CChar.self),
            let header = build(start)
        else { preconditionFailure("libnftnl writes a header wherever it is told to") }
        open = header
        return header
    }

    /// Closes the message that was begun last.
    func end() {
        guard let open else { return }
        lastOffset = count
        count += (Int(open.pointee.nlmsg_len) + 3) & ~3
        self.open = nil
        precondition(count <= memory.count, "a message outgrew its slack")
    }

    /// Sets NLM_F_ACK on the message that was closed last.
    func requestAcknowledgement() {
        end()
        let offset = lastOffset + (MemoryLayout.offset(of: \nlmsghdr.nlmsg_flags) ?? 6)
        let flags = memory.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
        memory.storeBytes(of: flags | UInt16(NLM_F_ACK), toByteOffset: offset, as: UInt16.self)
    }

    private func grow() {
        resize(memory.count * 2)
    }
}
