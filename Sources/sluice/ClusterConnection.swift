import Agent
import KubernetesAPI
import KubernetesClient
import KubernetesWire
import Logging
import ProxyConfiguration

/// The cluster's API server: what the agent serves when no manifests are named.
struct ClusterConnection: Sendable {
    let client: APIClient
    let source: ClusterSource
    let events: EventRecorder

    /// - Parameter listed: called when a list is complete, which may have been large.
    init(
        _ configuration: AgentConfiguration, metrics: AgentMetrics, logger: Logger,
        listed: @escaping @Sendable () -> Void = {}
    ) {
        let settings = configuration.client
        client = APIClient(
            ClientConnection(
                kubeconfig: settings.kubeconfig ?? "", master: settings.master ?? "",
                contentType: settings.contentType, acceptContentTypes: settings.acceptContentTypes,
                qps: settings.qps ?? -1, burst: settings.burst),
            userAgent: "sluice/\(Version.number) (linux/\(Self.architecture))", logger: logger
        ) {
            metrics.requested(method: $0.method, host: $0.host, status: $0.status, took: $0.duration)
        }
        let nodeName = configuration.proxy.nodeName
        source = ClusterSource(client: client, nodeName: nodeName, logger: logger) { observation in
            switch observation {
            case .listed(let kind, objects: _, let duration):
                metrics.listed(kind.resource, took: duration)
                listed()
            case .watching(let kind): metrics.watchBegan(kind.resource)
            case .failed(let kind, reason: _): metrics.sourceFailed(kind.resource)
            }
        }
        events = EventRecorder(client: client, nodeName: nodeName, logger: logger) { outcome in
            switch outcome {
            case .posted: metrics.event(.posted)
            case .failed: metrics.event(.failed)
            case .dropped: metrics.event(.dropped)
            }
        }
    }

    /// Tells those who own a Service what is wrong with it, as an Event.
    ///
    /// - Parameter problem: about other objects, it stays in the log.
    func report(_ problem: ObjectProblem, reason: String, action: String) {
        guard case .object(.service(let name)) = problem.subject else { return }
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
