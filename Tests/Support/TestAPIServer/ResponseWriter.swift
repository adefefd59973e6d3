internal import Glibc
internal import NIOCore
internal import NIOHTTP1

/// One response on its way to the client, and what a fault does to it. Belongs to its connection's event loop.
final class ResponseWriter {
    private let context: ChannelHandlerContext
    private let fault: Fault?
    private let whenWritable: () -> Void
    /// Bytes of the body, those included that a fault swallowed.
    private var offered = 0
    /// What goes out next, in one piece: many small ones cost more than they weigh.
    private var gathered = ByteBuffer()
    private var gatheredPromises: [EventLoopPromise<Void>] = []
    private static let pieceSize = 1 << 16
    /// What goes out slowly.
    private var pending = ByteBuffer()
    private var isDripping = false
    private var endsAfterPending = false
    /// Nothing more is written: the response ended, one way or the other.
    private(set) var isOver = false

    /// - Parameter whenWritable: called when there is room again after `hasRoom` was false.
    init(_ context: ChannelHandlerContext, fault: Fault?, whenWritable: @escaping () -> Void = {}) {
        self.context = context
        self.fault = fault
        self.whenWritable = whenWritable
    }

    /// Whether the client keeps up.
    var hasRoom: Bool { !isOver && context.channel.isWritable && pending.readableBytes < 1 << 16 }

    /// - Parameter length: of the body; nil: it is sent in chunks. So it is, too, when a fault may keep back the end,
    ///   which a client that knows the length wouldn't wait for.
    func begin(_ status: Int, contentType: String, length: Int?, extra: [(String, String)] = []) {
        var headers: HTTPHeaders = ["Audit-Id": "0b2c5f0e", "Cache-Control": "no-cache, private"]
        headers.add(name: "Content-Type", value: fault == .wrongContentType ? "text/html" : contentType)
        if let length, !mayKeepBackEnd { headers.add(name: "Content-Length", value: "\(length)") }
        for (name, value) in extra { headers.add(name: name, value: value) }
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers)
        context.write(part(.head(head)), promise: nil)
    }

    /// - Parameter written: completed when the bytes are with the kernel.
    func write(_ bytes: some Collection<UInt8>, written: EventLoopPromise<Void>? = nil) {
        let before = offered
        offered += bytes.count
        guard !isOver else { return drop(written) }
        switch fault {
        case .slow(let portion, let pause):
            pending.writeBytes(bytes)
            written?.succeed()
            if !isDripping { scheduleDrip(portion, pause) }
        case .resetAfter(let limit), .cutAfter(let limit), .endAfter(let limit), .stallAfter(let limit):
            let rest = limit - before
            if rest > 0 { send(bytes.prefix(rest), written) } else { drop(written) }
            if offered >= limit { strike() }
        default: send(bytes, written)
        }
    }

    private var mayKeepBackEnd: Bool {
        switch fault {
        case .resetAfter, .cutAfter, .endAfter, .stallAfter: true
        default: false
        }
    }

    func flush() {
        writeGathered()
        context.flush()
    }

    /// The regular end. It waits for what goes out slowly.
    func end() {
        guard !isOver else { return }
        switch fault {
        // The body was shorter than the fault wanted to let through: it strikes at the end.
        case .resetAfter, .cutAfter, .endAfter, .stallAfter: strike()
        case .slow where pending.readableBytes > 0: endsAfterPending = true
        default: finish()
        }
    }

    /// Nothing more is sent, and nothing ends.
    func stall() {
        flush()
        isOver = true
    }

    /// What has been written goes out, then the connection is reset.
    func reset() {
        guard !isOver else { return }
        isOver = true
        writeGathered()
        // With the promise's completion the bytes are with the kernel.
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenComplete { [context] _ in Self.reset(context.channel) }
        context.writeAndFlush(part(.body(.byteBuffer(ByteBuffer()))), promise: flushed)
    }

    /// Ends the connection with RST: an end without lingering, past TLS, which would say goodbye.
    static func reset(_ channel: any Channel) {
        _ = (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        guard let first = try? channel.pipeline.syncOperations.context(name: FirstHandler.name) else {
            // It is to be served later, and has no handlers yet.
            return channel.close(promise: nil)
        }
        first.close(promise: nil)
    }

    /// The connection is at its end without the HTTP body being so.
    private func cut() {
        isOver = true
        writeGathered()
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenComplete { [context] _ in
            guard
                let first = try? context.pipeline.syncOperations.context(
                    handlerType: HTTPResponseEncoder.self)
            else { return }
            first.close(promise: nil)
        }
        context.writeAndFlush(part(.body(.byteBuffer(ByteBuffer()))), promise: flushed)
    }

    private func strike() {
        switch fault {
        case .resetAfter: reset()
        case .cutAfter: cut()
        case .endAfter: finish()
        default: stall()
        }
    }

    private func finish() {
        isOver = true
        writeGathered()
        context.writeAndFlush(part(.end(nil)), promise: nil)
    }

    private func send(_ bytes: some Collection<UInt8>, _ written: EventLoopPromise<Void>?) {
        gathered.writeBytes(bytes)
        if let written { gatheredPromises.append(written) }
        if gathered.readableBytes >= Self.pieceSize { writeGathered() }
    }

    private func writeGathered() {
        guard gathered.readableBytes > 0 || !gatheredPromises.isEmpty else { return }
        let promises = gatheredPromises
        gatheredPromises = []
        let written = promises.isEmpty ? nil : context.eventLoop.makePromise(of: Void.self)
        written?.futureResult.whenComplete { result in
            for promise in promises { promise.completeWith(result) }
        }
        context.write(part(.body(.byteBuffer(gathered))), promise: written)
        gathered = ByteBuffer()
    }

    private func drop(_ written: EventLoopPromise<Void>?) { written?.fail(ChannelError.alreadyClosed) }

    private func drip(_ portion: Int, _ pause: Duration) {
        isDripping = false
        guard !isOver, context.channel.isActive else { return }
        if let slice = pending.readSlice(length: min(max(1, portion), pending.readableBytes)) {
            pending.discardReadBytes()
            context.writeAndFlush(part(.body(.byteBuffer(slice))), promise: nil)
        }
        guard pending.readableBytes > 0 else {
            if endsAfterPending { finish() } else { whenWritable() }
            return
        }
        scheduleDrip(portion, pause)
    }

    private func scheduleDrip(_ portion: Int, _ pause: Duration) {
        isDripping = true
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(pause)) { self.drip(portion, pause) }
    }

    private func part(_ part: HTTPServerResponsePart) -> NIOAny { NIOAny(part) }
}

/// The handler next to the socket: what closes there closes at once.
final class FirstHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    static let name = "first"
}
