internal import Synchronization

/// What goes wrong with one request.
public enum Fault: Sendable, Equatable {
    /// This status in place of the answer.
    case status(Int, retryAfter: Int? = nil)
    /// 200 and a stream that begins with an ERROR event of this code; then it ends.
    case errorEvent(Int)
    /// The connection is reset before there is an answer.
    case reset
    /// There is never an answer.
    case silence
    /// The answer comes so much later.
    case late(Duration)
    /// Bytes that are no HTTP, then the end of the connection.
    case notHTTP
    /// The right body under `Content-Type: text/html`.
    case wrongContentType
    /// The head of the answer and this much of its body, then the connection is reset.
    case resetAfter(bytes: Int)
    /// So too, but the connection ends in the regular way, in the middle of the HTTP body.
    case cutAfter(bytes: Int)
    /// So too, but the HTTP body has a regular end there.
    case endAfter(bytes: Int)
    /// So too, but then nothing more comes and nothing ends.
    case stallAfter(bytes: Int)
    /// The right answer, in portions with pauses between them.
    case slow(bytes: Int, every: Duration)
    /// A list of how things were so many changes ago, as an API server gives whose cache lags behind
    /// (`resourceVersion=0`); of lists without a version it isn't allowed, and does nothing.
    case stale(changes: UInt64)
}

/// What goes wrong with a watch that runs.
public enum StreamFault: Sendable, Equatable {
    /// It ends in the regular way.
    case end
    /// The connection is reset.
    case reset
    /// Half of the next event, then the connection is reset.
    case resetInNextEvent
    /// Half of the next event, then the regular end of the HTTP body.
    case endInNextEvent
    /// Nothing more comes, and nothing ends.
    case stall
    /// An ERROR event of this code; then it ends.
    case errorEvent(Int)
    /// The last event once more.
    case repeatLast
    /// A bookmark, whether or not the client asked for bookmarks (servers may).
    case bookmark
    /// An event of a type that doesn't exist yet, with an object.
    case unknownEvent
    /// An event whose object is no object at all.
    case garbageObject
    /// A frame that is no event.
    case garbageFrame
    /// The beginning of a frame of 3 GiB; in JSON an event that doesn't end.
    case endlessFrame
}

/// Which requests a fault is for.
public enum FaultTarget: Sendable, Hashable {
    case any
    /// Lists, later pages among them.
    case list
    /// Pages of a list after the first.
    case continuation
    /// Watches of both sorts.
    case watch
    /// Watches with `sendInitialEvents`.
    case initialEvents
    case create

    func matches(_ request: ReceivedRequest) -> Bool {
        switch self {
        case .any: true
        case .list: request.verb == .list
        case .continuation: request.verb == .list && request.isContinuation
        case .watch: request.verb == .watch
        case .initialEvents: request.verb == .watch && request.wantsInitialEvents
        case .create: request.verb == .create
        }
    }
}

/// The faults to come, in the order they were added.
final class FaultPlan: Sendable {
    struct Rule: Sendable {
        var fault: Fault
        var target: FaultTarget
        /// nil: all.
        var resource: String?
        var times: Int
    }

    private let rules = Mutex<[Rule]>([])

    func add(_ rule: Rule) { rules.withLock { $0.append(rule) } }

    func clear() { rules.withLock { $0 = [] } }

    /// The fault for a request; one of its times is used up.
    func take(for request: ReceivedRequest) -> Fault? {
        rules.withLock { rules in
            let index = rules.firstIndex {
                ($0.resource == nil || $0.resource == request.resource) && $0.target.matches(request)
            }
            guard let index else { return nil }
            let fault = rules[index].fault
            rules[index].times -= 1
            if rules[index].times <= 0 { rules.remove(at: index) }
            return fault
        }
    }

    var isEmpty: Bool { rules.withLock(\.isEmpty) }
}
