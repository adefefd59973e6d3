import Foundation
import Synchronization
import TestNetwork

/// When transactions of nf_tables came into force in a namespace, told by the kernel.
///
/// The kernel sends NFT_MSG_NEWGEN to the group NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h) at the end of each
/// transaction, just before its acknowledgement. A transaction's other notifications come before.
final class TransactionListener: Sendable {
    private let descriptor: Int32
    private let times = Mutex<[UInt64]>([])
    private let isOver = Mutex(false)
    private let ended = DispatchSemaphore(value: 0)

    /// NETLINK_NETFILTER (linux/netlink.h)
    private static let netfilter: CInt = 12
    private static let group: UInt32 = 7
    /// NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN
    private static let newGeneration: UInt16 = 10 << 8 | 15

    /// Listens from now on. For small transactions: each message is read whole into 64 KiB.
    init(in namespace: Namespace) throws {
        descriptor = try namespace.run {
            let descriptor = socket(
                AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), Self.netfilter)
            guard descriptor >= 0 else {
                throw BenchmarkError("netlink socket: \(String(cString: strerror(errno)))")
            }
            // struct sockaddr_nl (linux/netlink.h), which Swift's module Glibc leaves out: family, padding, an address
            // that the kernel gives, and a bit for each group.
            var address: (UInt16, UInt16, UInt32, UInt32) = (UInt16(AF_NETLINK), 0, 0, 1 << (Self.group - 1))
            let isBound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, 12) == 0 }
            }
            guard isBound else {
                defer { close(descriptor) }
                throw BenchmarkError("NFNLGRP_NFTABLES: \(String(cString: strerror(errno)))")
            }
            var patience = timeval(tv_sec: 0, tv_usec: 200_000)
            setsockopt(
                descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            return descriptor
        }
    }

    deinit { close(descriptor) }

    /// Nanoseconds of CLOCK_MONOTONIC, of all that was heard, in order.
    var heard: [UInt64] { times.withLock { $0 } }

    /// Begins to take down what comes.
    func start() {
        Thread { [self] in
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while !isOver.withLock({ $0 }) {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0 else { continue }
                let now = MonotonicTime.now()
                let transactions = Self.messages(buffer[..<count]).count { $0 == Self.newGeneration }
                times.withLock { $0 += Array(repeating: now, count: transactions) }
            }
            ended.signal()
        }.start()
    }

    /// To be called once, after `start`.
    func stop() {
        isOver.withLock { $0 = true }
        ended.wait()
    }

    /// The types of the messages in a datagram (struct nlmsghdr, host byte order).
    private static func messages(_ bytes: ArraySlice<UInt8>) -> [UInt16] {
        bytes.withUnsafeBytes { bytes in
            var types: [UInt16] = []
            var offset = 0
            while offset + 16 <= bytes.count {
                let length = Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                guard length >= 16 else { break }
                types.append(bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt16.self))
                offset += (length + 3) & ~3
            }
            return types
        }
    }
}

enum MonotonicTime {
    /// Nanoseconds of CLOCK_MONOTONIC, the same clock for all processes.
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
