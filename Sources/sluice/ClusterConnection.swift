import Agent
import KubernetesAPI
import KubernetesClient
import KubernetesWire
import Logging
import ProxyConfiguration
import Synchronization

/// The cluster's API server: what the agent serves when no manifests are named.
struct ClusterConnection: Sendable {
    let client: APIClient
    let source: ClusterSource
    let events: EventRecorder

    init(_ configuration: AgentConfiguration, metrics: AgentMetrics, logger: Logger) {
        let settings = configuration.client
        client = APIClient(
            ClientConnection(
                kubeconfig: settings.kubeconfig ?? "", master: settings.master ?? "",
                contentType: settings.contentType, acceptContentTypes: settings.acceptContentTypes,
                qps: settings.qps ?? -1, burst: settings.burst),
            userAgent: "sluice/\(Version.number) (linux/\(Self.architecture))", logger: logger)
        let nodeName = configuration.proxy.nodeName
        source = ClusterSource(client: client, nodeName: nodeName, logger: logger) { observation in
            switch observation {
            case .listed(let kind, objects: _, let duration): metrics.listed(kind.resource, took: duration)
            case .watching(let kind): metrics.watchBegan(kind.resource)
            case .failed(let kind, reason: _): metrics.sourceFailed(kind.resource)
            }
        }
        events = EventRecorder(client: client, nodeName: nodeName, logger: logger)
    }

    /// Tells those who own a Service what is wrong with it, as an Event.
    ///
    /// - Parameter problem: about other objects, it stays in the log.
    func report(_ problem: ObjectProblem, reason: String, action: String) {
        guard let name = problem.serviceName else { return }
        let note = (problem.field.map { "\($0): " } ?? "") + problem.message
        events.record(RecordedEvent(regarding: .service(name), reason: reason, action: action, note: note))
    }

    /// As Go calls it.
    private static var architecture: String {
        #if arch(x86_64)
            "amd64"
        #elseif arch(arm64)
            "arm64"
        #else
            "unknown"
        #endif
    }
}

extension ObjectProblem {
    /// Of `Service default/web`.
    fileprivate var serviceName: ObjectName? {
        guard let object, object.hasPrefix("Service ") else { return nil }
        let words = object.dropFirst("Service ".count).split(separator: "/")
        guard words.count == 2 else { return nil }
        return ObjectName(namespace: String(words[0]), name: String(words[1]))
    }
}

extension FirstSync.Objects {
    init(_ objects: [ClusterObject]) {
        self.init(
            objects: Dictionary(objects.map { ($0.key, $0) }, uniquingKeysWith: { _, last in last }))
    }
}

/// Holds back what an API server tells until it has told all kinds of objects once (statement 6); from then on, hands
/// everything to the agent's inbox.
final class FirstSync: Sendable {
    /// All objects of a cluster, as they were when the last kind was complete.
    struct Objects: Sendable {
        var objects: [ClusterObject.Key: ClusterObject] = [:]
        var triggerTimes: [ClusterObject.Key: Int64] = [:]
    }

    private struct State {
        var gathered: Objects? = Objects()
        var missing = Set(ResourceKind.allCases)
    }

    private let state = Mutex(State())
    private let inbox: ChangeInbox
    private let logger: Logger
    private let stream: AsyncStream<Objects>
    private let complete: AsyncStream<Objects>.Continuation

    init(_ inbox: ChangeInbox, logger: Logger) {
        self.inbox = inbox
        self.logger = logger
        (stream, complete) = AsyncStream.makeStream(of: Objects.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes what the source tells.
    func take(_ update: SourceUpdate) {
        state.withLock { state in
            guard state.gathered != nil else {
                // Within the lock, so that no update overtakes another of its kind.
                inbox.put(
                    upserted: update.upserted, removed: update.removed, problems: update.problems,
                    triggerTimes: update.triggerTimes)
                return
            }
            for problem in update.problems { logger.warning("\(problem)") }
            for key in update.removed {
                state.gathered?.objects[key] = nil
                state.gathered?.triggerTimes[key] = nil
            }
            for object in update.upserted { state.gathered?.objects[object.key] = object }
            state.gathered?.triggerTimes.merge(update.triggerTimes) { first, _ in first }
            if update.isFirstComplete { state.missing.remove(update.kind) }
            guard state.missing.isEmpty, let all = state.gathered else { return }
            state.gathered = nil
            complete.yield(all)
            complete.finish()
        }
    }

    /// Waits for it; nil when the task is cancelled before. For one caller.
    func objects() async -> Objects? {
        for await objects in stream { return objects }
        return nil
    }
}
