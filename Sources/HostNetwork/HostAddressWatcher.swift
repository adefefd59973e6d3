internal import CNetfilter
import Foundation
import Synchronization

/// This host's usable addresses, whole, at the start and after each change; for one reader.
///
/// While the reader is busy only the newest list is kept. The sequence ends, and its file descriptors are
/// closed, by `cancel`, when the reader's task is cancelled, or when nobody holds it any more. Nothing runs
/// while nothing happens.
public struct HostAddressWatcher: AsyncSequence, Sendable {
    public typealias Element = [HostAddress]
    public typealias Failure = Never

    private let lists: AsyncStream<[HostAddress]>
    private let wakeup: Wakeup

    /// Follows the addresses of the calling thread's network namespace; its first list is read at once.
    ///
    /// - Throws: `HostNetworkError` when the kernel has no socket left or doesn't tell the addresses.
    public init() throws(HostNetworkError) { try self.init(receiveBuffer: nil) }

    /// - Parameter receiveBuffer: bytes of news that wait to be read; nil leaves it to the kernel.
    init(receiveBuffer: Int32?) throws(HostNetworkError) {
        let wakeup = try Wakeup()
        var follower = try AddressFollower(wakeup: wakeup, receiveBuffer: receiveBuffer)
        let first = try follower.read()
        let (lists, continuation) = AsyncStream.makeStream(
            of: [HostAddress].self, bufferingPolicy: .bufferingNewest(1))
        continuation.onTermination = { _ in wakeup.signal() }
        continuation.yield(first)
        self.lists = lists
        self.wakeup = wakeup
        let box = Mutex<AddressFollower?>(follower)
        let thread = Thread {
            Self.run(box.withLock { $0.take() }) { continuation.yield($0) }
            continuation.finish()
        }
        thread.name = "host-addresses"
        thread.start()
    }

    /// The follower's descriptors are closed when this returns.
    private static func run(_ follower: consuming AddressFollower?, _ yield: ([HostAddress]) -> Void) {
        guard var follower else { return }
        while let list = follower.next() { yield(list) }
    }

    public func makeAsyncIterator() -> AsyncStream<[HostAddress]>.Iterator { lists.makeAsyncIterator() }

    /// Ends the sequence, from any thread.
    public func cancel() { wakeup.signal() }
}

/// The watcher's thread: waits for news, then reads the whole list.
struct AddressFollower: ~Copyable {
    private let wakeup: Wakeup
    private let news: RouteSocket
    private var reader: RouteSocket
    private var last: [HostAddress] = []
    /// Milliseconds until the list is read again after a failure; nil when the last reading was good.
    private var retry: Int32?

    /// How long nothing must happen before the list is read, in milliseconds, and how long that may put it
    /// off: a link that comes up brings a few messages.
    static let quietMilliseconds: Int32 = 5
    static let longestDelay = Duration.milliseconds(50)

    init(wakeup: Wakeup, receiveBuffer: Int32? = nil) throws(HostNetworkError) {
        // Links, because an interface can be renamed.
        let groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_LINK
        // Before the first reading, so that no change falls between.
        let news = try RouteSocket(groups: UInt32(groups), receiveBuffer: receiveBuffer)
        let reader = try RouteSocket()
        self.wakeup = wakeup
        self.news = news
        self.reader = reader
    }

    deinit { wakeup.close() }

    mutating func read() throws(HostNetworkError) -> [HostAddress] {
        last = try HostAddresses.read(&reader)
        return last
    }

    /// Waits until the list is another one; nil when woken to end, or when the socket fails for good.
    mutating func next() -> [HostAddress]? {
        while true {
            guard let isNew = wait(milliseconds: retry ?? -1) else { return nil }
            if isNew, !settle() { return nil }
            let before = last
            do throws(HostNetworkError) {
                let list = try read()
                retry = nil
                if list != before { return list }
            } catch {
                // A lack of memory, or a list that never stands still: it is worth another look, less and
                // less often.
                retry = min((retry ?? 50) * 2, 5_000)
            }
        }
    }

    /// Lets a burst pass; false when woken to end.
    private func settle() -> Bool {
        let deadline = ContinuousClock.now + Self.longestDelay
        while ContinuousClock.now < deadline {
            guard let isNew = wait(milliseconds: Self.quietMilliseconds) else { return false }
            if !isNew { break }
        }
        return true
    }

    /// True when there was news, false when the time is up, nil when woken to end.
    private func wait(milliseconds: Int32) -> Bool? {
        var descriptors = [
            pollfd(fd: news.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wakeup.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        let ready = poll(&descriptors, nfds_t(descriptors.count), milliseconds)
        if ready < 0 { return errno == EINTR ? false : nil }
        if descriptors[1].revents != 0 { return nil }
        guard descriptors[0].revents != 0 else { return false }
        // What the messages say doesn't matter, nor whether some were lost: the whole list is read.
        return news.drain() == .failed ? nil : true
    }
}
