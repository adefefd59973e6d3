/// Which Events are posted when: the same again becomes a count in what was posted, at most every five minutes.
struct EventSeries: Sendable {
    /// What to send.
    enum Post: Sendable, Equatable {
        case create(RecordedEvent, name: String)
        /// `count` of them so far.
        case patch(RecordedEvent, name: String, count: Int)
    }

    /// How long the same Event waits for more of its kind.
    static let interval = Duration.seconds(300)
    /// Posts that wait; more are dropped.
    static let queueLimit = 1000
    /// Events that are remembered; the oldest are forgotten.
    static let memoryLimit = 4096
    /// A series without news for this long is over: what comes then is a new Event.
    static let seriesEnd = Duration.seconds(3600)

    private struct Series: Sendable {
        var name: String
        var count: Int
        var postedAt: Duration
        var postedCount: Int
        var isQueued: Bool
    }

    private var series: [RecordedEvent: Series] = [:]
    private var queue: [RecordedEvent] = []
    private(set) var dropped = 0
    var remembered: Int { series.count }

    /// Takes an Event in.
    ///
    /// - Parameters:
    ///   - name: of the object to be made, if one is made.
    mutating func record(_ event: RecordedEvent, name: @autoclosure () -> String, now: Duration) {
        if var known = series[event], known.isQueued || now - known.postedAt < Self.seriesEnd {
            known.count += 1
            series[event] = known
            if !known.isQueued, now - known.postedAt >= Self.interval { enqueue(event) }
            return
        }
        guard queue.count < Self.queueLimit else {
            dropped += 1
            return
        }
        if series.count >= Self.memoryLimit { forget() }
        series[event] = Series(name: name(), count: 1, postedAt: now, postedCount: 0, isQueued: false)
        enqueue(event)
    }

    private mutating func enqueue(_ event: RecordedEvent) {
        guard queue.count < Self.queueLimit else {
            dropped += 1
            return
        }
        series[event]?.isQueued = true
        queue.append(event)
    }

    private mutating func forget() {
        let oldest = series.filter { !$0.value.isQueued }.sorted { $0.value.postedAt < $1.value.postedAt }
        for (event, _) in oldest.prefix(Self.memoryLimit / 2) { series[event] = nil }
    }

    /// The next thing to send; nil when there is none.
    mutating func next(now: Duration) -> Post? {
        guard let event = queue.first, var known = series[event] else { return nil }
        queue.removeFirst()
        known.isQueued = false
        known.postedAt = now
        defer { series[event] = known }
        let isNew = known.postedCount == 0
        known.postedCount = known.count
        return isNew
            ? .create(event, name: known.name) : .patch(event, name: known.name, count: known.count)
    }

    /// What was to be counted up is no longer there: it is made again.
    mutating func recreate(_ event: RecordedEvent, name: String) {
        series[event]?.name = name
        series[event]?.postedCount = 0
        enqueueFirst(event)
    }

    private mutating func enqueueFirst(_ event: RecordedEvent) {
        guard series[event]?.isQueued == false, queue.count < Self.queueLimit else { return }
        series[event]?.isQueued = true
        queue.insert(event, at: 0)
    }
}
