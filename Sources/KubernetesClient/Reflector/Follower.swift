import AsyncHTTPClient
import KubernetesAPI
import KubernetesWire
import Logging
import NIOCore

/// Drives one reflector: sends its requests, decodes what comes while it comes, and sleeps its pauses.
actor Follower {
    private let kind: ResourceKind
    private let client: APIClient
    private let logger: Logger
    private let observe: @Sendable (ClusterSource.Observation) -> Void
    private let sink: @Sendable (SourceUpdate) -> Void
    private let clock = ContinuousClock()
    private let watchInterval: Duration
    private let start = ContinuousClock.now
    private var reflector: Reflector
    private var host: String?

    init(
        _ kind: ResourceKind, client: APIClient, nodeName: String, settings: ReflectorSettings,
        logger: Logger,
        observe: @escaping @Sendable (ClusterSource.Observation) -> Void,
        sink: @escaping @Sendable (SourceUpdate) -> Void
    ) {
        self.kind = kind
        self.client = client
        self.logger = logger
        self.observe = observe
        self.sink = sink
        watchInterval = min(settings.listPatience, settings.bookmarkPatience)
        reflector = Reflector(
            kind, nodeName: nodeName, settings: settings, random: SystemRandomNumberGenerator())
    }

    private var now: Duration { clock.now - start }

    func run() async {
        var action = reflector.next(now: now)
        while !Task.isCancelled {
            switch action {
            case .pause(let pause):
                try? await clock.sleep(for: pause)
                action = reflector.next(now: now)
            case .request(let request):
                let end = await perform(request)
                if Task.isCancelled { return }
                action = reflector.ended(end, now: now)
                handOver()
            }
        }
    }

    /// Sends a request and reads its body to the end, but no longer than it may take.
    private func perform(_ request: ReflectorRequest) async -> Reflector.End {
        // Looking more often costs a process that is idle.
        let watchdog = Watchdog(interval: min(watchInterval, reflector.firstPatience ?? watchInterval))
        return await withTaskGroup(of: Reflector.End?.self) { group in
            group.addTask { await self.exchange(request, watchdog) }
            group.addTask { await watchdog.wait() }
            while let end = await group.next() {
                guard let end else { continue }
                group.cancelAll()
                return end
            }
            return .failure(RequestFailure(.other("cancelled"), "cancelled"))
        }
    }

    /// - Returns: nil when cancelled.
    private func exchange(_ request: ReflectorRequest, _ watchdog: Watchdog) async -> Reflector.End? {
        let outgoing = APIRequest(
            path: kind.path, query: request.query, accept: client.accept,
            verb: request.verb, resource: kind.resource)
        do {
            let end = try await client.send(outgoing) { response in
                host = response.host
                reflector.accepted(now: now)
                watchdog.begin(deadline: request.deadline, patience: reflector.firstPatience)
                handOver()
                return request.isList
                    ? try await readList(response, watchdog) : try await readWatch(response, watchdog)
            }
            return Task.isCancelled ? nil : end
        } catch let failure as APIClient.Failure {
            host = failure.host
            return .failure(failure.failure)
        } catch {
            return Task.isCancelled ? nil : .failure(RequestFailure(connecting: error))
        }
    }

    private func readList(_ response: APIClient.Response, _ watchdog: Watchdog) async throws -> Reflector.End
    {
        var decoder = ListDecoder(kind, response.encoding, source: response.source)
        do {
            for try await chunk in response.body {
                watchdog.expect(within: reflector.patience)
                try chunk.withUnsafeReadableBytes { bytes in
                    try decoder.consume(bytes) { reflector.receive($0) }
                }
            }
            // A body that ends since this task is cancelled isn't whole.
            try Task.checkCancellation()
            return .page(try decoder.finish())
        } catch let error as WireError {
            throw RequestFailure(.undecodable, "\(error)")
        } catch let error where !(error is CancellationError) {
            throw RequestFailure(connecting: error)
        }
    }

    private func readWatch(_ response: APIClient.Response, _ watchdog: Watchdog) async throws -> Reflector.End
    {
        var decoder = WatchDecoder(kind, response.encoding, source: response.source)
        do {
            for try await chunk in response.body {
                var goesOn = true
                defer {
                    // What came before an error counts.
                    handOver()
                    watchdog.expect(within: reflector.patience)
                }
                try chunk.withUnsafeReadableBytes { bytes in
                    try decoder.consume(bytes) { goesOn = reflector.receive($0, now: now) && goesOn }
                }
                // The reflector keeps the failure.
                guard goesOn else { return .clean }
            }
            try Task.checkCancellation()
            guard decoder.isAtFrameBoundary else {
                throw RequestFailure(.brokenOff, "the watch broke off in the middle of an event")
            }
            return .clean
        } catch let error as WireError {
            throw RequestFailure(.undecodable, "\(error)")
        } catch let error where !(error is CancellationError) {
            throw RequestFailure(connecting: error)
        }
    }

    private func handOver() {
        if let update = reflector.takeUpdate() {
            sink(update)
            if kind == .services, update.isFirstComplete { noteAPIServerService(update) }
        }
        for note in reflector.takeNotes() { tell(note) }
    }

    private func noteAPIServerService(_ update: SourceUpdate) {
        for case .service(let service) in update.upserted
        where service.name == ObjectName(namespace: "default", name: "kubernetes") {
            Task { [client] in await client.noteAPIServerService(clusterIPs: service.clusterIPs) }
        }
    }

    private func tell(_ note: Reflector.Note) {
        let server = host ?? "the API server"
        switch note {
        case .failing(let verb, let failure):
            if case .credentials = failure.reason {
                logger.error("\(failure.message): can't \(verb) \(kind.resource); trying again")
            } else {
                logger.error("\(server): \(verb) \(kind.resource): \(failure.message); trying again")
            }
        case .failed(let failure): observe(.failed(kind, reason: failure.metricReason))
        case .recovered(let failures):
            logger.info("\(kind.resource) are followed again, after \(failures) failed requests")
        case .absent:
            logger.info("the API server has no \(kind.resource)")
        case .relisting(let failure):
            logger.info("\(server): watch \(kind.resource): \(failure.message); all are listed anew")
        case .inDoubt:
            logger.warning(
                "\(server): list \(kind.resource): it holds objects without a name, so that what it lacks isn't taken for gone"
            )
        case .listed(let objects, let took):
            logger.debug(
                "listed \(kind.resource)",
                metadata: ["objects": "\(objects)", "ms": "\(Int(took.seconds * 1000))"])
            observe(.listed(kind, objects: objects, took: took))
        case .watching: observe(.watching(kind))
        }
    }
}
