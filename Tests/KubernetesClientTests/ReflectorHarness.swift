import KubernetesAPI
import KubernetesWire
import SeededRandom

@testable import KubernetesClient

/// A reflector and the requests it makes, by hand.
struct ReflectorHarness {
    var reflector: Reflector
    var action: Reflector.Action
    var now = Duration.zero

    init(_ kind: ResourceKind = .endpointSlices, streams: Bool = false) {
        var settings = ReflectorSettings()
        settings.streamsLists = streams
        reflector = Reflector(kind, nodeName: "n1", settings: settings, random: SeededGenerator(seed: 3))
        action = reflector.next(now: .zero)
    }

    var request: ReflectorRequest? { if case .request(let request) = action { request } else { nil } }
    var pause: Duration? { if case .pause(let pause) = action { pause } else { nil } }
    /// As in a URL.
    var query: String { (request?.query ?? []).map { "\($0.name)=\($0.value)" }.joined(separator: "&") }

    mutating func end(_ end: Reflector.End) { action = reflector.ended(end, now: now) }

    mutating func refuse(_ code: Int, _ reason: String = "", _ message: String = "", retryAfter: Int? = nil) {
        end(
            .failure(
                RequestFailure(
                    StatusError(code: code, reason: reason, message: message, retryAfterSeconds: retryAfter)))
        )
    }

    mutating func fail(_ reason: RequestFailure.Reason) { end(.failure(RequestFailure(reason, "failed"))) }

    mutating func rest() {
        if let pause { now += pause }
        action = reflector.next(now: now)
    }

    mutating func list(_ objects: [String: Int], version: String, next: String? = nil) {
        reflector.accepted(now: now)
        for (name, version) in objects { reflector.receive(Self.decoded(name, version)) }
        end(.page(ListMetadata(resourceVersion: version, continueToken: next)))
    }

    mutating func watch(_ events: WatchEvent...) {
        reflector.accepted(now: now)
        for event in events { _ = reflector.receive(event, now: now) }
    }

    static func decoded(_ name: String, _ version: Int) -> DecodedObject {
        DecodedObject(
            key: .serviceCIDR(name), content: .object(ModelServer.object(name, version)),
            resourceVersion: "\(version)", triggerTime: Int64(version))
    }

    /// Names of what the next update tells, sorted; `-` before those that are removed.
    mutating func told() -> [String] {
        guard let update = reflector.takeUpdate() else { return [] }
        let names = update.upserted.map { object in
            if case .serviceCIDR(let block) = object { block.name } else { "?" }
        }
        let gone = update.removed.map { key in
            if case .serviceCIDR(let name) = key { "-\(name)" } else { "?" }
        }
        return (names + gone).sorted() + (update.isFirstComplete ? ["complete"] : [])
    }
}
