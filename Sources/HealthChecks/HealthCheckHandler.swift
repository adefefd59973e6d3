internal import NIOCore
internal import NIOHTTP1

/// Answers the requests of one connection, one after the other.
final class HealthCheckHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let service: CheckedService
    private let patience: TimeAmount
    private var request: HTTPRequestHead?
    private var deadline: Scheduled<Void>?

    /// - Parameter patience: the time a client has to send a whole request, and to take the answer.
    init(service: CheckedService, patience: TimeAmount) {
        self.service = service
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
        let (status, fields, body) = response(to: request.method)
        var headers = fields
        headers.add(name: "Content-Length", value: "\(body.utf8.count)")
        if !request.isKeepAlive {
            headers.add(name: "Connection", value: "close")
        } else if request.version == .http1_0 {
            headers.add(name: "Connection", value: "keep-alive")
        }
        // The answer to a 1.0 client may be 1.1 (RFC 9110, section 2.5), but it is the less surprising this way.
        let version: HTTPVersion = request.version == .http1_0 ? .http1_0 : .http1_1
        let head = HTTPResponseHead(version: version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
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

    private func response(
        to method: HTTPMethod
    ) -> (status: HTTPResponseStatus, headers: HTTPHeaders, body: String) {
        guard method == .GET || method == .HEAD else {
            return (.methodNotAllowed, ["Allow": "GET, HEAD", "X-Content-Type-Options": "nosniff"], "")
        }
        let answer = service.answer
        let headers: HTTPHeaders = [
            "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
            "X-Load-Balancing-Endpoint-Weight": "\(answer.weight)",
        ]
        return (answer.isServing ? .ok : .serviceUnavailable, headers, answer.body)
    }

    /// What isn't HTTP has got its 400 by now; other errors end the connection as well.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
