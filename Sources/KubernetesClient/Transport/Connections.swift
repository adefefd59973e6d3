import AsyncHTTPClient
import IPAddressing
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The HTTP client of the endpoint of the moment.
///
/// Another certificate, authority or server makes another client; the one before is shut down when the last
/// response that comes through it has ended.
final class Connections: Sendable {
    /// A client in use.
    final class Lease: Sendable {
        let client: HTTPClient
        private let state = Mutex((users: 0, isRetired: false))

        init(_ client: HTTPClient) { self.client = client }

        func enter() { state.withLock { $0.users += 1 } }

        func leave() {
            let isLast = state.withLock { state in
                state.users -= 1
                return state.isRetired && state.users == 0
            }
            if isLast { shutDown() }
        }

        func retire() {
            let isUnused = state.withLock { state in
                guard !state.isRetired else { return false }
                state.isRetired = true
                return state.users == 0
            }
            if isUnused { shutDown() }
        }

        private func shutDown() {
            client.shutdown { _ in }
        }
    }

    private struct State {
        var endpoint: Endpoint?
        var lease: Lease?
        var isShutDown = false
    }

    private static let patience = Duration.milliseconds(500)

    private let state = Mutex(State())
    private let connectTimeout: Duration

    init(connectTimeout: Duration) { self.connectTimeout = connectTimeout }

    /// The client for `endpoint`, entered; to be left when the response has ended.
    func lease(for endpoint: Endpoint) throws(RequestFailure) -> Lease {
        let (lease, past) = state.withLock { state -> (Lease?, Lease?) in
            guard !state.isShutDown else { return (nil, nil) }
            var past: Lease?
            if state.endpoint != endpoint {
                past = state.lease
                state.lease = Lease(makeClient(endpoint))
                state.endpoint = endpoint
            }
            state.lease?.enter()
            return (state.lease, past)
        }
        past?.retire()
        guard let lease else { throw RequestFailure(.other("shut down"), "this client is shut down") }
        return lease
    }

    func shutDown() async {
        let lease = state.withLock { state in
            state.isShutDown = true
            state.endpoint = nil
            return state.lease.take()
        }
        guard let client = lease?.client else { return }
        // Ends the responses under way, too. A peer that doesn't answer isn't waited for: neither the 5 s that NIOSSL
        // gives it to take leave (close_notify), nor for a connection that is being made.
        await BoundedWait.run(atMost: Self.patience) { try? await client.shutdown() }
    }

    private func makeClient(_ endpoint: Endpoint) -> HTTPClient {
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: endpoint.tls?.configuration, redirectConfiguration: .disallow,
            timeout: HTTPClient.Configuration.Timeout(connect: .nanoseconds(connectTimeout.nanoseconds)),
            proxy: endpoint.proxy.map(Self.proxy))
        // Whoever asks tries again by himself, with pauses, and says why.
        configuration.connectionPool.retryConnectionEstablishment = false
        if let name = endpoint.serverName {
            configuration.dnsOverride = [name: endpoint.server.host]
        }
        // Called after the TLS handshake; a connection is used when this has succeeded.
        let identity = endpoint.identity
        let prepare = { @Sendable (channel: any Channel) in
            Self.keepAlive(channel).flatMap {
                identity?.check(channel) ?? channel.eventLoop.makeSucceededVoidFuture()
            }
        }
        configuration.http1_1ConnectionDebugInitializer = prepare
        configuration.http2ConnectionDebugInitializer = prepare
        return HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton),
            configuration: configuration)
    }

    private static func proxy(_ proxy: ProxyURL) -> HTTPClient.Configuration.Proxy {
        switch proxy.kind {
        case .socks5: return .socksServer(host: proxy.host, port: Int(proxy.port))
        case .http:
            let basic = proxy.basic?.value
            return .server(
                host: proxy.host, port: Int(proxy.port),
                authorization: basic.map { .basic(username: $0[0], password: $0[1]) })
        }
    }

    /// A peer that is gone is noticed though nothing is sent: three probes, 15 s apart, after 15 s without a word;
    /// and within 30 s when something is sent (`tcp(7)`).
    private static func keepAlive(_ channel: any Channel) -> EventLoopFuture<Void> {
        let options: [(ChannelOptions.Types.SocketOption, SocketOptionValue)] = [
            (.init(level: .socket, name: .so_keepalive), 1),
            (.init(level: .tcp, name: .init(rawValue: TCPOption.keepIdle)), 15),
            (.init(level: .tcp, name: .init(rawValue: TCPOption.keepInterval)), 15),
            (.init(level: .tcp, name: .init(rawValue: TCPOption.keepCount)), 3),
            (.init(level: .tcp, name: .init(rawValue: TCPOption.userTimeout)), 30_000),
        ]
        let futures = options.map { channel.setOption($0, value: $1) }
        return EventLoopFuture.andAllComplete(futures, on: channel.eventLoop)
    }

    /// `netinet/tcp.h`.
    private enum TCPOption {
        static let keepIdle: CInt = 4
        static let keepInterval: CInt = 5
        static let keepCount: CInt = 6
        static let userTimeout: CInt = 18
    }
}

extension Duration {
    var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
