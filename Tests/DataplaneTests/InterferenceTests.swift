import ClusterBuilders
import Foundation
import IPAddressing
import NFTables
import NFTablesKernel
import Ruleset
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// Others reach for the tables of a program that runs, and programs come and go.
    @Suite(.timeLimit(.minutes(5))) struct InterferenceTests {
        private static func files(_ cluster: TestCluster) -> [String: String] {
            [
                "web.yaml": ManifestText.service("web", at: VirtualAddress.pair(1)) + "---\n"
                    + ManifestText.slices(of: "web", [cluster[pod: "a"], cluster[pod: "b"]]),
                "sticky.yaml": ManifestText.service("sticky", at: VirtualAddress.pair(2), affinity: 600)
                    + "---\n"
                    + ManifestText.slices(of: "sticky", [cluster[pod: "a"], cluster[pod: "b"]]),
            ]
        }

        private struct Unserved: Error {
            let attempt: Attempt
        }

        private func withCluster(_ body: (TestCluster) throws -> Void) throws {
            try TestCluster.with { cluster in
                for pod in ["a", "b"] { try cluster.serve(cluster[pod: pod], tcp: [8080], udp: [8080]) }
                try body(cluster)
            }
        }

        private func tables(_ cluster: TestCluster) throws -> [Table] {
            let connection = try cluster.node.namespace.run { try Connection() }
            return try ObjectNames.tables.compactMap { try connection.table($0) }
        }

        /// The tables as they compare.
        private func state(_ cluster: TestCluster) throws -> [Table] {
            try tables(cluster).map(TableComparison.comparable)
        }

        private func servers(_ cluster: TestCluster, _ number: UInt8, times: Int = 4) throws -> [String] {
            try AddressFamily.allCases.flatMap { family in
                try cluster[pod: "client"].namespace.connect(
                    to: AddressPort(VirtualAddress.number(number, family), 80), times: times,
                    timeout: ProxiedCluster.patience
                ).map { $0.server ?? "\($0.outcome)" }
            }
        }

        /// A client that connects to `web` over both families again and again, until one connection isn't served.
        private func knocking(_ cluster: TestCluster) -> BackgroundLoop {
            let client = cluster[pod: "client"].namespace
            return BackgroundLoop {
                for family in AddressFamily.allCases {
                    let attempt = try client.connect(
                        to: AddressPort(VirtualAddress.number(1, family), 80),
                        timeout: ProxiedCluster.patience)
                    guard ["a", "b"].contains(attempt.server ?? "") else { throw Unserved(attempt: attempt) }
                }
            }
        }

        /// The first of some programs of which something becomes true.
        private func eventuallyFirst(
            _ programs: [ChildProcess], _ isSo: (ChildProcess) throws -> Bool
        ) throws -> ChildProcess? {
            var found: ChildProcess?
            _ = try eventually {
                found = try programs.first(where: isSo)
                return found != nil
            }
            return found
        }

        private func nft(_ cluster: TestCluster, _ command: String) throws {
            try cluster.node.namespace.command("nft", command)
        }

        // MARK: Owned

        @Test("owned: nft can't change the tables, and `nft flush ruleset` passes them over")
        func owned() throws {
            try withCluster { cluster in
                let program = try RunningProgram(on: cluster, Self.files(cluster))
                let before = try state(cluster)
                for command in [
                    "delete table ip sluice", "flush chain ip6 sluice prerouting",
                    "add chain ip sluice theirs", "flush set ip sluice cluster-ips",
                ] {
                    let error = #expect(throws: CommandError.self) { try nft(cluster, command) }
                    #expect(error?.standardError.contains("Operation not permitted") == true, "\(command)")
                }
                try nft(cluster, "add table ip theirs")
                try nft(cluster, "flush ruleset")
                let connection = try cluster.node.namespace.run { try Connection() }
                #expect(try Set(connection.tables()) == Set(ObjectNames.tables))
                #expect(try state(cluster) == before)
                #expect(try Set(servers(cluster, 1)) == ["a", "b"])
                #expect(program.terminate() == 0)
            }
        }

        @Test("owned: a second program and `cleanup` say whose the tables are, and change nothing")
        func second() throws {
            try withCluster { cluster in
                let program = try RunningProgram(on: cluster, Self.files(cluster))
                let before = try state(cluster)
                let owner = "belongs to sluice (process \(program.process.processID)), which runs"
                let node = cluster.node.namespace
                let other = try SluiceProgram.run(
                    "run", "--once", "-f", program.directory.path, "--hostname-override", "node", in: node)
                #expect(other.status == 1)
                #expect(other.errors.contains("table ip sluice \(owner)"), "\(other.errors)")
                let cleanup = try SluiceProgram.run("cleanup", in: node)
                #expect(cleanup.status == 1)
                #expect(cleanup.errors.contains(owner), "\(cleanup.errors)")
                // One that stays waits, and takes over when the first ends.
                let patient = try node.start([
                    try SluiceProgram.path.get(), "run", "-f", program.directory.path,
                    "--hostname-override", "node", "--healthz-bind-address=127.0.0.1:20256",
                    "--metrics-bind-address=127.0.0.1:20249",
                ])
                try patient.waitForLog(owner)
                #expect(try state(cluster) == before)
                #expect(program.terminate() == 0)
                try patient.waitForLog("in force: nothing to change")
                #expect(try state(cluster) == before)
                let port = try #require(try tables(cluster).first?.owner)
                let now = try node.run { NetlinkPeer.description(ofPort: port) }
                #expect(now == "sluice (process \(patient.processID))")
                patient.send(SIGTERM)
                #expect(patient.wait() == 0)
                // Nobody's any more.
                #expect(try tables(cluster).allSatisfy { $0.owner == nil && $0.flags == .persist })
                let last = try SluiceProgram.run("cleanup", in: node)
                #expect(last.status == 0)
                #expect(try tables(cluster) == [])
            }
        }

        @Test("after an end, a kill and a restart: connections, turns and what clients keep are as they were")
        func restart() throws {
            try withCluster { cluster in
                let client = cluster[pod: "client"].namespace
                let sticky = AddressPort(VirtualAddress.number(2, .ipv4), 80)
                var program = try RunningProgram(on: cluster, Self.files(cluster))
                let open = try client.open(to: sticky)
                let kept = open.server
                let before = try state(cluster)
                for signal in [SIGTERM, SIGKILL] {
                    program.process.send(signal)
                    _ = program.process.wait()
                    #expect(try state(cluster) == before)
                    #expect(try Set(servers(cluster, 1)) == ["a", "b"])
                    program = try RunningProgram(on: cluster, program.directory)
                    #expect(try state(cluster) == before)
                    // Nothing but the two tables is touched, which only change hands.
                    #expect(try program.process.standardError.contains("in force: nothing to change"))
                    #expect(open.isAlive(timeout: ProxiedCluster.patience))
                    #expect(try Set(servers(cluster, 2)).contains(kept))
                    let again = try client.connect(to: sticky, times: 6, timeout: ProxiedCluster.patience)
                    #expect(Set(again.map(\.server)) == [kept])
                }
                #expect(program.terminate() == 0)
            }
        }

        @Test(
            "an upgrade from another layout changes over in one transaction, and what clients keep comes along"
        )
        func upgrade() throws {
            try withCluster { cluster in
                let (client, node) = (cluster[pod: "client"].namespace, cluster.node.namespace)
                let files = Self.files(cluster)
                // As another release would have left it: not owned, of no known layout, with something unknown.
                let program = try RunningProgram(on: cluster, files, options: ["--no-own-tables"])
                let wanted = try state(cluster)
                #expect(program.terminate() == 0)
                let printed = try SluiceProgram.run(
                    "run", "--dry-run", "-f", program.directory.path, "--hostname-override", "node", in: node)
                let old = printed.output.split(separator: "\n", omittingEmptySubsequences: false)
                    .filter { !$0.contains("comment \"Sluice, layout") }.joined(separator: "\n")
                #expect(old != printed.output)
                try node.loadRules(old)
                try nft(cluster, "add counter ip sluice hits")
                try nft(cluster, "add chain ip sluice unknown { type nat hook prerouting priority -99; }")
                #expect(try tables(cluster).allSatisfy { $0.comment == nil })

                let sticky = AddressFamily.allCases.map { AddressPort(VirtualAddress.number(2, $0), 80) }
                let open = try sticky.map { try client.open(to: $0) }
                let clients = knocking(cluster)
                try clients.waitForRounds(5)
                let upgraded = try RunningProgram(on: cluster, program.directory)
                try clients.waitForRounds(5)
                try clients.stop()
                #expect(try state(cluster) == wanted)
                #expect(try tables(cluster).allSatisfy { $0.flags == .owned && $0.others.isEmpty })
                for (address, connection) in zip(sticky, open) {
                    #expect(connection.isAlive(timeout: ProxiedCluster.patience))
                    let again = try client.connect(to: address, times: 6, timeout: ProxiedCluster.patience)
                    #expect(Set(again.map(\.server)) == [connection.server])
                }
                let log = try upgraded.process.standardError
                #expect(log.components(separatedBy: "in force").count == 2, "\(log)")
                #expect(upgraded.terminate() == 0)
            }
        }

        @Test(
            "firewalld that starts, is reloaded and ends beside Sluice changes nothing about Services",
            .enabled(if: Firewalld.root != nil || KernelTests.areRequired, Comment(rawValue: Firewalld.need)),
            arguments: [true, false])
        func firewalld(isOwned: Bool) throws {
            let root = try #require(Firewalld.root, "\(Firewalld.need)")
            try withCluster { cluster in
                let client = cluster[pod: "client"].namespace
                let program = try RunningProgram(
                    on: cluster, Self.files(cluster), options: isOwned ? [] : ["--no-own-tables"])
                let before = try state(cluster)
                let sticky = try AddressFamily.allCases.map {
                    try client.open(to: AddressPort(VirtualAddress.number(2, $0), 80))
                }
                /// What a pod hears at the node's own health port.
                func health() throws -> String {
                    try client.command(
                        "sh", "-c",
                        "curl -s --noproxy '*' --max-time 10 -o /dev/null -w '%{http_code}' http://\(cluster.node.address(.ipv4)):10256/healthz || true"
                    )
                }
                #expect(try health() == "200")
                let clients = knocking(cluster)
                try clients.waitForRounds(3)
                let firewall = try Firewalld(in: cluster.node.namespace, root: root)
                let rules = try cluster.node.namespace.command("nft", "list", "table", "inet", "firewalld")
                #expect(rules.contains("reject with icmpx admin-prohibited"))
                #expect(try health() == "000")
                #expect(try firewall.command("--add-port=10256/tcp").contains("success"))
                #expect(try health() == "200")
                for _ in 0..<3 {
                    #expect(try firewall.command("--reload").contains("success"))
                    try clients.waitForRounds(3)
                    #expect(try state(cluster) == before)
                }
                firewall.stop()
                try clients.waitForRounds(3)
                try clients.stop()
                #expect(sticky.allSatisfy { $0.isAlive(timeout: ProxiedCluster.patience) })
                let own = Set(ObjectNames.tables)
                let connection = try cluster.node.namespace.run { try Connection() }
                #expect(try Set(connection.tables()) == own)
                #expect(try !program.process.standardError.contains("somebody else changed the tables"))
                #expect(program.terminate() == 0)
            }
        }

        // MARK: Not owned

        /// What others may do to tables that aren't owned.
        static let damages = [
            "delete table ip sluice", "flush ruleset", "flush table ip sluice",
            "flush chain ip6 sluice dispatch",
            "flush map ip sluice services", "flush map ip sluice slots-0", "flush set ip6 sluice cluster-ips",
            "add rule ip sluice prerouting drop", "insert rule ip6 sluice dispatch counter return",
            "add chain ip sluice theirs { type nat hook prerouting priority -101; }",
            "add element ip sluice cluster-ips { 192.0.2.77 }",
            "add set ip sluice theirs { type ipv4_addr; }",
            "add counter ip sluice hits",
            "add table ip sluice { flags dormant; }",
            // A chain of the rule's own, an element for all keys that have none, a base chain by another name.
            "add rule ip sluice dispatch ip saddr 192.0.2.99 jump { counter; drop; }",
            "add element ip sluice services { * : drop }", "rename chain ip sluice prerouting elsewhere",
        ]

        @Test(
            "not owned: what others change is put right at once, and it is told who did it",
            arguments: damages)
        func repaired(damage: String) throws {
            try withCluster { cluster in
                let program = try RunningProgram(
                    on: cluster, Self.files(cluster), options: ["--no-own-tables"])
                let before = try state(cluster)
                let nft = try cluster.node.namespace.start(["nft", damage])
                #expect(nft.wait() == 0)
                let ended = ContinuousClock.now
                let isRight = try eventually {
                    try state(cluster) == before
                        && tables(cluster).allSatisfy { $0.flags == [] && $0.others.isEmpty }
                }
                #expect(isRight, "\(damage)")
                let took = ContinuousClock.now - ended
                print("put right after \(took): \(damage)")
                #expect(try Set(servers(cluster, 1)) == ["a", "b"])
                let log = try program.process.standardError
                #expect(log.contains("by=\"nft (process \(nft.processID))\""), "\(log)")
                let metrics = try cluster.node.namespace.command(
                    "curl", "-s", "--noproxy", "*", "http://127.0.0.1:10249/metrics")
                #expect(metrics.contains("\nsluice_foreign_transactions_total 1\n"))
                #expect(program.terminate() == 0)
            }
        }

        @Test("not owned: a second program and `cleanup` say who runs, and change nothing")
        func rival() throws {
            try withCluster { cluster in
                let node = cluster.node.namespace
                let program = try RunningProgram(
                    on: cluster, Self.files(cluster), options: ["--no-own-tables"])
                let before = try state(cluster)
                let who = "belongs to sluice (process \(program.process.processID)), which runs"
                let early = try SluiceProgram.run("cleanup", in: node)
                #expect(early.status == 1)
                #expect(early.errors.contains(who), "\(early.errors)")
                let other = try SluiceProgram.run(
                    "run", "--once", "-f", program.directory.path, "--hostname-override", "node",
                    "--no-own-tables", in: node)
                #expect(other.status == 1)
                #expect(other.errors.contains(who), "\(other.errors)")
                #expect(try state(cluster) == before)
                #expect(try !program.process.standardError.contains("somebody else changed the tables"))
                // From another container nobody sees which process it is.
                let hidden = try node.start([
                    "unshare", "--pid", "--fork", "--mount", "--mount-proc", try SluiceProgram.path.get(),
                    "cleanup",
                ])
                #expect(hidden.wait() == 1)
                #expect(try hidden.standardError.contains("belongs to a Sluice in another container"))
                // One that owns its tables is no other.
                let owner = try SluiceProgram.run(
                    "run", "--once", "-f", program.directory.path, "--hostname-override", "node", in: node)
                #expect(owner.status == 1)
                #expect(owner.errors.contains(who), "\(owner.errors)")
                #expect(try state(cluster) == before)
                // Those that stay take over, one of them, when the first ends.
                let waiting = try (1...2).map { number in
                    try node.start([
                        try SluiceProgram.path.get(), "run", "-f", program.directory.path,
                        "--hostname-override", "node", "--no-own-tables",
                        "--healthz-bind-address=127.0.0.1:\(number)0256",
                        "--metrics-bind-address=127.0.0.1:\(number)0249",
                    ])
                }
                for program in waiting { try program.waitForLog(who) }
                #expect(program.terminate() == 0)
                let first = try #require(
                    eventuallyFirst(waiting) { try $0.standardError.contains("serving") })
                let second = try #require(waiting.first { $0 !== first })
                #expect(try !second.standardError.contains("serving"))
                first.send(SIGTERM)
                #expect(first.wait() == 0)
                try second.waitForLog("serving")
                #expect(try state(cluster) == before)
                second.send(SIGTERM)
                #expect(second.wait() == 0)
                let late = try SluiceProgram.run("cleanup", in: node)
                #expect(late.status == 0)
                #expect(late.errors.contains("removed tables ip sluice and ip6 sluice"), "\(late.errors)")
                #expect(try tables(cluster) == [])
            }
        }

        @Test("a program that fights back is answered, and not without end; Services are followed all along")
        func fight() throws {
            try withCluster { cluster in
                let program = try RunningProgram(
                    on: cluster, Self.files(cluster), options: ["--no-own-tables"])
                let before = try state(cluster)
                let node = cluster.node.namespace
                let start = ContinuousClock.now
                let fighter = try node.start([
                    "sh", "-c",
                    "for i in $(seq 600); do nft add rule ip sluice prerouting counter || true; done",
                ])
                // Meanwhile a Service comes.
                try program.directory.write(
                    ManifestText.service("more", at: VirtualAddress.pair(3)) + "---\n"
                        + ManifestText.slices(of: "more", [cluster[pod: "a"]]), to: "more.yaml")
                #expect(try eventually { try Set(servers(cluster, 3, times: 1)) == ["a"] })
                #expect(fighter.wait() == 0)
                let seconds = Double((ContinuousClock.now - start).components.seconds) + 1
                try program.directory.remove("more.yaml")
                #expect(try eventually { try state(cluster) == before })
                let metrics = try node.command(
                    "curl", "-s", "--noproxy", "*", "http://127.0.0.1:10249/metrics")
                let undone = metrics.split(separator: "\n").compactMap { line in
                    line.hasPrefix("sluice_foreign_changes_undone_total ")
                        ? line.split(separator: " ").last.flatMap { Double($0) } : nil
                }
                // Each repair flushes the chain and writes its rules anew.
                let each = Double((before.first?.chains["prerouting"]?.rules.count ?? 0) + 1)
                let repairs = (undone.first ?? 0) / each
                print("600 blows in \(seconds) s, answered by \(repairs) repairs")
                #expect(repairs >= 10 && repairs <= 10 + seconds + 2)
                let log = try program.process.standardError
                #expect(log.contains("others keep changing the tables"))
                #expect(program.terminate() == 0)
            }
        }

        @Test(
            "a program that commits to its own table without end keeps Sluice neither from starting nor from following"
        )
        func crowd() throws {
            try withCluster { cluster in
                var files = Self.files(cluster)
                // Enough to read that nobody commits meanwhile only by chance.
                files["many.yaml"] = (0..<1500).map { number in
                    let name = "many-\(number)"
                    return """
                        apiVersion: v1
                        kind: Service
                        metadata: {name: \(name), namespace: default}
                        spec: {clusterIP: 10.96.\(16 + number / 250).\(number % 250), ports: [{port: 80}]}
                        ---
                        apiVersion: discovery.k8s.io/v1
                        kind: EndpointSlice
                        metadata: {name: \(name), namespace: default, labels: {kubernetes.io/service-name: \(name)}}
                        addressType: IPv4
                        ports: [{port: 8080}]
                        endpoints: [{addresses: [10.250.0.1]}, {addresses: [10.250.0.2]}]

                        """
                }.joined(separator: "---\n")
                // Before Sluice's: the kernel tells of chains in the order of their tables.
                let id = TableID(.ip, "theirs")
                let crowd = try cluster.node.namespace.run { try Connection() }
                try crowd.commit([
                    .addTable(id, comment: nil), .addSet(id, NamedSet("ports", key: Shape(.internetService))),
                ])
                let first = try RunningProgram(on: cluster, files, options: ["--no-own-tables"])
                let sticky = AddressPort(VirtualAddress.number(2, .ipv4), 80)
                let client = cluster[pod: "client"].namespace
                let open = try client.open(to: sticky)
                #expect(first.terminate() == 0)

                let writing = BackgroundLoop {
                    let connection = try cluster.node.namespace.run { try Connection() }
                    for number in 0..<2000 {
                        let port = Element(RegisterValue(port: UInt16(number)))
                        let chains = (0..<5).map { Chain("chain-\($0)") }
                        try connection.commit([
                            .flushSet(id, set: "ports"), .addElements(id, set: "ports", [port]),
                        ])
                        try connection.commit(
                            chains.map {
                                number % 2 == 0 ? .addChain(id, $0) : .deleteChain(id, chain: $0.name)
                            })
                        usleep(200)
                    }
                }
                let clients = knocking(cluster)
                usleep(200_000)
                try #require(!writing.hasFailed)
                #expect(throws: KernelError.self) {
                    for _ in 0..<50 { _ = try crowd.table(ObjectNames.tableID(.ipv4)) }
                }
                let program = try RunningProgram(
                    on: cluster, first.directory, options: ["--no-own-tables"])
                try program.directory.write(
                    ManifestText.service("more", at: VirtualAddress.pair(3)) + "---\n"
                        + ManifestText.slices(of: "more", [cluster[pod: "a"]]), to: "more.yaml")
                #expect(try eventually { try Set(servers(cluster, 3, times: 1)) == ["a"] })
                let again = try client.connect(to: sticky, times: 6, timeout: ProxiedCluster.patience)
                #expect(Set(again.map(\.server)) == [open.server])
                #expect(open.isAlive(timeout: ProxiedCluster.patience))
                try program.directory.remove("more.yaml")
                #expect(try eventually { try !servers(cluster, 3, times: 1).contains("a") })
                try writing.stop()
                try clients.stop()
                #expect(program.terminate() == 0)
                let last = try SluiceProgram.run(
                    "run", "--once", "-f", program.directory.path, "--hostname-override", "node",
                    "--no-own-tables", in: cluster.node.namespace)
                #expect(last.errors.contains("in force: nothing to change"), "\(last.errors)")
            }
        }
    }
}
