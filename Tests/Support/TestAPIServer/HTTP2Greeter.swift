internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS
internal import Synchronization

/// A peer that speaks HTTP/2 as far as a connection's beginning (RFC 9113, section 3.4), and keeps what it is sent.
public final class HTTP2Greeter: Sendable {
    private let listener: any Channel
    private let received: Received

    /// A bound port of 127.0.0.1; to be ended with `stop`.
    public init(_ credential: Credential) async throws {
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(credential.certificate.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(credential.key.utf8), format: .pem)
        var settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        settings.applicationProtocols = ["h2"]
        let tls = try NIOSSLContext(configuration: settings)
        let received = Received()
        self.received = received
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
                    try channel.pipeline.syncOperations.addHandler(Handler(received.open()))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    public var port: Int { listener.localAddress?.port ?? 0 }

    /// The types of the frames that the first connection brings, until one is `last` or the connection ends.
    public func frameTypes(until last: UInt8) async -> [UInt8] {
        var bytes: [UInt8] = []
        for await more in received.chunks {
            bytes += more
            if Self.frameTypes(in: bytes).contains(last) { break }
        }
        return Self.frameTypes(in: bytes)
    }

    private static func frameTypes(in bytes: [UInt8]) -> [UInt8] {
        // `PRI * HTTP/2.0` and so on comes first.
        var rest = bytes.dropFirst(24)
        var types: [UInt8] = []
        while rest.count >= 9 {
            types.append(rest[rest.startIndex + 3])
            let length = rest.prefix(3).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(9 + length)
        }
        return types
    }

    public func stop() async { try? await listener.close() }

    /// What comes on the first connection.
    private final class Received: Sendable {
        let chunks: AsyncStream<[UInt8]>
        private let sink: AsyncStream<[UInt8]>.Continuation
        private let isTaken = Mutex(false)

        init() { (chunks, sink) = AsyncStream.makeStream() }

        /// Nil for connections after the first.
        func open() -> AsyncStream<[UInt8]>.Continuation? {
            let isFirst = isTaken.withLock { isTaken in
                defer { isTaken = true }
                return !isTaken
            }
            return isFirst ? sink : nil
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let sink: AsyncStream<[UInt8]>.Continuation?

        init(_ sink: AsyncStream<[UInt8]>.Continuation?) { self.sink = sink }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted = event as? TLSUserEvent {
                // A SETTINGS frame without settings, and the acknowledgement of the client's.
                let frames: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0] + [0, 0, 0, 4, 1, 0, 0, 0, 0]
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: frames)), promise: nil)
            }
            context.fireUserInboundEventTriggered(event)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            sink?.yield(Array(unwrapInboundIn(data).readableBytesView))
        }

        func channelInactive(context: ChannelHandlerContext) {
            sink?.finish()
            context.fireChannelInactive()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
