import IPAddressing
import KubernetesAPI
import ServiceModel
import Testing

/// Statements 7, 8 and 15 for every combination of two endpoints, against the statements' own words.
@Suite("Which endpoints get the traffic")
struct EndpointChoiceTests {
    private struct Case {
        let address: String
        let isReady, isServing, isTerminating, isLocal: Bool

        static func all(_ address: String) -> [Case] {
            (0..<16).map { bits in
                Case(
                    address: address, isReady: bits & 1 != 0, isServing: bits & 2 != 0,
                    isTerminating: bits & 4 != 0, isLocal: bits & 8 != 0)
            }
        }
    }

    /// The statements, word for word and without a thought for speed.
    private func expected(_ cases: [Case], isLocalPolicy: Bool) -> String {
        func text(_ cases: [Case]) -> String { cases.map { "\($0.address):8080" }.joined(separator: " ") }
        // 7. Cluster policy: the ready ones. If that leaves none: all serving and terminating ones.
        var usable: [Case] = []
        for one in cases where one.isReady { usable.append(one) }
        if usable.isEmpty {
            for one in cases where one.isServing && one.isTerminating { usable.append(one) }
        }
        guard isLocalPolicy else { return usable.isEmpty ? "refused" : text(usable) }
        // 8. Local policy: local ready ones, else local serving and terminating ones.
        var local: [Case] = []
        for one in cases where one.isLocal && one.isReady { local.append(one) }
        if local.isEmpty {
            for one in cases where one.isLocal && one.isServing && one.isTerminating { local.append(one) }
        }
        // 15. No usable endpoint anywhere: reject. Endpoints exist but the Local set is empty: drop.
        if !local.isEmpty { return text(local) }
        return usable.isEmpty ? "refused" : "dropped"
    }

    @Test("statements 7, 8 and 15: two endpoints in every condition", arguments: [false, true])
    func decisionTable(isLocalPolicy: Bool) {
        var outcomes: Set<String> = []
        for a in Case.all("10.244.0.1") {
            for b in Case.all("10.244.0.2") {
                let endpoints = [a, b].map {
                    endpoint(
                        $0.address, ready: $0.isReady, serving: $0.isServing, terminating: $0.isTerminating,
                        on: $0.isLocal ? "node" : "other")
                }
                let state = ClusterState(
                    [service("web", "10.96.0.1", policy: isLocalPolicy ? .local : .cluster)],
                    [slice("a", of: "web", endpoints[0], endpoints[1])])
                let fate = state.fate("web")
                outcomes.insert(fate)
                #expect(fate == expected([a, b], isLocalPolicy: isLocalPolicy), "\(a), \(b)")
            }
        }
        // Each outcome that can be must have been.
        #expect(outcomes.count == (isLocalPolicy ? 5 : 4))
    }

    @Test(
        "statement 4: of an endpoint in several slices the one counts that lives, then is ready, then is local",
        arguments: [Service.TrafficPolicy.cluster, .local], [false, true])
    func duplicates(policy: Service.TrafficPolicy, isReversed: Bool) {
        /// What becomes of an endpoint that two slices have, in whichever of them stands which.
        func fate(_ a: EndpointSlice.Endpoint, _ b: EndpointSlice.Endpoint) -> String {
            let (first, second) = isReversed ? (b, a) : (a, b)
            return ClusterState(
                [service("web", "10.96.0.1", policy: policy)],
                [slice("a", of: "web", first), slice("b", of: "web", second)]
            ).fate("web")
        }
        let address = "10.244.0.1"
        func entry(
            ready: Bool = true, serving: Bool = true, terminating: Bool = false, on node: String = "node"
        ) -> EndpointSlice.Endpoint {
            endpoint(address, ready: ready, serving: serving, terminating: terminating, on: node)
        }
        let served = "\(address):8080"
        #expect(fate(entry(), entry(ready: false)) == served)
        #expect(fate(entry(), entry(on: "other")) == served)
        #expect(fate(entry(ready: false, terminating: true), entry(ready: false)) == "refused")
        #expect(
            fate(
                entry(ready: false, terminating: true), entry(ready: false, serving: false, terminating: true)
            )
                == served)
        // Ready goes before local.
        #expect(
            fate(entry(ready: false), entry(on: "other")) == (policy == .local ? "dropped" : served))
    }

    @Test("an endpoint without a node is local to none")
    func noNode() {
        let state = ClusterState(
            [service("web", "10.96.0.1", policy: .local)],
            [slice("a", of: "web", endpoint("10.244.0.1", on: nil))])
        #expect(state.fate("web") == "dropped")
    }

    @Test("a Service without slices, or without endpoints in them, is refused")
    func none() {
        for policy in [Service.TrafficPolicy.cluster, .local] {
            let services = [service("web", "10.96.0.1", policy: policy)]
            #expect(ClusterState(services).fate("web") == "refused")
            #expect(ClusterState(services, [slice("a", of: "web")]).fate("web") == "refused")
        }
    }
}
