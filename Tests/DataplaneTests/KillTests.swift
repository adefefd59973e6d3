import ClusterBuilders
import Foundation
import IPAddressing
import NFTables
import NFTablesKernel
import Ruleset
import SeededRandom
import Synchronization
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// The program is killed at any moment, and clients notice nothing.
    ///
    /// `SLUICE_KILLS` says how often (a test of each kind), `SLUICE_TEST_SEED` how the schedule begins.
    @Suite(.timeLimit(.minutes(60))) struct KillTests {
        private static let kills = Int(environmentNumber("SLUICE_KILLS", 60))
        private static let seed = environmentNumber("SLUICE_TEST_SEED", 20_260)
        private static let names = ["a", "b", "c", "d"]

        /// Connections of real clients, one after the other, and what became of each.
        private final class Clients: Sendable {
            struct Meeting {
                let began: ContinuousClock.Instant
                let server: String
            }
            private let loops: [BackgroundLoop]

            init(_ namespace: Namespace) {
                let meetings = Meetings()
                all = meetings
                loops = [(TransportProtocol.tcp, AddressFamily.ipv4), (.tcp, .ipv6), (.udp, .ipv4)].map {
                    way in
                    let destination = AddressPort(VirtualAddress.number(1, way.1), 80)
                    let ports = SourcePorts()
                    return BackgroundLoop {
                        let began = ContinuousClock.now
                        let attempt = try namespace.connect(
                            way.0, to: destination, sourcePort: way.0 == .udp ? ports.next() : 0,
                            timeout: ProxiedCluster.patience)
                        meetings.append(Meeting(began: began, server: attempt.server ?? "\(attempt.outcome)"))
                        usleep(2000)
                    }
                }
            }

            final class Meetings: Sendable {
                private let list = Mutex<[Meeting]>([])
                func append(_ meeting: Meeting) { list.withLock { $0.append(meeting) } }
                func take() -> [Meeting] {
                    list.withLock { list in
                        defer { list = [] }
                        return list
                    }
                }
            }
            let all: Meetings

            func waitForRounds(_ count: Int) throws { for loop in loops { try loop.waitForRounds(count) } }
            func stop() throws { for loop in loops { try loop.stop() } }
        }

        private struct Tally {
            var kills = 0
            var beforeServing = 0
            var tried = 0
            var failed = 0
            var toGone = 0
        }

        private func tables(_ namespace: Namespace) throws -> [Table] {
            let connection = try namespace.run { try Connection() }
            return try ObjectNames.tables.compactMap { try connection.table($0) }
        }

        private func start(_ directory: TemporaryDirectory, _ options: [String], on node: TestCluster.Host)
            throws -> ChildProcess
        {
            try node.namespace.start(
                [
                    try SluiceProgram.path.get(), "run", "-f", directory.path, "--hostname-override",
                    node.name,
                ] + options)
        }

        /// Endpoints of `web` come and go, and so do other Services.
        private func change(
            _ directory: TemporaryDirectory, _ cluster: TestCluster, _ random: inout SeededGenerator
        ) throws -> Set<String> {
            let chosen = Array(Self.names.shuffled(using: &random).prefix(random.number(1...4)))
            try directory.write(
                ManifestText.slices(of: "web", chosen.map { cluster[pod: $0] }), to: "web-slices.yaml")
            for file in 0..<random.number(0...2) {
                let text = (0..<random.number(1...15)).map { number in
                    ManifestText.service(
                        "more-\(file)-\(number)", at: VirtualAddress.pair(UInt8(20 + file * 20 + number)),
                        affinity: random.once(in: 3) ? 60 : nil) + "---\n"
                        + ManifestText.slices(
                            of: "more-\(file)-\(number)",
                            Self.names.prefix(random.number(0...4)).map { cluster[pod: $0] })
                }
                try directory.write(text.joined(separator: "---\n"), to: "more-\(file).yaml")
            }
            return Set(chosen)
        }

        /// What others do that is no client's loss: it is put right, whenever the program is killed over it.
        private func tamper(_ namespace: Namespace, _ random: inout SeededGenerator) throws {
            let harmless = [
                "add chain ip sluice theirs", "add element ip sluice cluster-ips { 192.0.2.77 }",
                "add set ip6 sluice theirs { type ipv6_addr; }", "add rule ip sluice translated counter",
                "flush set ip6 sluice hairpin",
            ]
            _ = try namespace.start(["nft", harmless[random.number(0...harmless.count - 1)]]).wait()
        }

        @Test(
            "killed in the middle of anything, no connection fails and none goes to an endpoint that was gone",
            arguments: [true, false])
        func killed(isOwned: Bool) throws {
            var random = SeededGenerator(seed: Self.seed &+ (isOwned ? 1 : 0))
            var tally = Tally()
            try TestCluster.with(ClusterPlan(pods: [["client"] + Self.names])) { cluster in
                for name in Self.names { try cluster.serve(cluster[pod: name], tcp: [8080], udp: [8080]) }
                let directory = try TemporaryDirectory()
                let node = cluster.node
                let options = isOwned ? [] : ["--no-own-tables"]
                try directory.write(
                    ManifestText.service("web", at: VirtualAddress.pair(1)), to: "web.yaml")
                var allowed = try change(directory, cluster, &random)
                var program = try start(directory, options, on: node)
                try program.waitForLog("serving")
                let clients = Clients(cluster[pod: "client"].namespace)
                while tally.kills < Self.kills {
                    let before = allowed
                    var since = before
                    // A change on its way, and perhaps one behind it.
                    for _ in 0..<random.number(1...3) {
                        allowed = try change(directory, cluster, &random)
                        since.formUnion(allowed)
                        if !isOwned, random.once(in: 2) { try tamper(node.namespace, &random) }
                        usleep(UInt32(random.number(0...30_000)))
                    }
                    program.send(SIGKILL)
                    _ = program.wait()
                    tally.kills += 1
                    program = try start(directory, options, on: node)
                    while random.once(in: 2), tally.kills < Self.kills {
                        usleep(UInt32(random.number(0...150_000)))
                        if try !program.standardError.contains("serving") { tally.beforeServing += 1 }
                        program.send(SIGKILL)
                        _ = program.wait()
                        tally.kills += 1
                        program = try start(directory, options, on: node)
                    }
                    try program.waitForLog("serving")
                    let inForce = ContinuousClock.now
                    try clients.waitForRounds(3)
                    for meeting in clients.all.take() {
                        tally.tried += 1
                        if !Self.names.contains(meeting.server) { tally.failed += 1 }
                        let right = meeting.began > inForce ? allowed : since
                        if Self.names.contains(meeting.server), !right.contains(meeting.server) {
                            tally.toGone += 1
                        }
                    }
                    #expect(tally.failed == 0 && tally.toGone == 0, "seed \(Self.seed), \(tally)")
                    guard tally.failed == 0, tally.toGone == 0 else { break }
                }
                try clients.stop()
                // Who starts over finds nothing to do.
                program.send(SIGTERM)
                #expect(program.wait() == 0)
                let last = try start(directory, options, on: node)
                try last.waitForLog("serving")
                #expect(try last.standardError.contains("in force: nothing to change"))
                last.send(SIGTERM)
                #expect(last.wait() == 0)
            }
            print(
                """
                kills, \(isOwned ? "owned" : "not owned"): \(tally.kills), \(tally.beforeServing) of them before the \
                first rules; connections: \(tally.tried), failed: \(tally.failed), to endpoints that were gone: \
                \(tally.toGone); seed \(Self.seed)
                """)
            #expect(tally.kills == Self.kills)
            #expect(tally.tried > Self.kills)
        }

        @Test("killed during a cold start, the tables are there whole or not at all")
        func coldStart() throws {
            var random = SeededGenerator(seed: Self.seed)
            let namespace = try Namespace("cold")
            defer { namespace.remove() }
            let directory = try TemporaryDirectory()
            let services = (UInt8(1)...200).map { number in
                ManifestText.service("web-\(number)", at: VirtualAddress.pair(number), affinity: 60)
            }
            try directory.write(services.joined(separator: "---\n"), to: "web.yaml")
            let command = [
                try SluiceProgram.path.get(), "run", "-f", directory.path, "--hostname-override", "node",
            ]
            let connection = try namespace.run { try Connection() }
            func comparable() throws -> [Table] { try tables(namespace).map(TableComparison.comparable) }
            let began = ContinuousClock.now
            let first = try namespace.start(command)
            try first.waitForLog("serving")
            let milliseconds = Int((ContinuousClock.now - began) / .milliseconds(1))
            let whole = try comparable()
            first.send(SIGKILL)
            _ = first.wait()
            var (none, all) = (0, 0)
            // Around the moment at which it commits, wherever that is on this machine.
            var microseconds = milliseconds * 1000
            for _ in 0..<Self.kills {
                try connection.commit(try connection.tables().map { .deleteTable($0) })
                let program = try namespace.start(command)
                usleep(UInt32(random.number(microseconds * 9 / 10...microseconds * 11 / 10)))
                program.send(SIGKILL)
                _ = program.wait()
                let left = try comparable()
                #expect(left.isEmpty || left == whole)
                if left.isEmpty { none += 1 } else { all += 1 }
                microseconds = left.isEmpty ? microseconds * 21 / 20 : microseconds * 20 / 21
            }
            print("kills, cold: \(Self.kills), \(none) with no table left, \(all) with whole ones")
            #expect(none + all == Self.kills)
            #expect(all > 0)
        }
    }
}
