import ClusterBuilders
import IPAddressing
import KubernetesAPI
import SeededRandom
import Synchronization
import TestNetwork
import Testing

extension DataplaneTests {
    @Suite struct AffinityRaceTests {
        /// What a client met, and when it began.
        private struct Meeting {
            let client: Int
            let server: String
            let began: ContinuousClock.Instant
        }

        private final class Meetings: Sendable {
            private let all = Mutex<[Meeting]>([])
            func append(_ meeting: Meeting) { all.withLock { $0.append(meeting) } }
            var list: [Meeting] { all.withLock { $0 } }
        }

        @Test(
            "statement 18: no connection that begins after the commit reaches an endpoint that left",
            arguments: Traffic.all, [UInt64(1), 2])
        func connectionsRaceTheCommit(traffic: Traffic, seed: UInt64) throws {
            var random = SeededGenerator(seed: seed)
            let names = ["a", "b", "c", "d"]
            try ProxiedCluster.with(ClusterPlan(pods: [["client"] + names])) { cluster in
                let clients = try cluster.network.addAddresses(16, to: cluster.client, traffic.family)
                try cluster.apply(
                    [.clusterIP("sticky", at: VirtualAddress.pair(1), affinity: 600)],
                    EndpointSlice.pair("sticky", names.flatMap { cluster.endpoints($0) }))
                let meetings = Meetings()
                let (namespace, destination) = (cluster.client.namespace, traffic.virtual(1))
                let ports = SourcePorts()
                let loops = (0..<2).map { half in
                    BackgroundLoop {
                        for client in clients.indices where client % 2 == half {
                            let began = ContinuousClock.now
                            let attempt = try namespace.connect(
                                traffic.transport, to: destination, sourceAddress: clients[client],
                                sourcePort: ports.next(),
                                timeout: ProxiedCluster.patience)
                            let server = attempt.server ?? "\(attempt.outcome)"
                            meetings.append(Meeting(client: client, server: server, began: began))
                        }
                    }
                }
                var committed:
                    [(inForce: ContinuousClock.Instant, gone: String, next: ContinuousClock.Instant)] = []
                for _ in 0..<8 {
                    for loop in loops { try loop.waitForRounds(1) }
                    let gone = try #require(names.randomElement(using: &random))
                    let left = names.filter { $0 != gone }.flatMap { cluster.endpoints($0) }
                    try cluster.apply([], EndpointSlice.pair("sticky", left))
                    let inForce = ContinuousClock.now
                    // Every client once and more.
                    for loop in loops { try loop.waitForRounds(2) }
                    let next = ContinuousClock.now
                    committed.append((inForce, gone, next))
                    try cluster.apply(
                        [], EndpointSlice.pair("sticky", names.flatMap { cluster.endpoints($0) }))
                }
                for loop in loops { try loop.stop() }
                let list = meetings.list
                #expect(Set(list.map(\.server)).isSubset(of: Set(names)))
                for (inForce, gone, next) in committed {
                    let after = list.filter { $0.began > inForce && $0.began < next }
                    #expect(Set(after.map(\.client)).count == clients.count)
                    #expect(after.filter { $0.server == gone }.isEmpty, "\(gone) left, seed \(seed)")
                    // Nobody moves who needn't.
                    for client in clients.indices {
                        let mine = list.filter { $0.client == client && $0.began < next }
                        guard let before = mine.last(where: { $0.began < inForce })?.server,
                            let now = mine.last?.server, before != gone
                        else { continue }
                        #expect(now == before, "client \(client), \(gone) left, seed \(seed)")
                    }
                }
            }
        }
    }
}
