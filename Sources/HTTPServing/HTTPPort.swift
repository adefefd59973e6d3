import Glibc
public import IPAddressing
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Closes a connection that came as the port closed.
private struct PortClosed: Error {}

/// The listeners and connections of one TCP port that answers GET and HEAD over HTTP/1.
///
/// Bounded in connections, in the size of a request's head (that of the HTTP parser, 80 KB), and in the time that a
/// client may take; a request's body is read and forgotten.
public struct HTTPPort: Sendable {
    public let port: UInt16
    private let limits: HTTPLimits
    private let thread: HTTPThread
    private let answer: @Sendable (HTTPRequest) -> HTTPAnswer
    private let connections: ConnectionRegister
    private var listeners: [IPAddress: any Channel] = [:]

    /// An address that can't be listened on.
    public struct BindFailure: Error, Sendable, Equatable {
        public let address: AddressPort
        /// The errno's text, such as `Address already in use`.
        public let reason: String
    }

    /// Nothing is bound before `openListeners`. To be ended by `close`.
    ///
    /// - Parameter answer: called on the thread; must not block.
    public init(
        port: UInt16, limits: HTTPLimits = HTTPLimits(), on thread: HTTPThread,
        answer: @escaping @Sendable (HTTPRequest) -> HTTPAnswer
    ) {
        self.port = port
        self.limits = limits
        self.thread = thread
        self.answer = answer
        connections = ConnectionRegister(limit: limits.connections)
    }

    /// 0.0.0.0 and ::, all addresses of both families, also those that come.
    public static let allAddresses = [IPAddress(ipv4: 0), allIPv6]
    private static let allIPv6 = IPAddress(high: 0, low: 0)

    /// Closes the listeners on other addresses than these; connections stay.
    public mutating func closeListeners(except addresses: [IPAddress]) async {
        for (address, listener) in listeners where !addresses.contains(address) || !listener.isActive {
            listeners[address] = nil
            // It fails when it is closed already.
            try? await listener.close().get()
        }
    }

    /// Binds what isn't bound yet; returns what can't be, with the reason.
    public mutating func openListeners(on addresses: [IPAddress]) async -> [BindFailure] {
        var failures: [BindFailure] = []
        for address in addresses where listeners[address] == nil {
            do {
                listeners[address] = try await bind(address)
            } catch let error as IOError
                where address == Self.allIPv6
                && [EAFNOSUPPORT, EADDRNOTAVAIL].contains(error.errnoCode)
            {
                // A host without IPv6 has no IPv6 address to be missed on.
                continue
            } catch {
                failures.append(
                    BindFailure(address: AddressPort(address, port), reason: Self.reason(error)))
            }
        }
        return failures
    }

    /// Closes listeners and connections.
    public mutating func close() async {
        await closeListeners(except: [])
        connections.close()
    }

    private func bind(_ address: IPAddress) async throws -> any Channel {
        let patience = TimeAmount(limits.patience)
        var bootstrap = ServerBootstrap(group: thread.group)
            // Connections of the server before may still be in TIME_WAIT.
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [connections, answer] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.admit(channel) else { throw PortClosed() }
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline()
                    // A client that asks on and on without reading isn't read from.
                    try pipeline.addHandler(BackPressureHandler())
                    try pipeline.addHandler(RequestHandler(answer: answer, patience: patience))
                }
            }
        if address.family == .ipv6 {
            // IPv4 has a listener of its own, whatever net.ipv6.bindv6only says.
            let option = ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only)
            bootstrap = bootstrap.serverChannelOption(option, value: 1)
        }
        return try await bootstrap.bind(
            to: SocketAddress(ipAddress: address.description, port: Int(port))
        ).get()
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode))
    }
}
