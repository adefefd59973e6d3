internal import Glibc
public import IPAddressing
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// An API server for tests: Kubernetes' own protocol over TLS, from an `ObjectStore`, with faults on demand.
///
/// Lists with `limit` and `continue`, watches with bookmarks and `sendInitialEvents`, label selectors, protobuf and
/// JSON, authentication and Events that are posted. To be ended with `stop`.
public final class TestAPIServer: Sendable {
    /// How the server behaves when nothing goes wrong; may be changed while it runs, for requests to come.
    public struct Configuration: Sendable {
        /// Whether it knows `sendInitialEvents` (WatchList). Without, it refuses with 422 as servers before 1.27 do.
        public var streamsInitialEvents = true
        /// Whether it has ServiceCIDRs (1.33, or the beta API switched on).
        public var hasServiceCIDRs = true
        /// Whether Services can be selected by `spec.clusterIP` (1.31); without, it refuses with 400.
        public var selectsByClusterIP = true
        /// What it can write, its own favourite first.
        public var mediaTypes: [MediaType] = [.json, .protobuf]
        /// Of watches that ask for bookmarks; nil: never.
        public var bookmarkInterval: Duration? = .seconds(60)
        /// A list at `resourceVersion=0` comes whole, whatever `limit` says, as from a watch cache.
        public var ignoresLimitAtZero = true
        /// The longest page, whatever `limit` says.
        public var longestPage = 10_000
        /// Of watches that don't say `timeoutSeconds`.
        public var watchTimeout = Duration.seconds(1_800)
        /// Called on an event loop when an event of this resource and version is with the kernel.
        public var onEventWritten: (@Sendable (APIResource, UInt64) -> Void)?

        public init() {}
    }

    public enum StartError: Error {
        case isRunning
    }

    /// What happens to connections before there is a request.
    struct Arrival: Sendable {
        var delay: Duration?
        var resets = 0
    }

    private struct State {
        var configuration: Configuration
        var tls: NIOSSLContext
        var listener: (any Channel)?
        /// Keeps `port` from others while nobody listens there.
        var reservation: PortReservation?
        var port = 0
        var address = ""
        var connections: [ObjectIdentifier: any Channel] = [:]
        var connectionCount = 0
        var streams: [ObjectIdentifier: (resource: APIResource, inject: @Sendable (StreamFault) -> Void)] =
            [:]
        var arrival = Arrival()
        var posted: [PostedEvent] = []
        /// The last whole list of each resource.
        var lists: [APIResource: (key: WholeList, body: [UInt8])] = [:]
    }

    public let store: ObjectStore
    public let access = AccessControl()
    let plan = FaultPlan()
    let log = RequestLog()
    private let state: Mutex<State>
    private let group = MultiThreadedEventLoopGroup.singleton

    private static let connectionLimit = 256
    private static let postedLimit = 4_096

    /// - Parameters:
    ///   - credential: the server's certificate and key.
    ///   - clientAuthority: PEM of the authority whose certificates clients may show; nil: they are not asked.
    public init(
        _ store: ObjectStore = ObjectStore(), credential: Credential, clientAuthority: String? = nil,
        configuration: Configuration = Configuration()
    ) throws {
        self.store = store
        state = Mutex(State(configuration: configuration, tls: try TLS.context(credential, clientAuthority)))
    }

    // MARK: - Running

    /// - Parameters:
    ///   - listener: a listening socket, bound in a network namespace perhaps, that the server closes in the end;
    ///     nil: 127.0.0.1 and `port`.
    ///   - port: 0: a free one; the same again after a `stop`, which no other gets meanwhile.
    public func start(listener: CInt? = nil, port: Int = 0) async throws {
        let wanted = try state.withLock { state in
            guard state.listener == nil else { throw StartError.isRunning }
            guard listener == nil else { return 0 }
            if state.reservation == nil || (port != 0 && port != state.reservation?.port) {
                state.reservation = try PortReservation(port: port)
            }
            return state.reservation?.port ?? 0
        }
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 1 << 18, high: 1 << 20))
            .childChannelInitializer { self.accept($0) }
        let channel =
            if let listener {
                try await bootstrap.withBoundSocket(listener).get()
            } else {
                try await bootstrap.bind(host: "127.0.0.1", port: wanted).get()
            }
        state.withLock { state in
            state.listener = channel
            state.port = channel.localAddress?.port ?? 0
            state.address = channel.localAddress?.ipAddress ?? ""
        }
    }

    /// A listening socket for `start`, in the network namespace of the calling thread: inside `Namespace.run` it is
    /// one of that namespace, and so are the connections that come to it.
    public static func listen(on address: IPAddress, port: UInt16 = 0) throws -> CInt {
        let family = address.family == .ipv4 ? AF_INET : AF_INET6
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        var yes: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<CInt>.size))
        let name = try NIOCore.SocketAddress(ipAddress: "\(address)", port: Int(port))
        let result = name.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
        guard result == 0, Glibc.listen(descriptor, 128) == 0 else {
            let error = IOError(errnoCode: errno, reason: "listen on \(address) port \(port)")
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Closes the port and all connections; the objects stay, and `start` begins anew.
    public func stop() async {
        let (listener, connections) = state.withLock { state in
            defer { state.listener = nil }
            return (state.listener, Array(state.connections.values))
        }
        // It fails only when it is closed already.
        try? await listener?.close()
        for channel in connections { await Self.reset(channel) }
    }

    /// Resets all connections; the port stays open.
    public func resetConnections() async {
        for channel in state.withLock({ Array($0.connections.values) }) { await Self.reset(channel) }
    }

    private static func reset(_ channel: any Channel) async {
        // A channel whose loop is gone is closed as well.
        try? await channel.eventLoop.submit { ResponseWriter.reset(channel) }.get()
        try? await channel.closeFuture.get()
    }

    public var port: Int { state.withLock(\.port) }

    /// `https://127.0.0.1:<port>`
    public var url: String {
        let (address, port) = state.withLock { ($0.address, $0.port) }
        return "https://\(address.contains(":") ? "[\(address)]" : address):\(port)"
    }

    public var configuration: Configuration {
        get { state.withLock(\.configuration) }
        set { state.withLock { $0.configuration = newValue } }
    }

    /// Another certificate, or another authority of clients, for connections to come.
    public func present(_ credential: Credential, clientAuthority: String? = nil) throws {
        let context = try TLS.context(credential, clientAuthority)
        state.withLock { $0.tls = context }
    }

    // MARK: - Faults

    /// - Parameter resource: nil: requests for any, and others.
    public func add(
        _ fault: Fault, on target: FaultTarget, of resource: APIResource? = nil, times: Int = 1
    ) {
        plan.add(.init(fault: fault, target: target, resource: resource?.rawValue, times: times))
    }

    public func clearFaults() {
        plan.clear()
        state.withLock { $0.arrival = Arrival() }
    }

    /// Whether none of the faults added is left to happen.
    public var hasNoFaultLeft: Bool { plan.isEmpty }

    /// Connections to come are served so much later than they are made; nil: at once.
    public func delayConnections(_ delay: Duration?) { state.withLock { $0.arrival.delay = delay } }

    /// So many connections are reset as they come, before TLS.
    public func resetConnections(toCome count: Int) { state.withLock { $0.arrival.resets = count } }

    /// Does it to the watches that run.
    ///
    /// - Parameter resource: nil: of all.
    /// - Returns: how many there are.
    @discardableResult
    public func disturb(_ resource: APIResource? = nil, with fault: StreamFault) -> Int {
        let chosen = state.withLock { state in
            state.streams.values.filter { resource == nil || $0.resource == resource }.map(\.inject)
        }
        for inject in chosen { inject(fault) }
        return chosen.count
    }

    // MARK: - What clients did

    /// The last requests, at least 4,096 of them.
    public var requests: [ReceivedRequest] { log.requests }

    /// Requests until now: the number of the next one.
    public var requestCount: Int { log.count }

    /// The first request from `number` on that matches, as soon as it has come. The caller bounds the wait.
    public func request(
        from number: Int = 0, where matches: @escaping @Sendable (ReceivedRequest) -> Bool
    ) async throws -> ReceivedRequest {
        try await log.request(from: number, where: matches)
    }

    /// Events of both groups, posted and valid, at most 4,096.
    public var postedEvents: [PostedEvent] { state.withLock(\.posted) }

    /// Open connections.
    public var connectionCount: Int { state.withLock(\.connections.count) }

    /// Watches that run.
    public var streamCount: Int { state.withLock(\.streams.count) }

    // MARK: - From connections

    /// The body of a list, kept until another list of the resource is asked for: with a large cluster it takes longer
    /// to make than to send.
    func wholeList(_ key: WholeList, _ make: () -> [UInt8]) -> [UInt8] {
        let known = state.withLock { state in
            state.lists[key.resource].flatMap { $0.key == key ? $0.body : nil }
        }
        if let known { return known }
        let body = make()
        state.withLock { $0.lists[key.resource] = (key, body) }
        return body
    }

    /// Makes the body that a list request gets, before it comes.
    public func prepare(list uri: String, _ type: MediaType) throws {
        let request = ReceivedRequest(method: "GET", uri: uri, headers: [])
        _ = try list(request, type, fault: nil)
    }

    /// A new Event, or a new count of a known one.
    func keep(_ request: ReceivedRequest) throws(APIStatus) -> MediaType {
        if request.verb == .patch {
            let count = try PostedEvent.seriesCount(of: request)
            let isKnown = state.withLock { state in
                let index = state.posted.firstIndex {
                    $0.name == request.name && $0.namespace == request.namespace
                }
                guard let index else { return false }
                state.posted[index].seriesCount = count
                return true
            }
            guard isKnown else { throw APIStatus(code: 404) }
            return .json
        }
        let event = try PostedEvent(request)
        let isNew = state.withLock { state in
            guard !state.posted.contains(where: { $0.name == event.name && $0.namespace == event.namespace })
            else { return false }
            if state.posted.count < Self.postedLimit { state.posted.append(event) }
            return true
        }
        guard isNew else {
            throw APIStatus(
                code: 409, reason: "AlreadyExists", message: "events \"\(event.name)\" already exists")
        }
        return event.mediaType
    }

    /// Events end after an hour; these do now.
    public func forgetPostedEvents() { state.withLock { $0.posted = [] } }

    func register(
        _ stream: WatchStream, of resource: APIResource, inject: @escaping @Sendable (StreamFault) -> Void
    ) {
        state.withLock { $0.streams[ObjectIdentifier(stream)] = (resource, inject) }
    }

    func unregister(_ stream: WatchStream) {
        _ = state.withLock { $0.streams.removeValue(forKey: ObjectIdentifier(stream)) }
    }

    private func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
        let (number, tls, arrival) = state.withLock { state in
            guard state.listener != nil || state.port == 0, state.connections.count < Self.connectionLimit
            else {
                return (-1, state.tls, state.arrival)
            }
            state.connectionCount += 1
            state.connections[ObjectIdentifier(channel)] = channel
            let arrival = state.arrival
            state.arrival.resets = max(0, arrival.resets - 1)
            return (state.connectionCount - 1, state.tls, arrival)
        }
        guard number >= 0 else {
            return channel.eventLoop.makeFailedFuture(ChannelError.connectTimeout(.zero))
        }
        channel.closeFuture.whenComplete { _ in
            _ = self.state.withLock { $0.connections.removeValue(forKey: ObjectIdentifier(channel)) }
        }
        if arrival.resets > 0 {
            _ = (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            return channel.eventLoop.makeFailedFuture(ChannelError.eof)
        }
        return channel.eventLoop.scheduleTask(in: TimeAmount(arrival.delay ?? .zero)) {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(FirstHandler(), name: FirstHandler.name)
            try pipeline.addHandler(NIOSSLServerHandler(context: tls))
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: true)
            try pipeline.addHandler(APIConnection(self, number: number))
        }.futureResult
    }
}

private enum TLS {
    static func context(_ credential: Credential, _ clientAuthority: String?) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(credential.certificate.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(credential.key.utf8), format: .pem)
        var settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        settings.applicationProtocols = ["http/1.1"]
        if let clientAuthority {
            settings.certificateVerification = .optionalVerification
            settings.trustRoots = .certificates(
                try NIOSSLCertificate.fromPEMBytes(Array(clientAuthority.utf8)))
        }
        return try NIOSSLContext(configuration: settings)
    }
}
