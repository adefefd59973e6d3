import Glibc
public import IPAddressing

/// What became of a client's attempt to be served.
public enum Outcome: Sendable, Hashable {
    /// A server named `by` answered; it saw the client as `seenSource`.
    case answered(by: String, seenSource: AddressPort)
    /// ECONNREFUSED: a TCP reset, or ICMP port unreachable.
    case refused
    /// An ICMP error or a missing route, e.g. EHOSTUNREACH, ENETUNREACH, EACCES.
    case unreachable(errno: Int32)
    /// Connected, then cut off before the server's line came.
    case cutOff
    /// Nothing came back.
    case timedOut
}

extension Outcome: CustomStringConvertible {
    public var description: String {
        switch self {
        case .answered(let server, let source): "answered by \(server), which saw \(source)"
        case .refused: "refused"
        case .unreachable(let number): "unreachable (\(errorText(number)))"
        case .cutOff: "cut off"
        case .timedOut: "timed out"
        }
    }
}

/// One attempt, and how long it took from the first packet to its outcome.
public struct Attempt: Sendable, Hashable, CustomStringConvertible {
    public let outcome: Outcome
    public let elapsed: Duration

    /// The name of the server that answered.
    public var server: String? {
        if case .answered(let server, _) = outcome { server } else { nil }
    }

    /// The client as the server saw it: translated when it was masqueraded.
    public var seenSource: AddressPort? {
        if case .answered(_, let source) = outcome { source } else { nil }
    }

    public var description: String { "\(outcome) after \(elapsed)" }
}

extension Namespace {
    /// Connects as a client in this namespace, waits for the line in which an `EchoServer` introduces
    /// itself, and closes.
    ///
    /// A TCP connection is closed by a reset: it leaves no TIME_WAIT behind, so the same source port can be
    /// used again at once.
    /// - Parameters:
    ///   - sourceAddress: one of this namespace's addresses; nil lets the kernel choose.
    ///   - sourcePort: 0 lets the kernel choose.
    ///   - timeout: after which the attempt counts as timed out.
    /// - Throws: `SystemError` when the attempt can't be made; a server that isn't reached is an outcome.
    public func connect(
        _ transport: TransportProtocol = .tcp, to server: AddressPort, sourceAddress: IPAddress? = nil,
        sourcePort: UInt16 = 0, timeout: Duration = .seconds(1)
    ) throws -> Attempt {
        try run {
            try Exchange(transport, to: server, sourceAddress: sourceAddress, sourcePort: sourcePort)
                .introduction(timeout: timeout).attempt
        }
    }

    /// Makes `count` connections one after the other and tells what became of each.
    public func connect(
        _ transport: TransportProtocol = .tcp, to server: AddressPort, times count: Int,
        sourceAddress: IPAddress? = nil, timeout: Duration = .seconds(1)
    ) throws -> [Attempt] {
        try run {
            try (0..<count).map { _ in
                try Exchange(transport, to: server, sourceAddress: sourceAddress, sourcePort: 0)
                    .introduction(timeout: timeout).attempt
            }
        }
    }

    /// Opens a connection that stays.
    ///
    /// Throws `NotAnswered` when no `EchoServer` introduces itself in time.
    public func open(
        _ transport: TransportProtocol = .tcp, to server: AddressPort, sourceAddress: IPAddress? = nil,
        sourcePort: UInt16 = 0, timeout: Duration = .seconds(1)
    ) throws -> OpenConnection {
        try run {
            let exchange = try Exchange(
                transport, to: server, sourceAddress: sourceAddress, sourcePort: sourcePort)
            let (attempt, socket) = try exchange.introduction(timeout: timeout)
            guard case .answered(let name, let source) = attempt.outcome, let socket else {
                throw NotAnswered(destination: server, attempt: attempt)
            }
            return OpenConnection(socket, transport, server: name, seenSource: source)
        }
    }
}

/// A connection that should have been answered and was not.
public struct NotAnswered: Error, CustomStringConvertible {
    public let destination: AddressPort
    public let attempt: Attempt

    public var description: String { "connection to \(destination): \(attempt)" }
}

/// A client's side of a connection until the server's first line.
private struct Exchange {
    let transport: TransportProtocol
    let destination: AddressPort
    let socket: Descriptor

    /// To be called in the client's namespace.
    init(
        _ transport: TransportProtocol, to destination: AddressPort, sourceAddress: IPAddress?,
        sourcePort: UInt16
    ) throws {
        self.transport = transport
        self.destination = destination
        let family = destination.address.family
        socket = try transport.socket(family)
        if transport == .tcp { try socket.set(SOL_SOCKET, SO_LINGER, to: linger(l_onoff: 1, l_linger: 0)) }
        if sourceAddress != nil || sourcePort != 0 {
            try socket.set(SOL_SOCKET, SO_REUSEADDR, to: Int32(1))
            try socket.bind(to: AddressPort(sourceAddress ?? family.unspecifiedAddress, sourcePort))
        }
    }

    /// The socket comes along when the server has answered.
    func introduction(timeout: Duration) throws -> (attempt: Attempt, socket: Descriptor?) {
        let start = ContinuousClock.now
        let outcome = try outcome(until: start.advanced(by: timeout))
        let attempt = Attempt(outcome: outcome, elapsed: ContinuousClock.now - start)
        return (attempt, attempt.server == nil ? nil : socket)
    }

    private func outcome(until deadline: ContinuousClock.Instant) throws -> Outcome {
        if destination.withSocketAddress({ Glibc.connect(socket.raw, $0, $1) }) != 0 {
            guard errno == EINPROGRESS else { return try Self.outcome(ofError: errno) }
            guard try socket.wait(for: POLLOUT, until: deadline) else { return .timedOut }
            let error = try pendingError()
            guard error == 0 else { return try Self.outcome(ofError: error) }
        }
        if transport == .udp, send(socket.raw, "hello\n", 6, Int32(MSG_NOSIGNAL)) < 0 {
            let number = errno
            guard number == EPERM else { return try Self.outcome(ofError: number) }
            // The host's own output hook took it. Rejected or dropped, `send` says the same; after a rejection
            // the ICMP error is on its way to the socket.
            let isTold = try socket.wait(for: POLLIN, until: deadline)
            let error = isTold ? try pendingError() : 0
            return try Self.outcome(ofError: error == 0 ? number : error)
        }
        switch try socket.readLine(until: deadline) {
        case .line(let line):
            let words = line.split(separator: " ")
            guard words.count == 2, let source = AddressPort(parsing: words[1]) else { return .cutOff }
            return .answered(by: String(words[0]), seenSource: source)
        case .end: return .cutOff
        case .failed(let number): return try Self.outcome(ofError: number)
        case .timedOut: return .timedOut
        }
    }

    /// The error that waits in the socket (SO_ERROR), which is then taken; 0 for none.
    private func pendingError() throws -> Int32 {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(socket.raw, SOL_SOCKET, SO_ERROR, &error, &length) == 0 else {
            throw SystemError("getsockopt SO_ERROR")
        }
        return error
    }

    private static func outcome(ofError number: Int32) throws -> Outcome {
        switch number {
        case ECONNREFUSED: .refused
        case ECONNRESET, EPIPE: .cutOff
        case ETIMEDOUT: .timedOut
        case EHOSTUNREACH, ENETUNREACH, EACCES, EPERM, EPROTO, EHOSTDOWN: .unreachable(errno: number)
        default: throw SystemError("connect", number: number)
        }
    }
}
