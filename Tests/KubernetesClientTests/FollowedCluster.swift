import IPAddressing
import KubernetesAPI
import KubernetesClient
import KubernetesWire
import Logging
import Synchronization
import TemporaryFiles
import TestAPIServer

/// A test API server with a client that follows it, until `end`.
final class FollowedCluster: Sendable {
    /// What a client is made of.
    struct Setup: Sendable {
        var settings: ReflectorSettings
        var timeouts: APIClient.Timeouts
        var contentType = ""
        var qps = -1.0
        var burst = 100

        /// Short pauses. Silence is waited for longer than a busy machine may be silent.
        init() {
            settings = ReflectorSettings()
            settings.pageSize = 3
            settings.watchSeconds = 20...30
            settings.shortestPause = .milliseconds(2)
            settings.longestPause = .milliseconds(50)
            settings.healthyTime = .milliseconds(100)
            settings.longestRetryAfter = .milliseconds(20)
            settings.absentKindPause = .milliseconds(50)
            timeouts = APIClient.Timeouts()
            timeouts.credentialAge = .milliseconds(20)
        }

        /// For servers that fall silent. On a busy machine this one may take another for silent, and ask again.
        static let impatient: Setup = {
            var setup = Setup()
            setup.settings.watchSeconds = 2...4
            setup.settings.watchSlack = .milliseconds(500)
            setup.settings.bookmarkPatience = .milliseconds(1_000)
            setup.settings.listPatience = .milliseconds(1_000)
            setup.timeouts.connect = .seconds(2)
            setup.timeouts.head = .seconds(1)
            return setup
        }()
    }

    /// One authority for all tests: what it issues is as good for the next one.
    static let authority = Result { try CertificateAuthority() }
    static let serverCredential = Result { try authority.get().server() }
    static let nodeName = "node-1"
    /// All tests of a run at once would make each other's servers look silent.
    private static let gate = Gate(8)

    let server: TestAPIServer
    let view: ClusterView
    let log = CapturedLog()
    let directory: TemporaryDirectory
    let client: APIClient
    /// Of the client.
    let observations: Observed<APIClient.Observation>
    private let source: ClusterSource
    private let following = Mutex<Task<Void, Never>?>(nil)

    var store: ObjectStore { server.store }
    var kubeconfigPath: String { directory["kubeconfig"] }

    /// - Parameters:
    ///   - configure: before the server starts.
    ///   - kubeconfig: changes what the file says, and may write others beside it.
    init(
        _ setup: Setup = Setup(), historyLimit: Int = 4_096, credential: Credential? = nil,
        clientAuthority: String? = nil, view: ClusterView = ClusterView(),
        configure: (inout TestAPIServer.Configuration) -> Void = { _ in },
        kubeconfig: (inout Kubeconfig, TemporaryDirectory) throws -> Void = { _, _ in }
    ) async throws {
        await Self.gate.enter()
        var hasBegun = false
        defer { if !hasBegun { Task { await Self.gate.leave() } } }
        var configuration = TestAPIServer.Configuration()
        configuration.bookmarkInterval = .milliseconds(100)
        configure(&configuration)
        server = try TestAPIServer(
            ObjectStore(historyLimit: historyLimit), credential: credential ?? Self.serverCredential.get(),
            clientAuthority: clientAuthority, configuration: configuration)
        try await server.start()
        self.view = view
        directory = try TemporaryDirectory()
        var file = Kubeconfig(server: server.url, authority: try Self.authority.get().certificate)
        try kubeconfig(&file, directory)
        try directory.write(file.text, to: "kubeconfig")
        let observations = Observed<APIClient.Observation>()
        self.observations = observations
        client = APIClient(
            ClientConnection(
                kubeconfig: directory["kubeconfig"], contentType: setup.contentType, qps: setup.qps,
                burst: setup.burst),
            userAgent: "sluice/test", logger: log.logger, timeouts: setup.timeouts
        ) { observations.add($0) }
        source = ClusterSource(
            client: client, nodeName: Self.nodeName, logger: log.logger, settings: setup.settings
        ) { view.take($0) }
        hasBegun = true
    }

    /// The client begins.
    func follow() {
        following.withLock { following in
            guard following == nil else { return }
            following = Task { [source, view] in await source.run { view.take($0) } }
        }
    }

    /// Ends client and server; to be called once.
    private func end() async {
        let task = following.withLock { $0.take() }
        task?.cancel()
        await task?.value
        await client.shutDown()
        await server.stop()
        await Self.gate.leave()
    }

    /// Runs a test's body and ends all that it used, whatever came of it.
    func run(_ body: (FollowedCluster) async throws -> Void) async throws {
        do { try await body(self) } catch {
            await end()
            throw error
        }
        await end()
    }

    /// What the client must have told, now.
    var expected: [ClusterObject.Key: ClusterObject] {
        var all = store.values(.services, labelSelector: "!service.kubernetes.io/service-proxy-name")
            .filter { if case .service(let service) = $0.value { !service.isHeadless } else { true } }
        all.merge(store.values(.endpointSlices, labelSelector: "!service.kubernetes.io/headless")) { a, _ in a
        }
        all.merge(store.values(.nodes).filter { $0.key == .node(Self.nodeName) }) { a, _ in a }
        if server.configuration.hasServiceCIDRs { all.merge(store.values(.serviceCIDRs)) { a, _ in a } }
        return all
    }

    /// Waits until all kinds are complete and the client's view is the store's as it is now.
    func settle() async throws {
        let wanted = expected
        try await within(self.difference(from: wanted)) {
            try await self.view.wait { $0.completed.count == 4 && $0.objects == wanted }
        }
    }

    private func difference(from wanted: [ClusterObject.Key: ClusterObject]) -> String {
        let now = view.current
        let wrong = wanted.filter { now.objects[$0.key] != $0.value }.keys.map { "\($0)" }.sorted()
        let tooMany = now.objects.keys.filter { wanted[$0] == nil }.map { "\($0)" }.sorted()
        return "the client's view isn't the server's: missing or old: \(wrong); gone: \(tooMany); "
            + "complete: \(now.completed); log: \(log.complaints.suffix(8)); requests: "
            + "\(server.requests.suffix(8).map(\.uri))"
    }

    /// Waits for a request, the first from `number` on that matches.
    @discardableResult
    func request(
        from number: Int = 0, _ text: String, where matches: @escaping @Sendable (ReceivedRequest) -> Bool
    ) async throws -> ReceivedRequest {
        try await within("no request came: \(text); log: \(self.log.complaints.suffix(8))") {
            try await self.server.request(from: number, where: matches)
        }
    }

    /// Waits for a line that an operator sees.
    func complaint(containing parts: String...) async throws -> String {
        // Each failed request is told to the view, too: that is the event to look again.
        func find() -> String? { log.complaints.first { line in parts.allSatisfy { line.contains($0) } } }
        try await within("no line of \(parts) in \(self.log.complaints)") {
            try await self.view.wait { _ in
                self.log.complaints.contains { line in parts.allSatisfy { line.contains($0) } }
            }
        }
        return find() ?? ""
    }
}
