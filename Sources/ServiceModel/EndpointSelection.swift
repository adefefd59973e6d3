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

        /// What statement 7 falls back to.
        var isServingTerminating: Bool { isServing && isTerminating }
    }

    private(set) var candidates: [Candidate] = []

    /// Joins on (name, protocol); the same ip:port in several slices counts once, a non-terminating one wins.
    init(
        slices: some Sequence<EndpointSlice>, family: AddressFamily, portName: String,
        transport: TransportProtocol,
        nodeName: String
    ) {
        var positions: [AddressPort: Int] = [:]
        for slice in slices where slice.family == family {
            for port in slice.ports where port.name == portName && port.transport == transport {
                for endpoint in slice.endpoints {
                    let isLocal = endpoint.nodeName == nodeName
                    let candidate = Candidate(
                        target: AddressPort(endpoint.address, port.port), isReady: endpoint.isReady,
                        isServing: endpoint.isServing, isTerminating: endpoint.isTerminating,
                        isLocal: isLocal,
                        isHairpin: isLocal || endpoint.nodeName == nil)
                    if let position = positions[candidate.target] {
                        if candidates[position].isTerminating, !candidate.isTerminating {
                            candidates[position] = candidate
                        }
                    } else {
                        positions[candidate.target] = candidates.count
                        candidates.append(candidate)
                    }
                }
            }
        }
    }

    /// Cluster policy: the ready ones, else all that serve while they terminate.
    var cluster: [Candidate] {
        let ready = candidates.filter(\.isReady)
        return ready.isEmpty ? candidates.filter(\.isServingTerminating) : ready
    }

    /// Local policy: the local ready ones, else the local ones that serve while they terminate.
    var local: [Candidate] {
        let here = candidates.filter(\.isLocal)
        let ready = here.filter(\.isReady)
        return ready.isEmpty ? here.filter(\.isServingTerminating) : ready
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
