public import KubernetesWire
public import Logging

/// The cluster's objects as an API server gives them, followed as they change.
///
/// Of the objects only names and versions are kept here. Whatever fails, what was told stands, and it is tried again.
public struct ClusterSource: Sendable {
    /// What is told to metrics.
    public enum Observation: Sendable, Equatable {
        /// A list is complete, by pages or as a stream.
        case listed(ResourceKind, objects: Int, took: Duration)
        /// A watch began; each after a kind's first is a restart.
        case watching(ResourceKind)
        /// A list or watch failed and is tried again. The reasons are few: a status code or a word.
        case failed(ResourceKind, reason: String)
    }

    private let client: APIClient
    private let nodeName: String
    private let logger: Logger
    private let settings: ReflectorSettings
    private let observe: @Sendable (Observation) -> Void

    /// - Parameters:
    ///   - client: may be shared; its rate limit holds for all.
    ///   - nodeName: the only Node that is followed.
    ///   - observe: called from several tasks at once; must not block.
    public init(
        client: APIClient, nodeName: String, logger: Logger,
        settings: ReflectorSettings = ReflectorSettings(),
        observe: @escaping @Sendable (Observation) -> Void = { _ in }
    ) {
        self.client = client
        self.nodeName = nodeName
        self.logger = logger
        self.settings = settings
        self.observe = observe
    }

    /// Follows Services, EndpointSlices, the Node and ServiceCIDRs until the task is cancelled.
    ///
    /// - Parameter sink: called from several tasks at once, for each kind in the order of its changes. While it
    ///   runs, nothing more of that kind is read.
    public func run(_ sink: @escaping @Sendable (SourceUpdate) -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for kind in ResourceKind.allCases {
                let follower = Follower(
                    kind, client: client, nodeName: nodeName, settings: settings, logger: logger,
                    observe: observe, sink: sink)
                group.addTask { await follower.run() }
            }
        }
    }
}

extension RequestFailure {
    /// As a label of a metric.
    var metricReason: String {
        switch reason {
        case .credentials: "credentials"
        case .unreachable: "unreachable"
        case .nameUnknown: "name"
        case .certificate: "certificate"
        case .tls: "tls"
        case .proxy: "proxy"
        case .connectTimeout, .headTimeout: "timeout"
        case .silence: "silence"
        case .brokenOff, .endedAtOnce: "broken"
        case .status(let code): "\(code)"
        case .undecodable: "undecodable"
        case .other: "other"
        }
    }
}
