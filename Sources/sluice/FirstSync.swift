import Agent
import KubernetesAPI
import KubernetesClient
import KubernetesWire
import Logging
import Synchronization

/// Holds back what an API server tells until it has told all Services and EndpointSlices once (statement 6); from then
/// on, hands everything to the agent's inbox.
///
/// The other kinds are waited for as well, but not for long: without them every Service is served, only less is known
/// of what is around it, and they may never come. So too the Node's `podCIDRs`, where pods of this node are told by
/// them: what lacks is what is special to local pods (statement 13).
final class FirstSync: Sendable {
    /// Without these nothing is served.
    static let essential: Set<ResourceKind> = [.services, .endpointSlices]
    /// How long the other kinds are waited for once the essential ones are complete.
    static let patience = Duration.seconds(10)
    /// How long the Node's `podCIDRs` are, counted from the same moment.
    static let podNetworkPatience = Duration.seconds(60)

    private struct State {
        /// All objects; nil once they were handed over.
        var gathered: ChangeInbox.Changes? = ChangeInbox.Changes()
        var missing = Set(ResourceKind.allCases)
        /// Whose `podCIDRs` are waited for.
        var awaitedNode: String?
        var isWaiting = false

        var lacksPodNetworks: Bool {
            guard let awaitedNode else { return false }
            guard case .node(let node)?? = gathered?.objects[.node(awaitedNode)] else { return true }
            return node.podCIDRs.isEmpty
        }
    }

    private let state: Mutex<State>
    private let inbox: ChangeInbox
    private let logger: Logger
    private let sleep: @Sendable (Duration) async throws -> Void
    private let stream: AsyncStream<ChangeInbox.Changes>
    private let complete: AsyncStream<ChangeInbox.Changes>.Continuation

    /// - Parameters:
    ///   - awaitedNode: the Node without whose `podCIDRs` nothing is complete.
    ///   - sleep: waits; throws when its task is cancelled.
    init(
        _ inbox: ChangeInbox, awaitingPodNetworksOf awaitedNode: String? = nil, logger: Logger,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.inbox = inbox
        self.logger = logger
        self.sleep = sleep
        state = Mutex(State(awaitedNode: awaitedNode))
        (stream, complete) = AsyncStream.makeStream(
            of: ChangeInbox.Changes.self, bufferingPolicy: .bufferingNewest(1))
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
                state.gathered?.objects.removeValue(forKey: key)
                state.gathered?.triggerTimes[key] = nil
            }
            for object in update.upserted { state.gathered?.objects.updateValue(object, forKey: object.key) }
            state.gathered?.triggerTimes.merge(update.triggerTimes) { first, _ in first }
            if update.isFirstComplete { state.missing.remove(update.kind) }
            completeIfSo(&state)
        }
    }

    private func completeIfSo(_ state: inout State) {
        guard state.missing.isDisjoint(with: Self.essential), let all = state.gathered else { return }
        guard state.missing.isEmpty, !state.lacksPodNetworks else {
            wait(&state)
            return
        }
        state.gathered = nil
        complete.yield(all)
        complete.finish()
    }

    private func wait(_ state: inout State) {
        guard !state.isWaiting else { return }
        state.isWaiting = true
        if state.lacksPodNetworks, let node = state.awaitedNode {
            logger.info(
                "waiting for spec.podCIDRs of Node \(node), by which its pods are told, \(Self.podNetworkPatience.components.seconds) s at most"
            )
        }
        Task { [weak self, sleep] in
            try? await sleep(Self.patience)
            guard self?.goOnWithoutMissingKinds() == false else { return }
            try? await sleep(Self.podNetworkPatience - Self.patience)
            self?.goOnWithoutPodNetworks()
        }
    }

    /// - Returns: whether nothing is waited for any more.
    private func goOnWithoutMissingKinds() -> Bool {
        state.withLock { state in
            guard state.gathered != nil else { return true }
            var missing = state.missing
            // Its `podCIDRs` are waited for still, and so is it.
            if state.awaitedNode != nil { missing.remove(.nodes) }
            if !missing.isEmpty {
                let names = missing.map(\.resource).sorted().joined(separator: " and ")
                logger.warning(
                    "the API server hasn't told all \(names) in \(Self.patience.components.seconds) s: served without, until it has"
                )
            }
            state.missing = []
            completeIfSo(&state)
            return state.gathered == nil
        }
    }

    private func goOnWithoutPodNetworks() {
        state.withLock { state in
            guard state.gathered != nil, let node = state.awaitedNode else { return }
            logger.warning(
                "Node \(node) has no spec.podCIDRs: served without, pods of this node count as others until it has"
            )
            state.awaitedNode = nil
            completeIfSo(&state)
        }
    }

    /// Waits for all objects as they were when the last kind was complete; nil when the task is cancelled before. For one
    /// caller.
    func objects() async -> ChangeInbox.Changes? {
        for await objects in stream { return objects }
        return nil
    }
}
