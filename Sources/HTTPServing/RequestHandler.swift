internal import NIOCore
internal import NIOHTTP1

/// Answers the requests of one connection, one after the other.
final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: @Sendable (HTTPRequest) -> HTTPAnswer
    private let patience: TimeAmount
    private var request: HTTPRequestHead?
    private var deadline: Scheduled<Void>?

    /// - Parameter patience: the time a client has to send a whole request, and to take the answer.
    init(answer: @escaping @Sendable (HTTPRequest) -> HTTPAnswer, patience: TimeAmount) {
        self.answer = answer
        self.patience = patience
    }

    func channelActive(context: ChannelHandlerContext) {
        startDeadline(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    /// Not an idle timeout: one that each byte puts off would let a client that sends a byte at a time hold a
    /// connection for ever.
    private func startDeadline(_ context: ChannelHandlerContext) {
        deadline?.cancel()
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = head
        case .body: break
        case .end:
            guard let request else { return }
            self.request = nil
            respond(to: request, context)
        }
    }

    private func respond(to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let answer = answer(to: request)
        var headers = HTTPHeaders(answer.fields.map { ($0.name, $0.value) })
        headers.add(name: "Content-Length", value: "\(answer.body.utf8.count)")
        if !request.isKeepAlive {
            headers.add(name: "Connection", value: "close")
        } else if request.version == .http1_0 {
            headers.add(name: "Connection", value: "keep-alive")
        }
        // The answer to a 1.0 client may be 1.1 (RFC 9110, section 2.5), but it is the less surprising this way.
        let version: HTTPVersion = request.version == .http1_0 ? .http1_0 : .http1_1
        let status = HTTPResponseStatus(statusCode: answer.status)
        let head = HTTPResponseHead(version: version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            let body = ByteBuffer(string: answer.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        written.futureResult.whenSuccess {
            let (handler, context) = bound.value
            guard request.isKeepAlive else { return context.close(promise: nil) }
            // Only when the client took it: one that asks and doesn't read has no more time than others.
            if context.channel.isActive { handler.startDeadline(context) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }

    private func answer(to request: HTTPRequestHead) -> HTTPAnswer {
        guard request.method == .GET || request.method == .HEAD else {
            return HTTPAnswer(
                status: 405,
                fields: [.init("Allow", "GET, HEAD"), .init("X-Content-Type-Options", "nosniff")])
        }
        return answer(HTTPRequest(target: request.uri))
    }

    /// What isn't HTTP has got its 400 by now; other errors end the connection as well.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
