import Foundation
import KubernetesAPI
import KubernetesWire
public import Logging
import Synchronization

/// Posts Events (`events.k8s.io/v1`, as kube-proxy does) for what an operator must see.
///
/// The same trouble of the same object is posted once, and counted up in what was posted (`series`) at most every
/// five minutes. What can't be posted is told once and tried a few times; it never holds anything up.
public final class EventRecorder: Sendable {
    /// What became of an Event.
    public enum Outcome: Sendable, Equatable { case posted, failed, dropped }

    private static let reportingController = "sluice"
    private static let tryLimit = 8

    private let client: APIClient
    private let instance: String
    private let logger: Logger
    private let series = Mutex(EventSeries())
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation
    private let start = ContinuousClock.now
    private let pauses: (shortest: Duration, longest: Duration)
    private let observe: @Sendable (Outcome) -> Void

    /// - Parameters:
    ///   - nodeName: becomes part of `reportingInstance`.
    ///   - observe: told of each Event, and of each time that one is counted up.
    public convenience init(
        client: APIClient, nodeName: String, logger: Logger,
        observe: @escaping @Sendable (Outcome) -> Void = { _ in }
    ) {
        self.init(
            client: client, nodeName: nodeName, logger: logger, pauses: (.seconds(1), .seconds(30)),
            observe: observe)
    }

    init(
        client: APIClient, nodeName: String, logger: Logger, pauses: (shortest: Duration, longest: Duration),
        observe: @escaping @Sendable (Outcome) -> Void = { _ in }
    ) {
        self.observe = observe
        self.client = client
        instance = String("\(Self.reportingController)-\(nodeName)".prefix(128))
        self.logger = logger
        self.pauses = pauses
        (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes an Event in to be posted; never blocks. Beyond a thousand that wait, further ones are dropped.
    public func record(_ event: RecordedEvent) {
        let now = ContinuousClock.now - start
        let isDropped = series.withLock { series in
            let before = series.dropped
            series.record(event, name: Self.name(event), now: now)
            return series.dropped > before
        }
        if isDropped { observe(.dropped) }
        signal.yield()
    }

    /// How many Events were dropped.
    public var dropped: Int { series.withLock { $0.dropped } }

    /// Posts what was recorded until the task is cancelled.
    public func run() async {
        var isFailureTold = false
        var isDropTold = false
        for await _ in signals {
            while let post = series.withLock({ $0.next(now: ContinuousClock.now - start) }) {
                let failure = await deliver(post)
                if Task.isCancelled { return }
                observe(failure == nil ? .posted : .failed)
                if let failure, !isFailureTold {
                    isFailureTold = true
                    logger.warning("Events can't be posted: \(failure)")
                }
            }
            if !isDropTold, dropped > 0 {
                isDropTold = true
                logger.warning("more Events than can be posted: some are dropped")
            }
        }
    }

    /// - Returns: why it was given up.
    private func deliver(_ post: EventSeries.Post) async -> String? {
        var backoff = Backoff(shortest: pauses.shortest, longest: pauses.longest)
        var random = SystemRandomNumberGenerator()
        var last: String?
        for _ in 0..<Self.tryLimit {
            do {
                try await client.send(request(post)) { _ in }
                return nil
            } catch let failure as APIClient.Failure {
                last = "\(failure.host ?? "the API server"): create events: \(failure.failure.message)"
                switch (failure.failure.code, post) {
                case (404, .patch(let event, _, _)):
                    // An Event lives for an hour.
                    series.withLock { $0.recreate(event, name: Self.name(event)) }
                    return nil
                case (409, .create): return nil
                case (let code?, _) where code < 500 && code != 429 && code != 401 && code != 408:
                    return last
                default: break
                }
                let pause = max(
                    backoff.next(using: &random), min(failure.failure.retryAfter ?? .zero, pauses.longest))
                try? await Task.sleep(for: pause)
            } catch { last = "\(error)" }
            if Task.isCancelled { return nil }
        }
        return last
    }

    private func request(_ post: EventSeries.Post) -> APIRequest {
        let moment = Self.microTime(Date())
        let json = BodyEncoding.json.mediaType
        switch post {
        case .create(let event, let name):
            let body = JSONValue.object([
                "apiVersion": .text("events.k8s.io/v1"), "kind": .text("Event"),
                "metadata": .object(["name": .text(name), "namespace": .text(event.namespace)]),
                "eventTime": .text(moment), "reportingController": .text(Self.reportingController),
                "reportingInstance": .text(instance), "type": .text(event.type.rawValue),
                "reason": .text(event.reason), "action": .text(event.action),
                "note": .text(Self.cut(event.note)), "regarding": event.reference,
            ])
            return APIRequest(
                method: .post, path: Self.path(event), accept: json, body: Self.encode(body),
                contentType: json,
                verb: "create", resource: "events")
        case .patch(let event, let name, let count):
            let body = JSONValue.object([
                "series": .object(["count": .integer(count), "lastObservedTime": .text(moment)])
            ])
            return APIRequest(
                method: .patch, path: "\(Self.path(event))/\(name)", accept: json, body: Self.encode(body),
                contentType: "application/merge-patch+json", verb: "patch", resource: "events")
        }
    }

    private static func path(_ event: RecordedEvent) -> String {
        "/apis/events.k8s.io/v1/namespaces/\(event.namespace)/events"
    }

    private static func encode(_ value: JSONValue) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts and whole numbers alone can always be encoded.
        return (try? encoder.encode(value)).map { [UInt8]($0) } ?? []
    }

    private static func cut(_ note: String) -> String {
        var note = note.prefix(RecordedEvent.noteLimit)
        while note.utf8.count > RecordedEvent.noteLimit { note.removeLast() }
        return String(note)
    }

    /// As client-go names them: the object's name and a number that no other has.
    private static func name(_ event: RecordedEvent) -> String {
        let suffix = "." + String(UInt64.random(in: .min ... .max), radix: 16)
        return event.objectName.prefix(253 - suffix.utf8.count) + suffix
    }

    /// `v1.MicroTime`: RFC 3339 with six digits after the second.
    static func microTime(_ date: Date) -> String {
        let total = Int64((date.timeIntervalSince1970 * 1_000_000).rounded())
        let seconds = Date(timeIntervalSince1970: Double(total / 1_000_000))
        let text = seconds.formatted(Date.ISO8601FormatStyle())
        let fraction = String(total % 1_000_000)
        return text.dropLast() + "." + String(repeating: "0", count: 6 - fraction.count) + fraction + "Z"
    }
}
