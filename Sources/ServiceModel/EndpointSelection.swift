import IPAddressing
import KubernetesAPI

/// The endpoints behind one port of a Service in one family, from all of its EndpointSlices.
struct EndpointSelection {
    /// One ip:port with the conditions that count.
    struct Candidate {
        var target: AddressPort
        var isReady: Bool
        var isServing: Bool
        var isTerminating: Bool
        var isLocal: Bool
        var isHairpin: Bool
        var placement: Placement

        /// What statement 7 falls back to.
        var isServingTerminating: Bool { isServing && isTerminating }

        /// Whether it counts rather than another entry for the same ip:port (statement 4): the one that doesn't
        /// terminate; of two alike the one that more may be sent to.
        func counts(before other: Candidate) -> Bool {
            if isTerminating != other.isTerminating { return !isTerminating }
            if isReady != other.isReady { return isReady }
            if isServing != other.isServing { return isServing }
            return isLocal && !other.isLocal
        }
    }

    private(set) var candidates: [Candidate] = []
    private let nodeName: String
    private let zone: String?

    /// Of what was joined on (name, protocol); the same ip:port in several slices counts once, a non-terminating one
    /// wins, then a ready one, then one that is on this node.
    ///
    /// While an endpoint moves between slices both may have it, and one of them may be out of date.
    ///
    /// - Parameter zone: this node's, nil when unknown.
    init(_ joined: [(slice: EndpointSlice, port: UInt16)], nodeName: String, zone: String?) {
        self.nodeName = nodeName
        self.zone = zone
        var positions: [AddressPort: Int] = [:]
        for (slice, port) in joined {
            for endpoint in slice.endpoints {
                let node = endpoint.placement.nodeName
                let isLocal = node == nodeName
                let candidate = Candidate(
                    target: AddressPort(endpoint.address, port), isReady: endpoint.isReady,
                    isServing: endpoint.isServing, isTerminating: endpoint.isTerminating,
                    isLocal: isLocal,
                    isHairpin: isLocal || node == nil, placement: endpoint.placement)
                if let position = positions[candidate.target] {
                    if candidate.counts(before: candidates[position]) { candidates[position] = candidate }
                } else {
                    positions[candidate.target] = candidates.count
                    candidates.append(candidate)
                }
            }
        }
    }

    /// Cluster policy: the ready ones, the closest of them; else all that serve while they terminate.
    var cluster: [Candidate] {
        let ready = candidates.filter(\.isReady)
        return ready.isEmpty ? candidates.filter(\.isServingTerminating) : closest(of: ready)
    }

    /// Local policy: the local ready ones, else the local ones that serve while they terminate.
    var local: [Candidate] {
        let here = candidates.filter(\.isLocal)
        let ready = here.filter(\.isReady)
        return ready.isEmpty ? here.filter(\.isServingTerminating) : ready
    }

    /// Those that answer, new connections or only old ones.
    var serving: Set<AddressPort> {
        Set(candidates.lazy.filter { $0.isReady || $0.isServing }.map(\.target))
    }

    var localReady: [Candidate] { candidates.filter { $0.isLocal && $0.isReady } }

    /// Statement 9: those hinted for this node, else those hinted for this zone, else all; hints count only where
    /// every ready endpoint has them.
    private func closest(of ready: [Candidate]) -> [Candidate] {
        if ready.allSatisfy({ !$0.placement.nodeHints.isEmpty }) {
            let here = ready.filter { $0.placement.nodeHints.contains(nodeName) }
            if !here.isEmpty { return here }
        }
        if let zone, ready.allSatisfy({ !$0.placement.zoneHints.isEmpty }) {
            let here = ready.filter { $0.placement.zoneHints.contains(zone) }
            if !here.isEmpty { return here }
        }
        return ready
    }

    /// What a policy makes of them: nothing usable anywhere is refused, nothing usable here is dropped.
    func outcome(_ policy: Service.TrafficPolicy) -> PortPlan.Outcome {
        let everywhere = cluster
        let chosen = policy == .local ? local : everywhere
        guard chosen.isEmpty else {
            return .endpoints(chosen.map { PoolEndpoint($0.target, isHairpin: $0.isHairpin) })
        }
        return everywhere.isEmpty ? .refuse : .drop
    }
}
