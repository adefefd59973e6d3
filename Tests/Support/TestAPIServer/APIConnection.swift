internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL

/// One client's connection: reads requests, one after the other, and answers them.
final class APIConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let server: TestAPIServer
    private let number: Int
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    private var watch: WatchStream?

    private static let bodyLimit = 1 << 20

    init(_ server: TestAPIServer, number: Int) {
        self.server = server
        self.number = number
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.clear()
        case .body(var part):
            body.writeBuffer(&part)
            if body.readableBytes > Self.bodyLimit { context.close(promise: nil) }
        case .end:
            guard let head else { return }
            self.head = nil
            receive(head, context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        endWatch()
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { watch?.pump() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func endWatch() {
        guard let watch else { return }
        watch.stop()
        server.unregister(watch)
        self.watch = nil
    }

    // MARK: - Requests

    private func receive(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        endWatch()
        var request = ReceivedRequest(
            method: head.method.rawValue, uri: head.uri, headers: head.headers.map { ($0.name, $0.value) })
        request.connection = number
        request.body = Data(body.readableBytesView)
        let type = request.mediaType(of: server.configuration.mediaTypes)
        let fault = server.plan.take(for: request)
        let denial: APIStatus?
        do throws(APIStatus) {
            request.user = try server.access.authenticate(request, certificate: certificate(context))
            try server.access.authorize(request)
            denial = nil
        } catch {
            denial = error
        }
        // Before the client can know the answer; a POST after it is kept, for who waits for it to look at.
        let isPost = request.verb == .create || request.verb == .patch
        if !isPost { server.log.add(request) }
        defer { if isPost { server.log.add(request) } }
        switch fault {
        case .silence: return
        case .reset: return ResponseWriter.reset(context.channel)
        case .notHTTP: return sayNonsense(context)
        case .status(let code, let retryAfter):
            refuse(APIStatus(code: code, retryAfterSeconds: retryAfter), type, context)
        case .errorEvent(let code):
            let writer = ResponseWriter(context, fault: nil)
            writer.begin(200, contentType: streamType(type ?? .json), length: nil)
            writer.write(
                Envelope.frame("ERROR", APIStatus(code: code).document(type ?? .json), type ?? .json))
            writer.end()
        case .late(let delay):
            let known = (request, type, denial)
            context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) {
                guard context.channel.isActive else { return }
                self.answer(known.0, known.1, known.2, fault: nil, context)
            }
        default: answer(request, type, denial, fault: fault, context)
        }
    }

    private func answer(
        _ request: ReceivedRequest, _ type: MediaType?, _ denial: APIStatus?, fault: Fault?,
        _ context: ChannelHandlerContext
    ) {
        if let denial { return refuse(denial, type, context) }
        guard let type else { return refuse(APIStatus(code: 406), .json, context) }
        do throws(APIStatus) {
            switch request.verb {
            case .list:
                let body = try server.list(request, type, fault: fault)
                send(200, body, type, fault: fault, context)
            case .watch: try startWatch(request, type, fault: fault, context)
            case .get:
                let body = try server.document(request, type)
                send(200, body, type, fault: fault, context)
            case .create, .patch:
                let bodyType = try server.keep(request)
                send(request.verb == .create ? 201 : 200, [UInt8](request.body), bodyType, context)
            case .other:
                let isHealth = ["/healthz", "/livez", "/readyz"].contains(request.uri)
                guard request.method == "GET", isHealth else { throw APIStatus(code: 404) }
                send(200, Array("ok".utf8), .json, context)
            }
        } catch {
            refuse(error, type, context)
        }
    }

    private func startWatch(
        _ request: ReceivedRequest, _ type: MediaType, fault: Fault?, _ context: ChannelHandlerContext
    ) throws(APIStatus) {
        let resource = try server.resource(of: request)
        let start = try server.startOfWatch(request, resource)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let writer = ResponseWriter(context, fault: fault) { bound.value.watch?.pump() }
        writer.begin(200, contentType: streamType(type), length: nil)
        let stream = WatchStream(
            server, request, resource: resource, selection: start.selection, mediaType: type,
            from: start.version, initial: start.initial, writer: writer, on: context.eventLoop)
        watch = stream
        let boundStream = NIOLoopBound(stream, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        server.register(stream, of: resource) { fault in
            eventLoop.execute { boundStream.value.inject(fault) }
        }
        let seconds = request.query["timeoutSeconds"].flatMap { Int($0) }
        stream.start(timeout: seconds.map { .seconds($0) } ?? server.configuration.watchTimeout)
    }

    /// A JSON watch has no parameter: the API server writes one for other types only.
    private func streamType(_ type: MediaType) -> String {
        type == .json ? type.rawValue : "\(type.rawValue);stream=watch"
    }

    private func refuse(_ status: APIStatus, _ type: MediaType?, _ context: ChannelHandlerContext) {
        let type = type ?? .json
        let extra = status.retryAfterSeconds.map { [("Retry-After", "\($0)")] } ?? []
        send(status.code, status.document(type), type, extra: extra, context)
    }

    private func send(
        _ code: Int, _ body: [UInt8], _ type: MediaType, fault: Fault? = nil,
        extra: [(String, String)] = [], _ context: ChannelHandlerContext
    ) {
        let writer = ResponseWriter(context, fault: fault)
        // As Go's server: short bodies have a length.
        writer.begin(
            code, contentType: type.rawValue, length: body.count < 2_048 ? body.count : nil, extra: extra)
        writer.write(body)
        writer.end()
    }

    private func sayNonsense(_ context: ChannelHandlerContext) {
        guard
            let encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
        else { return }
        encoder.writeAndFlush(NIOAny(ByteBuffer(string: "220 mail.example.org ESMTP\r\n")), promise: nil)
        encoder.close(promise: nil)
    }

    private func certificate(_ context: ChannelHandlerContext) -> String? {
        let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
        return handler?.peerCertificate.map { "\($0)" }
    }
}
