import CTestNetwork
import Glibc
public import IPAddressing
import Synchronization

/// A server in a namespace that tells its clients who it is and how it sees them.
///
/// TCP and SCTP: each accepted connection gets the line `<server name> <client address>:<client port>`
/// (an IPv6 address in brackets) at once, and stays open; each line received is answered by
/// `<server name> <the line>`. UDP: each datagram is answered by the first kind of line.
public final class EchoServer: Sendable {
    /// A port to listen on.
    public struct Listener: Sendable, Hashable {
        public let transport: TransportProtocol
        /// An unspecified address (0.0.0.0, ::) listens on all of its family.
        public let endpoint: AddressPort
        /// What it calls itself; nil: as the server. Tells which of a server's ports answered.
        public let name: String?

        public init(_ transport: TransportProtocol, _ endpoint: AddressPort, name: String? = nil) {
            self.transport = transport
            self.endpoint = endpoint
            self.name = name
        }
    }

    public let name: String
    private let worker: Mutex<WorkerThread?>
    private let stopSignal: Descriptor

    /// Listens in `namespace`; when this returns, all listeners accept.
    ///
    /// Throws `SystemError` when a port can't be had.
    public init(_ name: String, in namespace: Namespace, listeners: [Listener]) throws {
        let pipe = try Descriptor.pipe()
        let sockets = try namespace.run { try listeners.map(Self.listen) }
        let loop = EchoLoop(name: name, stop: pipe.read, listeners: sockets)
        self.name = name
        stopSignal = pipe.write
        worker = Mutex(try WorkerThread { loop.run() })
    }

    /// Listens on the given ports of every address of the given families.
    public convenience init(
        _ name: String, in namespace: Namespace, tcp: [UInt16] = [], udp: [UInt16] = [],
        families: [AddressFamily] = AddressFamily.allCases
    ) throws {
        let ports = tcp.map { (TransportProtocol.tcp, $0) } + udp.map { (.udp, $0) }
        let listeners = families.flatMap { family in
            ports.map { Listener($0.0, AddressPort(family.unspecifiedAddress, $0.1)) }
        }
        try self.init(name, in: namespace, listeners: listeners)
    }

    deinit { stop() }

    /// Closes the listeners and every connection; returns when that is done. May be called again.
    public func stop() {
        let running = worker.withLock { worker in
            defer { worker = nil }
            return worker
        }
        guard let running else { return }
        try? stopSignal.write(all: [0])
        running.join()
    }

    private static let bindAttempts = 100

    private static func listen(on listener: Listener) throws -> EchoLoop.Port {
        let socket = try listener.transport.socket(listener.endpoint.address.family)
        try socket.set(SOL_SOCKET, SO_REUSEADDR, to: Int32(1))
        // A process that is started elsewhere at this moment holds copies of all descriptors until it runs its program,
        // so a port that was just given back can be taken for a little longer.
        for attempt in 1...Self.bindAttempts {
            do {
                try socket.bind(to: listener.endpoint)
                break
            } catch let error as SystemError where error.number == EADDRINUSE && attempt < Self.bindAttempts {
                usleep(10_000)
            }
        }
        if listener.transport != .udp {
            guard Glibc.listen(socket.raw, 1024) == 0 else {
                throw SystemError("listen on \(listener.endpoint)")
            }
        }
        return EchoLoop.Port(socket: socket, transport: listener.transport, name: listener.name)
    }
}

/// What an `EchoServer`'s thread works on; nobody else touches it.
private final class EchoLoop {
    struct Port {
        let socket: Descriptor
        let transport: TransportProtocol
        let name: String?
    }

    private struct Connection {
        let socket: Descriptor
        let server: String
        var pending: [UInt8] = []
    }

    /// A client that sends more than this without a line end is cut off.
    private let longestLine = 4096
    private let name: String
    private let stop: Descriptor
    private let listeners: [Port]
    private var connections: [Connection] = []

    init(name: String, stop: Descriptor, listeners: [Port]) {
        self.name = name
        self.stop = stop
        self.listeners = listeners
    }

    func run() {
        while true {
            var entries = ([stop] + listeners.map(\.socket) + connections.map(\.socket)).map {
                pollfd(fd: $0.raw, events: Int16(POLLIN), revents: 0)
            }
            guard poll(&entries, nfds_t(entries.count), -1) > 0 else {
                if errno == EINTR { continue }
                return
            }
            if entries[0].revents != 0 { return }
            let (accepting, open) = (
                entries.dropFirst().prefix(listeners.count), entries.dropFirst(1 + listeners.count)
            )
            // Before new connections join the list, so that entries and connections still match.
            connections = zip(connections, open).compactMap { connection, entry in
                entry.revents == 0 ? connection : serve(connection)
            }
            for (listener, entry) in zip(listeners, accepting) where entry.revents != 0 {
                if listener.transport == .udp {
                    answerDatagrams(listener.socket, as: listener.name ?? name)
                } else {
                    accept(listener.socket, as: listener.name ?? name)
                }
            }
        }
    }

    private func accept(_ listener: Descriptor, as server: String) {
        while true {
            var raw: Int32 = -1
            let client = AddressPort.filledIn { address, length in
                raw = ctest_accept(listener.raw, address, &length)
                return raw >= 0
            }
            guard let socket = try? Descriptor(raw, "accept") else { return }
            guard let client, send("\(server) \(client)\n", on: socket) else { continue }
            connections.append(Connection(socket: socket, server: server))
        }
    }

    /// Answers what has arrived; nil when the connection is at its end.
    private func serve(_ connection: Connection) -> Connection? {
        var connection = connection
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(connection.socket.raw, &buffer, buffer.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return connection }
        guard count > 0 else { return nil }
        connection.pending += buffer.prefix(count)
        while let end = connection.pending.firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: connection.pending[..<end], as: UTF8.self)
            connection.pending.removeSubrange(...end)
            guard send("\(connection.server) \(line)\n", on: connection.socket) else { return nil }
        }
        return connection.pending.count > longestLine ? nil : connection
    }

    private func send(_ line: String, on socket: Descriptor) -> Bool {
        let bytes = Array(line.utf8)
        return Glibc.send(socket.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    private func answerDatagrams(_ socket: Descriptor, as server: String) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        // Bounded, so that one busy port doesn't starve the others.
        for _ in 0..<256 {
            let client = AddressPort.filledIn { address, length in
                recvfrom(socket.raw, &buffer, buffer.count, 0, address, &length) >= 0
            }
            guard let client else { return }
            let answer = Array("\(server) \(client)\n".utf8)
            // A client that has gone is its own affair.
            _ = client.withSocketAddress {
                sendto(socket.raw, answer, answer.count, Int32(MSG_NOSIGNAL), $0, $1)
            }
        }
    }
}
