import AsyncHTTPClient
import Foundation
import IPAddressing
import KubernetesWire
public import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// Requests to one API server: its address, credentials, connections and rate limit.
public final class APIClient: Sendable {
    /// How long things may take.
    public struct Timeouts: Sendable, Equatable {
        /// Connecting, TLS included.
        public var connect = Duration.seconds(10)
        /// From a request to the head of its response. Something between may hold it back until a watch has
        /// brought its first bookmark, a minute after its start.
        public var head = Duration.seconds(90)
        /// How old may be what was read of credential files before they are read again.
        public var credentialAge = Duration.seconds(10)
        /// A run of a credential plugin.
        public var execPlugin = Duration.seconds(60)

        public init() {}
    }

    /// A request that was answered or failed.
    public struct Observation: Sendable, Equatable {
        /// Of HTTP: `GET`.
        public var method: String
        /// Of the API server, `host:port`.
        public var host: String
        /// Of HTTP; nil when no response came.
        public var status: Int?
        /// From the request to the head of its response.
        public var duration: Duration
    }

    /// The head of a response that is 2xx, and its body.
    struct Response {
        var encoding: BodyEncoding
        var body: HTTPClientResponse.Body
        /// Names the server in problems: `https://host:port`.
        var source: String
        /// `host:port`
        var host: String
    }

    /// Of a body that says why a request was refused.
    private static let refusalLimit = 64 << 10

    let contentType: String
    private let acceptContentTypes: String
    private let userAgent: String
    private let timeouts: Timeouts
    private let logger: Logger
    private let store: CredentialStore
    private let connections: Connections
    /// Nil: no limit.
    private let limit: Mutex<TokenBucket?>
    private let observe: @Sendable (Observation) -> Void
    private let start = ContinuousClock.now
    private let isAdviceTold = Mutex(false)

    /// Reads and connects to nothing yet: what is wrong comes out with each request, and is read again with the
    /// next, so that it can be put right while this runs.
    ///
    /// - Parameters:
    ///   - userAgent: such as `sluice/1.2.3 (linux/amd64)`.
    ///   - observe: told of each request that was sent and not called off.
    public convenience init(
        _ connection: ClientConnection, userAgent: String, logger: Logger, timeouts: Timeouts = Timeouts(),
        observe: @escaping @Sendable (Observation) -> Void = { _ in }
    ) {
        let environment = ProcessInfo.processInfo.environment
        self.init(
            connection, userAgent: userAgent, logger: logger, timeouts: timeouts,
            surroundings: CredentialStore.Surroundings(environment: environment), observe: observe)
    }

    init(
        _ connection: ClientConnection, userAgent: String, logger: Logger, timeouts: Timeouts,
        surroundings: CredentialStore.Surroundings,
        observe: @escaping @Sendable (Observation) -> Void = { _ in }
    ) {
        self.observe = observe
        contentType =
            connection.contentType.isEmpty ? BodyEncoding.protobuf.mediaType : connection.contentType
        acceptContentTypes = connection.acceptContentTypes
        self.userAgent = userAgent
        self.timeouts = timeouts
        self.logger = logger
        store = CredentialStore(
            connection, surroundings: surroundings, age: timeouts.credentialAge,
            execTimeout: timeouts.execPlugin, logger: logger)
        connections = Connections(connectTimeout: timeouts.connect)
        let rate = connection.qps == 0 ? 5 : connection.qps
        let burst = connection.burst <= 0 ? 10 : connection.burst
        limit = Mutex(rate < 0 ? nil : TokenBucket(rate: rate, burst: burst, now: .zero))
    }

    /// A plugin is sent SIGTERM and, a second later, SIGKILL.
    private static let pluginPatience = Duration.seconds(2)

    /// Ends all connections and a credential plugin that runs; requests fail from then on. Takes no longer than 2 s.
    public func shutDown() async {
        async let plugins: Void = BoundedWait.run(atMost: Self.pluginPatience) { [store] in
            await store.shutDown()
        }
        await connections.shutDown()
        await plugins
    }

    /// The header `Accept` for lists and watches.
    var accept: String {
        guard acceptContentTypes.isEmpty else { return acceptContentTypes }
        let json = BodyEncoding.json.mediaType
        return contentType == json ? json : "\(contentType), \(json);q=0.9"
    }

    /// Sends a request in its turn and hands over a response that is 2xx.
    ///
    /// - Throws: `RequestFailure` for all that goes wrong before `read`, what `read` throws, and
    ///   `CancellationError`.
    func send<Value: Sendable>(
        _ request: APIRequest, isolation: isolated (any Actor)? = #isolation,
        _ read: (Response) async throws -> Value
    ) async throws -> Value {
        var isSecond = false
        while true {
            try await takeTurn()
            let credentials: Credentials
            do throws(CredentialError) { credentials = try await store.credentials() } catch {
                try Task.checkCancellation()
                throw Failure(host: nil, RequestFailure(error))
            }
            let host = credentials.endpoint.server.hostAndPort
            do {
                return try await send(request, credentials, read)
            } catch let failure as RequestFailure {
                if failure.code == 401 {
                    await store.refuse(credentials)
                    // The token may have been changed since it was read.
                    if !isSecond, let fresh = try? await store.credentials(), fresh != credentials {
                        isSecond = true
                        continue
                    }
                }
                adviseOnClusterIP(credentials.endpoint, failure)
                throw Failure(host: host, failure)
            }
        }
    }

    /// A failure and whom it was had with.
    struct Failure: Error {
        /// `host:port`; nil when it isn't known.
        var host: String?
        var failure: RequestFailure

        init(host: String?, _ failure: RequestFailure) {
            self.host = host
            self.failure = failure
        }
    }

    private func send<Value: Sendable>(
        _ request: APIRequest, _ credentials: Credentials, isolation: isolated (any Actor)? = #isolation,
        _ read: (Response) async throws -> Value
    ) async throws -> Value {
        let endpoint = credentials.endpoint
        let lease = try connections.lease(for: endpoint)
        defer { lease.leave() }
        let response: HTTPClientResponse
        let began = ContinuousClock.now
        func answered(_ status: Int?) {
            observe(
                Observation(
                    method: request.method.rawValue, host: endpoint.server.hostAndPort, status: status,
                    duration: ContinuousClock.now - began))
        }
        do {
            response = try await lease.client.execute(
                outgoing(request, credentials), deadline: .now() + .nanoseconds(timeouts.head.nanoseconds))
        } catch {
            try Task.checkCancellation()
            answered(nil)
            throw RequestFailure(connecting: error)
        }
        answered(Int(response.status.code))
        let encoding = response.headers.first(name: "Content-Type").flatMap(BodyEncoding.init(contentType:))
        guard (200..<300).contains(response.status.code) else {
            throw await refusal(response, encoding)
        }
        guard let encoding else {
            let type = response.headers.first(name: "Content-Type") ?? "of no type"
            throw RequestFailure(
                .undecodable, "a body that is neither protobuf nor JSON: \(RequestFailure.oneLine(type))")
        }
        return try await read(
            Response(
                encoding: encoding, body: response.body,
                source: "\(endpoint.server.scheme.rawValue)://\(endpoint.server.hostAndPort)",
                host: endpoint.server.hostAndPort))
    }

    private func outgoing(_ request: APIRequest, _ credentials: Credentials) -> HTTPClientRequest {
        var server = credentials.endpoint.server
        let host = server.hostAndPort
        if let name = credentials.endpoint.serverName { server.host = name }
        let target = request.target(prefix: server.prefix)
        var outgoing = HTTPClientRequest(url: "\(server.scheme.rawValue)://\(server.hostAndPort)\(target)")
        outgoing.method = HTTPMethod(rawValue: request.method.rawValue)
        outgoing.headers.add(name: "Host", value: host)
        outgoing.headers.add(name: "User-Agent", value: userAgent)
        outgoing.headers.add(name: "Accept", value: request.accept)
        if let authorization = credentials.authorization {
            outgoing.headers.add(name: "Authorization", value: authorization.value)
        }
        if let body = request.body {
            outgoing.headers.add(
                name: "Content-Type", value: request.contentType ?? BodyEncoding.json.mediaType)
            outgoing.body = .bytes(body)
        }
        return outgoing
    }

    /// What the server says of a request that it doesn't fulfil.
    private func refusal(_ response: HTTPClientResponse, _ encoding: BodyEncoding?) async -> RequestFailure {
        let code = Int(response.status.code)
        let retryAfter = response.headers.first(name: "Retry-After").flatMap { Int($0) }
            .flatMap { $0 >= 0 ? Duration.seconds($0) : nil }
        // The status is what counts: a body that doesn't come, or says nothing, takes nothing from it.
        let body = await withTaskGroup(of: [UInt8]?.self) { group in
            group.addTask {
                guard var buffer = try? await response.body.collect(upTo: Self.refusalLimit) else {
                    return nil
                }
                return buffer.readBytes(length: buffer.readableBytes)
            }
            group.addTask { [connect = timeouts.connect] in
                try? await Task.sleep(for: connect)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        var status: StatusError?
        if let body, let encoding {
            status = body.withUnsafeBytes { try? StatusError(decoding: $0, encoding) }
        }
        status?.code = code
        return RequestFailure(
            status ?? StatusError(code: code, reason: "", message: ""), retryAfter: retryAfter)
    }

    private func takeTurn() async throws {
        let wait = limit.withLock { $0?.take(now: ContinuousClock.now - start) ?? .zero }
        if wait > .zero { try await Task.sleep(for: wait) }
    }

    /// Says once what to do when the pod's environment names an address that can't be reached.
    private func adviseOnClusterIP(_ endpoint: Endpoint, _ failure: RequestFailure) {
        guard endpoint.isInCluster else { return }
        switch failure.reason {
        case .unreachable, .connectTimeout: break
        default: return
        }
        advise(
            """
            \(endpoint.server.hostAndPort), from KUBERNETES_SERVICE_HOST, can't be reached; if it is the cluster IP \
            of Service default/kubernetes, only a service proxy makes it reachable
            """)
    }

    /// To be told of the cluster's own Service of the API server.
    func noteAPIServerService(clusterIPs: [IPAddress]) async {
        guard let endpoint = try? await store.credentials().endpoint, endpoint.isInCluster,
            let address = IPAddress(endpoint.server.host), clusterIPs.contains(address)
        else { return }
        advise(
            """
            \(endpoint.server.hostAndPort), from KUBERNETES_SERVICE_HOST, is the cluster IP of Service \
            default/kubernetes: on a node that starts anew nothing makes it reachable before this program does
            """)
    }

    private func advise(_ why: String) {
        let isFirst = isAdviceTold.withLock { isTold in
            defer { isTold = true }
            return !isTold
        }
        guard isFirst else { return }
        logger.warning(
            """
            \(why): set KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in the DaemonSet to an address of the \
            API server itself, or give --master or a kubeconfig file
            """)
    }
}
