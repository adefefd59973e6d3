import Foundation
import IPAddressing
import TestNetwork
import Testing

@testable import HostNetwork

/// Addresses as the kernel tells them, in namespaces of the tests' own.
@Suite(
    "Host addresses", .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)),
    .serialized, .timeLimit(.minutes(1)))
struct HostAddressTests {
    let namespace: Namespace

    init() throws {
        namespace = try Namespace("host")
        // No link-local addresses of their own accord: the tests say what there is.
        try namespace.setSysctls(["ipv6/conf/default/addr_gen_mode": "1"])
        try ip("link add eth0 type veth peer name eth1", "link set eth0 up", "link set eth1 up")
    }

    /// Runs `ip` commands, one a line without the word `ip`.
    private func ip(_ lines: String...) throws { try ip(lines) }

    private func ip(_ lines: [String]) throws {
        try namespace.command("ip", "-batch", "-", input: lines.map { $0 + "\n" }.joined())
    }

    private func read(includingTentative: Bool = false) throws -> [HostAddress] {
        try namespace.run { try HostAddresses.read(includingTentative: includingTentative) }
    }

    /// `eth0 192.0.2.1/24`
    private func texts(_ list: [HostAddress]) -> [String] {
        list.map { "\($0.interfaceName) \($0.address)/\($0.prefixLength)" }
    }

    private let loopback = ["lo 127.0.0.1/8", "lo ::1/128"]

    @Test("both families are read with interface, prefix and scope, sorted")
    func reading() throws {
        try ip("address add 192.0.2.1/24 dev eth0 label eth0:web")
        try ip("address add 169.254.3.3/16 scope link dev eth0")
        try ip("address add 2001:db8::1/64 dev eth0 nodad")
        try ip("address add fe80::7/64 dev eth0 nodad")
        let list = try read()
        #expect(
            texts(list) == [
                "lo 127.0.0.1/8", "eth0 169.254.3.3/16", "eth0 192.0.2.1/24", "lo ::1/128",
                "eth0 2001:db8::1/64", "eth0 fe80::7/64",
            ])
        #expect(list.map(\.scope) == [.host, .link, .global, .host, .global, .link])
        #expect(list.allSatisfy { !$0.isTentative && !$0.isDeprecated })
        let index = try namespace.command("ip", "-o", "link", "show", "eth0").prefix { $0 != ":" }
        #expect(list[2].interfaceIndex == UInt32(index))
    }

    @Test("of a point-to-point link the host's own end is read")
    func pointToPoint() throws {
        try ip("address add 192.0.2.1 peer 192.0.2.2/32 dev eth0")
        try ip("address add 2001:db8::1 peer 2001:db8::2/128 dev eth0 nodad")
        let own = try read().filter { $0.interfaceName == "eth0" }.map(\.address.description)
        #expect(own == ["192.0.2.1", "2001:db8::1"])
    }

    @Test("a deprecated address is told as such")
    func deprecated() throws {
        try ip("address add 2001:db8::1/64 dev eth0 nodad preferred_lft 0 valid_lft forever")
        #expect(try read().filter(\.isDeprecated).map(\.address.description) == ["2001:db8::1"])
    }

    @Test("an address that is looked for duplicates is left out, unless asked for")
    func tentative() throws {
        // A veth pair without its other end up has no carrier: the look for duplicates can't begin.
        try ip("link add veth0 type veth peer name veth1")
        try ip("link set veth0 up")
        try ip("address add 2001:db8::1/64 dev veth0")
        #expect(try texts(read()) == loopback)
        let all = try read(includingTentative: true)
        #expect(all.filter(\.isTentative).map(\.address.description) == ["2001:db8::1"])
    }

    @Test("many addresses are read whole, over many datagrams")
    func many() throws {
        try ip((0..<2_000).map { "address add 10.9.\($0 / 250).\($0 % 250)/32 dev eth0" })
        #expect(try read().count == 2_002)
    }

    @Test("news that don't fit are lost, and that is told")
    func overflow() throws {
        let socket = try namespace.run { try RouteSocketBox(groups: 0x10, receiveBuffer: 1) }
        try ip((0..<200).map { "address add 10.9.0.\($0)/32 dev eth0" })
        #expect(socket.drain() == .overflowed)
        #expect(socket.drain() == .all)
    }

    @Test("the watcher tells the list at once and after each change")
    func following() async throws {
        let watcher = try namespace.run { try HostAddressWatcher() }
        var lists = watcher.makeAsyncIterator()
        #expect(texts(try #require(await lists.next())) == loopback)
        try ip("address add 192.0.2.1/24 dev eth0")
        #expect(
            texts(try #require(await lists.next())) == ["lo 127.0.0.1/8", "eth0 192.0.2.1/24", "lo ::1/128"])
        try ip("address add 2001:db8::1/64 dev eth0 nodad")
        #expect(texts(try #require(await lists.next())).last == "eth0 2001:db8::1/64")
        try ip("link set eth0 down")
        try ip("link set eth0 name wan0")
        // A link that goes down loses its IPv6 addresses.
        try await expect(&lists, until: ["lo 127.0.0.1/8", "wan0 192.0.2.1/24", "lo ::1/128"])
        try ip("link delete wan0")
        try await expect(&lists, until: loopback)
        watcher.cancel()
        #expect(await lists.next() == nil)
    }

    private func expect(
        _ lists: inout AsyncStream<[HostAddress]>.Iterator, until expected: [String]
    ) async throws {
        // Every list differs from the one before, so that this ends with the time limit at the latest.
        var list = try #require(await lists.next())
        while texts(list) != expected { list = try #require(await lists.next()) }
    }

    @Test("an address is told when the look for duplicates has passed")
    func tentativeBecomesUsable() async throws {
        try ip("link add veth0 type veth peer name veth1")
        try ip("link set veth0 up")
        try ip("address add 2001:db8::1/64 dev veth0")
        let watcher = try namespace.run { try HostAddressWatcher() }
        var lists = watcher.makeAsyncIterator()
        #expect(texts(try #require(await lists.next())) == loopback)
        try ip("link set veth1 up")
        #expect(texts(try #require(await lists.next())) == loopback + ["veth0 2001:db8::1/64"])
        watcher.cancel()
    }

    @Test("a reader that is late gets the newest list only, also where news was lost")
    func coalescing() async throws {
        let watcher = try namespace.run { try HostAddressWatcher(receiveBuffer: 1) }
        try ip((0..<250).map { "address add 10.9.0.\($0)/32 dev eth0" })
        var lists = watcher.makeAsyncIterator()
        var count = 0
        var list: [HostAddress] = []
        while list.count < 252 {
            list = try #require(await lists.next())
            count += 1
        }
        #expect(count < 100)
        watcher.cancel()
        #expect(await lists.next() == nil)
    }

    /// The netlink sockets of protocol 0 (NETLINK_ROUTE) in the namespace that a process holds.
    private func openSockets() throws -> Int {
        try namespace.command("cat", "/proc/thread-self/net/netlink").split(separator: "\n").dropFirst()
            .filter {
                let fields = $0.split(separator: " ")
                return fields[1] == "0" && fields[2] != "0"
            }.count
    }

    @Test("cancelling closes the sockets")
    func cancelling() async throws {
        let watcher = try namespace.run { try HostAddressWatcher() }
        #expect(try openSockets() == 2)
        watcher.cancel()
        for await _ in watcher {}
        #expect(try openSockets() == 0)
    }

    @Test("cancelling the reader's task ends it as well")
    func cancellingTheTask() async throws {
        let watcher = try namespace.run { try HostAddressWatcher() }
        let (began, begin) = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            for await _ in watcher { begin.yield() }
        }
        for await _ in began { break }
        task.cancel()
        await task.value
        // A cancelled stream ends for its reader at once; the thread follows.
        let deadline = ContinuousClock.now + .seconds(5)
        while try openSockets() > 0, ContinuousClock.now < deadline { await Task.yield() }
        #expect(try openSockets() == 0)
    }
}

/// A socket that a closure can return.
private final class RouteSocketBox {
    private let socket: RouteSocket

    init(groups: UInt32, receiveBuffer: Int32) throws {
        socket = try RouteSocket(groups: groups, receiveBuffer: receiveBuffer)
    }

    func drain() -> RouteSocket.Drained { socket.drain() }
}
