public import KubeProxyLeftovers
public import Logging
public import NFTablesKernel
import ServiceModel

/// What is done about kube-proxy's rules once Sluice's own are in force.
///
/// Until then, and where anything fails, they stay: whichever of two proxies translates a connection first decides, so
/// nothing breaks while both are active. Nothing is tried twice in one run.
public struct KubeProxyTakeover: Sendable {
    private let isAsked: Bool
    private let metrics: AgentMetrics
    private let logger: Logger
    /// What was left once the first commit was dealt with; nil where nothing ever was.
    private let outcome = AsyncStream.makeStream(of: Leftovers?.self, bufferingPolicy: .bufferingNewest(1))

    /// How often it is looked whether anything has changed, where there was something.
    private static let period = Duration.seconds(60)

    /// - Parameter isAsked: whether to take over from kube-proxy, and not only to say that its rules are there.
    public init(isAsked: Bool, metrics: AgentMetrics, logger: Logger) {
        self.isAsked = isAsked
        self.metrics = metrics
        self.logger = logger
    }

    /// kube-proxy, as the one who serves until Sluice does.
    public var predecessor: Predecessor<Connection> {
        Predecessor(clients: clients, retire: run)
    }

    // MARK: Before the first commit

    /// The affinity that is to come over; none where nothing is to be taken over.
    private func clients(_ connection: Connection) -> [ServicePortID: [LedClient]] {
        guard isAsked else { return [:] }
        do throws(KernelError) {
            return try Leftovers.affinity(connection).clients
        } catch {
            logger.warning("kube-proxy's affinity can't be read", metadata: ["error": "\(error)"])
            return [:]
        }
    }

    // MARK: Behind the first commit

    /// Looks for kube-proxy's rules, and warns of them or takes over.
    public func run(_ writer: RulesetWriter<Connection>) {
        var left: Leftovers?
        defer { outcome.continuation.yield(left) }
        do throws(KernelError) {
            let found = try Leftovers.find(writer.kernel)
            metrics.found(found)
            guard !found.isEmpty else { return }
            left = found
            guard isAsked else { return warn(of: found) }
            guard try takeOver(found, writer) else { return }
            let after = try Leftovers.find(writer.kernel)
            metrics.found(after)
            left = after
        } catch {
            logger.error(
                "kube-proxy's rules stay; the next start tries again", metadata: ["error": "\(error)"])
        }
    }

    private func warn(of found: Leftovers) {
        logger.warning(
            """
            kube-proxy's rules are here as well, and both are active: \(found). To serve with Sluice, stop kube-proxy and \
            start Sluice with --adopt-from-kube-proxy; to stay with kube-proxy, stop Sluice and run `sluice cleanup`
            """)
    }

    /// - Returns: whether anything was removed.
    private func takeOver(
        _ found: Leftovers, _ writer: RulesetWriter<Connection>
    ) throws(KernelError) -> Bool {
        if found.hasIPVS {
            logger.warning("kube-proxy's IPVS mode was here: `kube-proxy --cleanup` removes what it left")
        }
        guard found.areRemovable else { return false }
        // Those that came since the first look, or all where Sluice's tables were there already.
        let held = try Leftovers.affinity(writer.kernel)
        try writer.remember(held.clients)
        if held.unreadable > 0 {
            logger.warning("\(held.unreadable) affinity sets of kube-proxy's don't tell their Service")
        }
        guard try writer.isInForce() else {
            logger.error(
                "Sluice's tables are not what was committed: kube-proxy's rules stay; the next start tries again"
            )
            return false
        }
        try Leftovers.remove(writer.kernel).tell(logger)
        logger.info("took over from kube-proxy", metadata: ["clients": "\(held.count)"])
        return true
    }

    // MARK: From then on

    /// Looks now and then, where there was something: what is gone is told, and so is what has come back.
    ///
    /// - Parameters:
    ///   - sleep: waits; throws when its task is cancelled.
    ///   - connect: opens a way to nf_tables.
    public func watch(
        sleep: (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
        _ connect: () throws(KernelError) -> Connection
    ) async {
        for await left in outcome.stream {
            guard var last = left else { return }
            while (try? await sleep(Self.period)) != nil {
                do throws(KernelError) {
                    let found = try Leftovers.find(try connect())
                    metrics.found(found)
                    tell(found, after: last)
                    last = found
                } catch {
                    logger.debug("can't look for kube-proxy's rules", metadata: ["error": "\(error)"])
                }
            }
            return
        }
    }

    private func tell(_ found: Leftovers, after last: Leftovers) {
        if found.isEmpty, !last.isEmpty { logger.info("kube-proxy's rules are gone") }
        if !found.isEmpty, last.isEmpty {
            logger.warning("kube-proxy's rules are back: it still runs, and writes them again: \(found)")
        }
    }
}

extension LeftoverRemoval {
    /// Says what was removed and what wasn't.
    public func tell(_ logger: Logger) {
        if !removed.isEmpty { logger.info("removed kube-proxy's rules: \(removed)") }
        for (table, chains) in kept.sorted(by: { $0.key < $1.key }) {
            logger.warning(
                "kube-proxy's chains in \(table) that rules of others lead to stay: \(chains.joined(separator: ", "))"
            )
        }
        for family in removed.guardedForwarding {
            logger.warning(
                "table \(family) filter drops what its chain FORWARD doesn't accept, and KUBE-FORWARD, which accepted Services' packets, is gone"
            )
        }
    }
}
