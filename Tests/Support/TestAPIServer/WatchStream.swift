internal import NIOCore

/// One watch: all that happens to what it selects, from a version on. Belongs to its connection's event loop.
final class WatchStream {
    private let server: TestAPIServer
    private let resource: APIResource
    private let selection: ObjectSelection
    private let mediaType: MediaType
    private let takesBookmarks: Bool
    private let writer: ResponseWriter
    private let eventLoop: any EventLoop

    /// Objects to be told first, the newest state of all; from `initialIndex` on they haven't been.
    private var initial: [StoredVersion]
    private var initialIndex = 0
    /// Whether the end of those is told by a bookmark.
    private var marksInitialEnd: Bool
    /// Changes up to this version have been told.
    private var version: UInt64
    /// What happens to the next event.
    private var ambush: StreamFault?
    private var lastFrame: [UInt8]?
    private var watcher: Int?
    private var timeout: Scheduled<Void>?
    private var nextBookmark: Scheduled<Void>?
    /// Writing may tell at once that there is room again, while the version told isn't noted yet.
    private var isPumping = false
    private(set) var isOver = false

    /// - Parameter initial: told before anything else; nil for none.
    init(
        _ server: TestAPIServer, _ request: ReceivedRequest, resource: APIResource,
        selection: ObjectSelection,
        mediaType: MediaType, from version: UInt64, initial: [StoredVersion]?, writer: ResponseWriter,
        on eventLoop: any EventLoop
    ) {
        self.server = server
        self.resource = resource
        self.selection = selection
        self.mediaType = mediaType
        takesBookmarks = ["1", "true"].contains(request.query["allowWatchBookmarks"])
        self.version = version
        self.initial = initial ?? []
        marksInitialEnd = request.wantsInitialEvents
        self.writer = writer
        self.eventLoop = eventLoop
    }

    /// - Parameter timeout: when the server ends it.
    func start(timeout: Duration?) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        watcher = server.store.watch { [eventLoop] in
            eventLoop.execute { bound.value.pump() }
        }
        if let timeout { self.timeout = schedule(in: timeout) { $0.expire() } }
        if let interval = server.configuration.bookmarkInterval, takesBookmarks { keepBookmarking(interval) }
        writer.flush()
        pump()
    }

    /// Forgets everything; the response is left as it is.
    func stop() {
        guard !isOver else { return }
        isOver = true
        timeout?.cancel()
        nextBookmark?.cancel()
        if let watcher { server.store.unwatch(watcher) }
    }

    /// Sends what there is to send, as much as the client takes.
    func pump() {
        guard !isOver, !isPumping else { return }
        isPumping = true
        while initialIndex < initial.count, writer.hasRoom {
            tell("ADDED", initial[initialIndex])
            initialIndex += 1
        }
        if initialIndex == initial.count { sendChanges() }
        isPumping = false
        writer.flush()
        if writer.isOver { stop() }
    }

    private func sendChanges() {
        if !initial.isEmpty {
            initial = []
            initialIndex = 0
        }
        if marksInitialEnd, writer.hasRoom {
            marksInitialEnd = false
            sendBookmark(endsInitial: true)
        }
        while !isOver, writer.hasRoom {
            guard let (changes, upTo) = server.store.changes(resource, after: version, limit: 64) else {
                return fail(.tooOld(version))
            }
            guard upTo > version else { return }
            for change in changes { tell(change) }
            version = upTo
        }
    }

    private func tell(_ change: ObjectStore.Change) {
        let before = change.before.flatMap { selection.contains($0) ? $0 : nil }
        let after = change.after.flatMap { selection.contains($0) ? $0 : nil }
        switch (before, after) {
        case (nil, nil): break
        case (nil, let after?): tell("ADDED", after)
        case (_?, let after?): tell("MODIFIED", after)
        // What leaves the selection is told as it was, with the version of the change.
        case (let before?, nil): tell("DELETED", before.restamped(change.version))
        }
    }

    private func tell(_ type: String, _ object: StoredVersion) {
        let frame = Envelope.frame(type, object.document(mediaType), mediaType)
        if let ambush {
            self.ambush = nil
            writer.write(frame.prefix(frame.count / 2))
            if ambush == .resetInNextEvent { writer.reset() } else { writer.end() }
            return stop()
        }
        lastFrame = frame
        guard let observer = server.configuration.onEventWritten else { return writer.write(frame) }
        let written = eventLoop.makePromise(of: Void.self)
        let (resource, version) = (resource, object.version)
        written.futureResult.whenSuccess { observer(resource, version) }
        writer.write(frame, written: written)
    }

    // MARK: - Bookmarks and ends

    private func schedule(
        in delay: Duration, _ work: @escaping @Sendable (WatchStream) -> Void
    ) -> Scheduled<Void> {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        return eventLoop.scheduleTask(in: TimeAmount(delay)) { work(bound.value) }
    }

    private func keepBookmarking(_ interval: Duration) {
        guard !isOver else { return }
        nextBookmark = schedule(in: interval) { stream in
            stream.bookmark()
            stream.keepBookmarking(interval)
        }
    }

    private func bookmark() {
        guard !isOver, initial.isEmpty, !marksInitialEnd, writer.hasRoom else { return }
        pump()
        guard !isOver, writer.hasRoom else { return }
        sendBookmark(endsInitial: false)
        writer.flush()
    }

    private func sendBookmark(endsInitial: Bool) {
        var metadata = APIMessage()
        metadata.add(6, "resourceVersion", .string("\(version)"))
        metadata.add(8, nil, .message([]))
        if endsInitial { metadata.add(12, "annotations", .map(["k8s.io/initial-events-end": "true"])) }
        let message: APIMessage = [.init(number: 1, name: "metadata", value: .message(metadata))]
        let item = mediaType == .protobuf ? message.protobuf : Array(message.json)
        writer.write(frame("BOOKMARK", item))
    }

    private func frame(_ type: String, _ item: [UInt8]) -> [UInt8] {
        let document = Envelope.document(
            item, apiVersion: resource.apiVersion, kind: resource.kind, mediaType)
        return Envelope.frame(type, document, mediaType)
    }

    private func expire() {
        if takesBookmarks { bookmark() }
        inject(.end)
    }

    private func fail(_ status: APIStatus) {
        writer.write(Envelope.frame("ERROR", status.document(mediaType), mediaType))
        writer.end()
        stop()
    }

    // MARK: - Faults

    func inject(_ fault: StreamFault) {
        guard !isOver else { return }
        switch fault {
        case .end:
            writer.end()
            stop()
        case .reset:
            writer.reset()
            stop()
        case .stall:
            writer.stall()
            stop()
        case .resetInNextEvent, .endInNextEvent: ambush = fault
        case .errorEvent(let code): fail(APIStatus(code: code))
        case .repeatLast: lastFrame.map { writer.write($0) }
        case .bookmark: bookmark()
        case .unknownEvent:
            let metadata: APIMessage = [.init(number: 1, name: "name", value: .string("of-tomorrow"))]
            let message: APIMessage = [.init(number: 1, name: "metadata", value: .message(metadata))]
            writer.write(frame("MERGED", mediaType == .protobuf ? message.protobuf : Array(message.json)))
        case .garbageObject:
            let garbage: [UInt8] = mediaType == .protobuf ? [0x6b, 0x38, 0x73, 0x00, 0xff] : Array("17".utf8)
            writer.write(Envelope.frame("MODIFIED", garbage, mediaType))
        case .garbageFrame:
            let garbage = [UInt8](repeating: 0xff, count: 16)
            writer.write(
                mediaType == .protobuf ? Envelope.bigEndian(16) + garbage : Array("{\"type\":[}\n".utf8))
        case .endlessFrame:
            let start = mediaType == .protobuf ? Envelope.bigEndian(3 << 30) : Array("{\"type\":\"".utf8)
            writer.write(start + [UInt8](repeating: UInt8(ascii: "A"), count: 1_024))
            writer.stall()
            stop()
        }
        writer.flush()
    }
}
