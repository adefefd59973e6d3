import Glibc
import IPAddressing
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Closes a connection that isn't wanted.
private struct TooManyConnections: Error {}

/// The listeners and connections of one health check port.
struct PortServer {
    let port: UInt16
    let service: CheckedService
    private let limits: HealthCheckServers.Limits
    private let group: any EventLoopGroup
    private let connections: ConnectionRegister
    private var listeners: [IPAddress: any Channel] = [:]

    init(
        port: UInt16, service: CheckedService, limits: HealthCheckServers.Limits, group: any EventLoopGroup
    ) {
        self.port = port
        self.service = service
        self.limits = limits
        self.group = group
        connections = ConnectionRegister(limit: limits.connections)
    }

    /// Closes the listeners on other addresses than these; connections stay.
    mutating func closeListeners(except addresses: [IPAddress]) async {
        for (address, listener) in listeners where !addresses.contains(address) || !listener.isActive {
            listeners[address] = nil
            // It fails when it is closed already.
            try? await listener.close().get()
        }
    }

    /// Binds what isn't bound yet; returns what can't be, with the reason.
    mutating func openListeners(on addresses: [IPAddress]) async -> [(address: AddressPort, reason: String)] {
        var failures: [(address: AddressPort, reason: String)] = []
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
                failures.append((AddressPort(address, port), Self.reason(error)))
            }
        }
        return failures
    }

    mutating func close() async {
        await closeListeners(except: [])
        connections.close()
    }

    static let allIPv6 = IPAddress(high: 0, low: 0)

    private func bind(_ address: IPAddress) async throws -> any Channel {
        let patience = TimeAmount(limits.patience)
        var bootstrap = ServerBootstrap(group: group)
            // Connections of the server before may still be in TIME_WAIT.
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [connections, service] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.admit(channel) else { throw TooManyConnections() }
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline()
                    // A client that asks on and on without reading isn't read from.
                    try pipeline.addHandler(BackPressureHandler())
                    try pipeline.addHandler(HealthCheckHandler(service: service, patience: patience))
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
