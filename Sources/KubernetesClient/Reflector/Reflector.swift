import KubernetesAPI
import KubernetesWire

/// Follows one kind of objects: decides what to ask next from what came back.
///
/// It has no clock (`now` counts from any moment, and never back), no socket and no sleep. Whoever drives it does
/// what the last action says and tells what came of it:
///
///     start ─► request ─► accepted, then each object or event ─► ended ─► request or pause ─► …
///
/// What holds, whatever the server does: an update changes the objects to what the server had at one moment not
/// before the last update's; an object is removed only when the server said that it is gone, or when a whole list
/// lacks it, of which all names could be told.
struct Reflector: Sendable {
    private enum Phase: Sendable {
        case idle
        case listing(ObjectList)
        /// A stream whose first part isn't complete.
        case streaming(ObjectList)
        case watching
    }

    let kind: ResourceKind
    private let settings: ReflectorSettings
    private var selector: Selector
    private var random: any RandomNumberGenerator & Sendable

    private var phase = Phase.idle
    private var register = ObjectRegister()
    private var isComplete = false
    private var completes = false

    /// The version that all told objects are at least of; nil before the first list.
    private(set) var version: String?
    /// Whether all objects must be asked for before a watch can start.
    private var needsList = true
    /// A watch's version was unavailable, all was asked for anew, and no watch has brought anything since.
    private var relistsInVain = false
    /// The last list couldn't tell whether some objects are gone: with the end of its watch comes another.
    private var isInDoubt = false
    private var manner: ListManner
    private var paging = Paging()
    /// The server knows `sendInitialEvents`.
    private var hasStreamed = false

    private var request: ReflectorRequest?
    private var failure: RequestFailure?
    /// Since when the watch that runs is answered.
    private var watchedSince: Duration?
    /// Watches in a row that the server broke off before they brought anything.
    private var fruitlessWatches = 0
    private static let fruitlessWatchLimit = 4
    private var listBegan = Duration.zero
    private var eventsReceived = 0
    private var bookmarksReceived = 0

    private var failures: FailureRegister
    private var notes: [Note] = []

    init(
        _ kind: ResourceKind, nodeName: String, settings: ReflectorSettings,
        random: any RandomNumberGenerator & Sendable
    ) {
        self.kind = kind
        self.settings = settings
        self.random = random
        selector = Selector(kind, nodeName: nodeName)
        manner = ListManner(settings)
        failures = FailureRegister(settings)
    }

    // MARK: What was asked

    /// The first action, and the one after a pause.
    mutating func next(now: Duration) -> Action {
        guard needsList else { return send(.watch(version: version ?? "", seconds: watchSeconds())) }
        listBegan = now
        paging = Paging()
        let purpose = manner.purpose(from: version, seconds: watchSeconds())
        if case .stream = purpose { phase = .streaming(ObjectList()) } else { phase = .listing(ObjectList()) }
        return send(purpose)
    }

    private mutating func watchSeconds() -> Int {
        Int.random(in: settings.watchSeconds, using: &random)
    }

    private mutating func send(_ purpose: ReflectorRequest.Purpose) -> Action {
        var deadline: Duration?
        switch purpose {
        case .list: break
        case .watch(_, let seconds):
            phase = .watching
            deadline = .seconds(seconds) + settings.watchSlack
        case .stream(_, let seconds):
            deadline = .seconds(seconds) + settings.watchSlack
        }
        let request = ReflectorRequest(
            purpose: purpose, labelSelector: selector.label, fieldSelector: selector.field, deadline: deadline
        )
        self.request = request
        failure = nil
        watchedSince = nil
        eventsReceived = 0
        bookmarksReceived = 0
        return .request(request)
    }

    // MARK: What came back

    /// The head of a response that is 2xx.
    mutating func accepted(now: Duration) {
        if case .watching = phase { watchBegan(now) }
    }

    private mutating func watchBegan(_ now: Duration) {
        watchedSince = now
        notes.append(.watching)
    }

    /// How long the body may take to begin; nil: as long as it likes.
    var firstPatience: Duration? {
        guard case .streaming = phase, !hasStreamed else { return patience }
        return min(settings.streamPatience, settings.listPatience)
    }

    /// How long the body, once begun, may bring nothing; nil: as long as it likes.
    var patience: Duration? {
        switch phase {
        case .idle, .listing, .streaming: settings.listPatience
        case .watching: bookmarksReceived > 0 ? settings.bookmarkPatience : nil
        }
    }

    /// An object of a list.
    mutating func receive(_ object: DecodedObject) {
        guard case .listing(var list) = phase else { return }
        phase = .idle  // The list is changed in its place.
        list.upsert(object, known: register)
        phase = .listing(list)
    }

    /// An event of a watch.
    ///
    /// - Returns: false when the body is to be read no further.
    mutating func receive(_ event: WatchEvent, now: Duration) -> Bool {
        guard failure == nil else { return false }
        switch event {
        case .error(let status):
            failure = RequestFailure(status)
            return false
        case .unknown(let type):
            // A newer server's; what it means can't be told, so start afresh.
            failure = RequestFailure(.undecodable, "an event of unknown type \(RequestFailure.oneLine(type))")
            return false
        case .bookmark(let version, let endsInitialEvents):
            eventsReceived += 1
            bookmarksReceived += 1
            if endsInitialEvents, case .streaming(let list) = phase {
                complete(list, version: version, now: now)
                hasStreamed = true
                phase = .watching
                watchBegan(now)
            } else if case .watching = phase {
                advance(to: version)
            }
        case .upserted(let object):
            eventsReceived += 1
            switch phase {
            case .streaming(var list):
                phase = .idle
                list.upsert(object, known: register)
                phase = .streaming(list)
            case .watching:
                register.upsert(object)
                advance(to: object.resourceVersion)
            case .idle, .listing: break
            }
        case .deleted(let object):
            eventsReceived += 1
            switch phase {
            case .streaming(var list):
                phase = .idle
                if let key = object.key { list.remove(key) }
                phase = .streaming(list)
            case .watching:
                if let key = object.key { register.remove(key) }
                advance(to: object.resourceVersion)
            case .idle, .listing: break
            }
        }
        noteHealth(now)
        return true
    }

    private mutating func advance(to version: String) {
        guard !version.isEmpty, version != self.version else { return }
        self.version = version
        // A watch that brings something does what it is for: the next failure is a first one again. One that is only
        // accepted isn't, nor one that tells what was known.
        failures.forgetPauses()
        relistsInVain = false
    }

    /// Takes what has changed since the last call; nil when nothing has.
    mutating func takeUpdate() -> SourceUpdate? {
        let pending = register.take()
        let update = SourceUpdate(
            kind: kind, upserted: Array(pending.upserted.values), removed: Array(pending.removed),
            problems: pending.problems, triggerTimes: pending.triggerTimes, isFirstComplete: completes)
        completes = false
        return update.isEmpty ? nil : update
    }

    mutating func takeNotes() -> [Note] {
        defer { notes = [] }
        return notes
    }

    // MARK: What follows

    /// The end of a request, whatever it was.
    ///
    /// - Returns: what to do next.
    mutating func ended(_ end: End, now: Duration) -> Action {
        guard let request else { return next(now: now) }
        self.request = nil
        if isInDoubt, case .watching = phase { needsList = true }
        noteHealth(now)
        if let failure { return failed(request, failure, now: now) }
        switch end {
        case .failure(let failure): return failed(request, failure, now: now)
        case .page(let metadata): return pageEnded(request, metadata, now: now)
        case .clean: return watchEnded(request, now: now)
        }
    }

    private mutating func pageEnded(
        _ request: ReflectorRequest, _ metadata: ListMetadata, now: Duration
    ) -> Action {
        guard case .listing(let list) = phase, case .list(let version, let limit, _) = request.purpose else {
            return next(now: now)
        }
        if let token = metadata.continueToken, !token.isEmpty {
            if let complaint = paging.page(objects: list.count, next: token) {
                manner.takeWhole()
                return failed(request, RequestFailure(.undecodable, complaint), now: now)
            }
            return send(.list(version: version, limit: limit, continueToken: token))
        }
        complete(list, version: metadata.resourceVersion, now: now)
        return next(now: now)
    }

    private mutating func complete(_ list: ObjectList, version: String, now: Duration) {
        isInDoubt = register.replace(with: list)
        if isInDoubt { notes.append(.inDoubt) }
        self.version = version
        needsList = false
        fruitlessWatches = 0
        manner.complete()
        completeOnce()
        notes.append(.listed(objects: list.count, took: now - listBegan))
    }

    private mutating func completeOnce() {
        guard !isComplete else { return }
        isComplete = true
        completes = true
    }

    private mutating func watchEnded(_ request: ReflectorRequest, now: Duration) -> Action {
        if case .streaming = phase {
            // A server that doesn't know `sendInitialEvents` never says where they end.
            manner.page()
            return next(now: now)
        }
        let lasted = watchedSince.map { now - $0 } ?? .zero
        if eventsReceived == 0, lasted < .seconds(1) {
            return failed(
                request, RequestFailure(.endedAtOnce, "the watch ended as soon as it had begun"), now: now)
        }
        return next(now: now)
    }

    private mutating func failed(
        _ request: ReflectorRequest, _ failure: RequestFailure, now: Duration
    ) -> Action {
        if let action = remedy(request, failure, now: now) { return action }
        notes.append(.failed(failure))
        if failures.add(failure, verb: request.verb) {
            notes.append(.failing(verb: request.verb, failure))
        }
        if failure.code == 403, kind == .nodes || kind == .serviceCIDRs { completeOnce() }
        return .pause(failures.pause(after: failure, using: &random))
    }

    /// What to do at once about a failure that says how to ask better; nil when there is nothing but to wait.
    private mutating func remedy(
        _ request: ReflectorRequest, _ failure: RequestFailure, now: Duration
    ) -> Action? {
        if failure.isVersionUnavailable { return versionUnavailable(request, failure, now: now) }
        switch request.purpose {
        case .stream:
            guard case .streaming = phase else { return nil }
            switch failure.reason {
            case .status(400), .status(403), .status(404), .status(405), .status(406), .status(415),
                .status(422):
                // A server that can't do it, or doesn't let us; if it is for another reason, the list tells.
                manner.page()
                return next(now: now)
            case .silence, .undecodable: manner.page()
            default: break
            }
            return nil
        case .list:
            if failure.code == 400, kind == .services, selector.field != nil {
                // An older server can't select by it. What it would keep out is passed over.
                selector.field = nil
                return next(now: now)
            }
            // Whatever its body: for a group or version that it doesn't serve, a server answers in plain text.
            if failure.code == 404, kind == .serviceCIDRs { return absent(now: now) }
            return nil
        case .watch:
            switch failure.reason {
            // Asked again, it would be the same again.
            case .status(400), .status(404), .status(405), .status(422), .undecodable: needsList = true
            case .status(500...):
                fruitlessWatches = eventsReceived == 0 ? fruitlessWatches + 1 : 0
                if fruitlessWatches >= Self.fruitlessWatchLimit { needsList = true }
            default: break
            }
            return nil
        }
    }

    /// What was asked from a version that the server doesn't have.
    ///
    /// A list is asked for, of the same version or a newer one; where that can't be had either, of the newest.
    private mutating func versionUnavailable(
        _ request: ReflectorRequest, _ failure: RequestFailure, now: Duration
    ) -> Action? {
        needsList = true
        if case .watching = phase {
            notes.append(.relisting(failure))
            // A server that gives lists of versions it can't watch from would send all of them without end.
            guard !relistsInVain else { return nil }
            relistsInVain = true
            notes.append(.failed(failure))
            return next(now: now)
        }
        return manner.versionRefused(for: request.purpose) ? next(now: now) : nil
    }

    /// The kind isn't there: neither are its objects.
    private mutating func absent(now: Duration) -> Action {
        isInDoubt = register.replace(with: ObjectList())
        if !isComplete { notes.append(.absent) }
        completeOnce()
        manner.absent()
        failures.forgetPauses()
        let pause = settings.absentKindPause
        return .pause(pause + pause * Double.random(in: 0..<0.5, using: &random))
    }

    /// After a healthy time of a watch, a failure is a first one again. A list proves nothing, however long it takes.
    private mutating func noteHealth(_ now: Duration) {
        guard let watchedSince, now - watchedSince >= settings.healthyTime else { return }
        let count = failures.clear()
        if count > 0 { notes.append(.recovered(failures: count)) }
    }
}
