import Agent
import ClusterBuilders
import Foundation
import IPAddressing
import Logging
import NFTables
import NFTablesKernel
import PrometheusMetrics
import Ruleset
import Synchronization
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// A node on which kube-proxy served, and the way there and back.
    @Suite struct ComingFromKubeProxyTests {
        /// Where kube-proxy's rules are.
        enum Mode: String, CaseIterable, CustomTestStringConvertible {
            case nftables
            case iptablesNFT = "iptables-nft"
            case iptablesLegacy = "iptables-legacy"

            var testDescription: String { rawValue }
        }

        /// A cluster in which Service `web` is served by a and b, and `sticky` by a, b and c with affinity.
        private struct Ground {
            let cluster: TestCluster
            let mode: Mode
            let rules: KubeProxyRules
            let manifests: [String: String]

            init(_ cluster: TestCluster, _ mode: Mode) throws {
                self.cluster = cluster
                self.mode = mode
                let pods = ["a", "b", "c"].map { cluster[pod: $0] }
                for pod in pods { try cluster.serve(pod, tcp: [8080], udp: [8080]) }
                rules = KubeProxyRules(services: [
                    .init(name: "web", number: 1, pods: Array(pods.prefix(2))),
                    .init(name: "sticky", number: 2, pods: pods, affinity: 600),
                ])
                manifests = [
                    "web.yaml": ManifestText.service("web", at: VirtualAddress.pair(1)) + "---\n"
                        + ManifestText.slices(of: "web", Array(pods.prefix(2))),
                    "sticky.yaml": ManifestText.service("sticky", at: VirtualAddress.pair(2), affinity: 600)
                        + "---\n" + ManifestText.slices(of: "sticky", pods),
                ]
                try node.loadRules(
                    """
                    table ip foreign {
                        chain kube-proxy { type nat hook postrouting priority 110; ip saddr 203.0.113.1 masquerade; }
                    }
                    table inet kube-proxy { set services { type ipv4_addr; elements = { 10.0.0.1 }; }; }
                    """)
                guard mode != .nftables else { return }
                for family in AddressFamily.allCases {
                    try restore(KubeProxyRules.foreignIPTables(family), family)
                }
            }

            var node: Namespace { cluster.node.namespace }
            var client: TestCluster.Host { cluster[pod: "client"] }

            private func tool(_ family: AddressFamily, _ verb: String) -> String {
                let variant = mode == .iptablesNFT ? "nft" : "legacy"
                return "\(family == .ipv4 ? "iptables" : "ip6tables")-\(variant)-\(verb)"
            }

            func restore(_ script: String, _ family: AddressFamily) throws {
                try node.command(tool(family, "restore"), "--noflush", input: script)
            }

            func save(_ family: AddressFamily, _ options: String...) throws -> String {
                try node.command("sh", "-c", ([tool(family, "save")] + options).joined(separator: " "))
            }

            /// Kube-proxy writes its rules.
            func loadKubeProxy() throws {
                guard mode != .nftables else { return try node.loadRules(rules.nftables) }
                for family in AddressFamily.allCases { try restore(rules.iptables(family), family) }
            }

            /// All that is neither kube-proxy's nor Sluice's, as it is listed.
            func foreign() throws -> [String] {
                let own = ["ip kube-proxy", "ip6 kube-proxy", "ip sluice", "ip6 sluice"]
                let tables = try node.command("nft", "list", "tables").split(separator: "\n")
                    .map { String($0.dropFirst("table ".count)) }
                var result = try tables.filter { $0 == "ip foreign" || $0 == "inet kube-proxy" }.map {
                    try node.command("sh", "-c", "nft list table \($0)")
                }
                result.append(tables.filter { !own.contains($0) }.sorted().joined(separator: " "))
                guard mode != .nftables else { return result }
                for family in AddressFamily.allCases {
                    let saved = try node.command(tool(family, "save"))
                    result += saved.split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
                        String($0.prefix { $0 != "[" })
                    }
                }
                return result
            }

            /// Whether any rule of kube-proxy's is there.
            func hasKubeProxy() throws -> Bool {
                var listing = try node.command("nft", "list", "ruleset")
                if mode == .iptablesLegacy {
                    listing = try AddressFamily.allCases.map { try node.command(tool($0, "save")) }.joined()
                }
                return listing.contains("table ip kube-proxy") || listing.contains("table ip6 kube-proxy")
                    || listing.contains("KUBE-S") || listing.contains("KUBE-PROXY")
                    || listing.contains("KUBE-MARK-MASQ")
            }

            func virtual(_ number: UInt8, _ family: AddressFamily) -> AddressPort {
                AddressPort(VirtualAddress.number(number, family), 80)
            }

            func server(_ number: UInt8, _ family: AddressFamily, from source: IPAddress? = nil) throws
                -> String
            {
                let attempt = try client.namespace.connect(
                    to: virtual(number, family), sourceAddress: source, timeout: ProxiedCluster.patience)
                return attempt.server ?? "\(attempt.outcome)"
            }

            /// Connections to both Services from a pod and from the node.
            func open() throws -> [OpenConnection] {
                try AddressFamily.allCases.flatMap { family in
                    try [UInt8(1), 2].flatMap { number in
                        try [client.namespace, node].map {
                            try $0.open(to: virtual(number, family), timeout: ProxiedCluster.patience)
                        }
                    }
                }
            }

            func tables() throws -> [TableID] {
                try node.run { try Connection().tables() }.filter { $0.name == "sluice" }.sorted()
            }
        }

        private func with(_ mode: Mode, _ body: (Ground) throws -> Void) throws {
            try TestCluster.with { try body(Ground($0, mode)) }
        }

        private func expectAlive(
            _ connections: [OpenConnection], _ location: SourceLocation = #_sourceLocation
        ) {
            for connection in connections {
                #expect(connection.isAlive(timeout: ProxiedCluster.patience), sourceLocation: location)
            }
        }

        @Test(
            "a takeover keeps connections, serves new ones, and removes kube-proxy's rules alone",
            arguments: Mode.allCases)
        func takeover(mode: Mode) throws {
            try with(mode) { ground in
                let foreign = try ground.foreign()
                try ground.loadKubeProxy()
                #expect(try ground.hasKubeProxy())
                let connections = try ground.open()
                let knocking = BackgroundLoop {
                    for family in AddressFamily.allCases {
                        let server = try ground.server(1, family)
                        try #require(["a", "b"].contains(server), "\(server)")
                    }
                }
                try knocking.waitForRounds(3)
                // Beside kube-proxy's file, which has no field for it, the flag counts.
                let file = try TemporaryDirectory()
                try file.write(
                    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n",
                    to: "config.conf")
                let program = try RunningProgram(
                    on: ground.cluster, ground.manifests,
                    options: ["--adopt-from-kube-proxy", "--config", "\(file.path)/config.conf"])
                try knocking.waitForRounds(10)
                try knocking.stop()
                let log = try program.process.standardError
                #expect(log.contains("took over from kube-proxy"), "\(log)")
                #expect(try !ground.hasKubeProxy())
                #expect(try ground.foreign() == foreign)
                #expect(try ground.tables() == ObjectNames.tables.sorted())
                expectAlive(connections)
                for family in AddressFamily.allCases {
                    #expect(try Set((0..<4).map { _ in try ground.server(1, family) }) == ["a", "b"])
                }
                #expect(program.terminate() == 0)
                expectAlive(connections)
            }
        }

        @Test(
            "clients keep the endpoint that kube-proxy's nftables mode led them to, and the time they have left"
        )
        func affinity() throws {
            try with(.nftables) { ground in
                try ground.loadKubeProxy()
                var led: [IPAddress: String] = [:]
                for family in AddressFamily.allCases {
                    let clients = try ground.cluster.addAddresses(8, to: ground.client, family)
                    for client in clients { led[client] = try ground.server(2, family, from: client) }
                }
                #expect(Set(led.values).isSubset(of: ["a", "b", "c"]))
                let since = ContinuousClock.now
                // Time passes, of which a client that is remembered anew would know nothing.
                usleep(1_500_000)
                // And some come again and again, whichever proxy leads them at that moment.
                let busy = led.filter { $0.key.low % 4 == 0 }
                let knocking = BackgroundLoop {
                    for (client, server) in busy {
                        let answer = try ground.server(2, client.family, from: client)
                        try #require(answer == server, "\(client) met \(answer), not \(server)")
                    }
                }
                try knocking.waitForRounds(2)
                let program = try RunningProgram(
                    on: ground.cluster, ground.manifests, options: ["--adopt-from-kube-proxy"])
                try knocking.waitForRounds(5)
                try knocking.stop()
                #expect(try !ground.hasKubeProxy())
                let connection = try ground.node.run { try Connection() }
                for family in AddressFamily.allCases {
                    let passed = ContinuousClock.now - since
                    let entries = try connection.elements(
                        of: "affinity-pool-default/sticky/tcp/http/8080", in: ObjectNames.tableID(family))
                    // A packet in the very moment of the commit can make the kernel hold a second entry of its client.
                    let ledTo = Dictionary(grouping: entries, by: \.key)
                    #expect(ledTo.count == 8)
                    #expect(ledTo.values.allSatisfy { Set($0.map(\.data)).count == 1 }, "\(entries)")
                    for entry in entries where !busy.keys.contains(where: { $0.bytes == entry.key.bytes }) {
                        #expect(entry.timeout == 600_000)
                        let left = Double(entry.expiration ?? 0)
                        // The kernel counts in ticks, of 10 ms at most.
                        #expect((500_000...(600_020 - passed.milliseconds)).contains(left))
                    }
                }
                for (client, server) in led {
                    for _ in 0..<3 {
                        #expect(try ground.server(2, client.family, from: client) == server)
                    }
                }
                #expect(program.terminate() == 0)
            }
        }

        @Test(
            "without the flag both stay active, and a warning and a metric say so", arguments: Mode.allCases)
        func warning(mode: Mode) throws {
            try with(mode) { ground in
                try ground.loadKubeProxy()
                let connections = try ground.open()
                let before = try ground.node.command("nft", "list", "tables")
                let program = try RunningProgram(on: ground.cluster, ground.manifests)
                let log = try program.process.standardError
                #expect(log.contains("kube-proxy's rules are here as well, and both are active"), "\(log)")
                #expect(log.contains("--adopt-from-kube-proxy"))
                #expect(try ground.hasKubeProxy())
                #expect(
                    try ground.node.command("nft", "list", "tables")
                        == before + "table ip sluice\ntable ip6 sluice\n")
                let metrics = try ground.node.command(
                    "curl", "-s", "--noproxy", "*", "--max-time", "10", "http://127.0.0.1:10249/metrics")
                let wanted =
                    switch mode {
                    case .nftables: /kind="nftables"} 2\n/
                    case .iptablesNFT: /kind="iptables-nft"} [1-9]\d\n/
                    case .iptablesLegacy: /kind="iptables-legacy"} [1-9]\d\n/
                    }
                let line = metrics.split(separator: "\n").filter {
                    $0.hasPrefix("sluice_kube_proxy_leftovers{")
                }.map { $0 + "\n" }.joined()
                #expect(try wanted.firstMatch(in: line) != nil, "\(line)")
                expectAlive(connections)
                for family in AddressFamily.allCases {
                    #expect(try ["a", "b"].contains(ground.server(1, family)))
                }
                #expect(program.terminate() == 0)
            }
        }

        @Test(
            "`sluice cleanup --kube-proxy` removes kube-proxy's rules, and leaves Sluice's alone",
            arguments: Mode.allCases)
        func cleanup(mode: Mode) throws {
            try with(mode) { ground in
                let foreign = try ground.foreign()
                let program = try RunningProgram(on: ground.cluster, ground.manifests)
                try ground.loadKubeProxy()
                let connections = try ground.open()
                let ending = try SluiceProgram.run("cleanup", "--kube-proxy", in: ground.node)
                #expect(ending.status == 0)
                #expect(ending.errors.contains("removed kube-proxy's rules"), "\(ending.errors)")
                #expect(try !ground.hasKubeProxy())
                #expect(try ground.foreign() == foreign)
                #expect(try ground.tables() == ObjectNames.tables.sorted())
                expectAlive(connections)
                #expect(program.terminate() == 0)
                let again = try SluiceProgram.run("cleanup", "--kube-proxy", in: ground.node)
                #expect(again.status == 0)
                #expect(again.errors.contains("nothing to remove"), "\(again.errors)")
                #expect(try ground.foreign() == foreign)
            }
        }

        @Test(
            "the way back: `sluice cleanup` leaves kube-proxy's rules, and they serve",
            arguments: Mode.allCases)
        func wayBack(mode: Mode) throws {
            try with(mode) { ground in
                let program = try RunningProgram(on: ground.cluster, ground.manifests)
                let connections = try ground.open()
                #expect(program.terminate() == 0)
                try ground.loadKubeProxy()
                let later = try ground.open()
                let foreign = try ground.foreign()
                let ending = try SluiceProgram.run("cleanup", in: ground.node)
                #expect(ending.status == 0)
                #expect(ending.errors.contains("removed tables ip sluice and ip6 sluice"))
                #expect(try ground.hasKubeProxy())
                #expect(try ground.foreign() == foreign)
                #expect(try ground.tables() == [])
                expectAlive(connections + later)
                for family in AddressFamily.allCases {
                    #expect(try ["a", "b"].contains(ground.server(1, family)))
                    #expect(try Set((0..<4).map { _ in try ground.server(2, family) }).count == 1)
                }
            }
        }

        @Test(
            "a chain of kube-proxy's that a container runtime's rules lead to stays, and is named",
            arguments: [Mode.iptablesNFT, .iptablesLegacy])
        func keptChain(mode: Mode) throws {
            try with(mode) { ground in
                try ground.loadKubeProxy()
                let hostPort = """
                    *nat
                    :KUBE-HOSTPORTS - [0:0]
                    :KUBE-HP-AAAAAAAA - [0:0]
                    -A PREROUTING -m addrtype --dst-type LOCAL -j KUBE-HOSTPORTS
                    -A KUBE-HOSTPORTS -p tcp -m tcp --dport 9000 -j KUBE-HP-AAAAAAAA
                    -A KUBE-HP-AAAAAAAA -s 10.244.0.11/32 -j KUBE-MARK-MASQ
                    COMMIT

                    """
                try ground.restore(hostPort, .ipv4)
                let ending = try SluiceProgram.run("cleanup", "--kube-proxy", in: ground.node)
                #expect(ending.status == 0)
                #expect(
                    ending.errors.contains("in ip nat that rules of others lead to stay: KUBE-MARK-MASQ"),
                    "\(ending.errors)")
                let saved = try ground.save(.ipv4)
                #expect(saved.contains("-A KUBE-HP-AAAAAAAA -s 10.244.0.11/32 -j KUBE-MARK-MASQ"))
                #expect(saved.contains("-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"))
                #expect(!saved.contains("KUBE-SERVICES"))
            }
        }

        @Test(
            "where forwarding is guarded, a warning tells that KUBE-FORWARD is gone",
            arguments: [Mode.iptablesNFT, .iptablesLegacy])
        func guardedForwarding(mode: Mode) throws {
            try with(mode) { ground in
                try ground.loadKubeProxy()
                try ground.restore("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", .ipv4)
                let ending = try SluiceProgram.run("cleanup", "--kube-proxy", in: ground.node)
                #expect(ending.status == 0)
                #expect(
                    ending.errors.contains("table ip filter drops what its chain FORWARD doesn't accept"),
                    "\(ending.errors)")
                #expect(!ending.errors.contains("ip6 filter drops"))
            }
        }

        @Test("rules of legacy iptables go on counting where they were")
        func counters() throws {
            try with(.iptablesLegacy) { ground in
                try ground.loadKubeProxy()
                for family in AddressFamily.allCases { _ = try ground.server(1, family) }
                func counted() throws -> [(rule: String, packets: Int)] {
                    try ground.save(.ipv4, "-c").matches(of: /\[(\d+):\d+\] (-A .*)/).map {
                        (String($0.output.2), Int($0.output.1) ?? 0)
                    }
                }
                let before = Dictionary(try counted().map { ($0.rule, $0.packets) }, uniquingKeysWith: +)
                let ending = try SluiceProgram.run("cleanup", "--kube-proxy", in: ground.node)
                #expect(ending.status == 0)
                let after = try counted()
                #expect(after.contains { $0.packets > 0 })
                for (rule, packets) in after { #expect(packets >= before[rule] ?? .max, "\(rule)") }
                #expect(after.count < before.count)
            }
        }

        @Test("looking and cleaning up make no table of iptables where there was none")
        func nothingIsMade() throws {
            try TestCluster.with { cluster in
                let node = cluster.node.namespace
                func tables() throws -> String {
                    try node.command("nft", "list", "tables")
                        + node.command(
                            "sh", "-c",
                            "cat /proc/thread-self/net/ip_tables_names /proc/thread-self/net/ip6_tables_names || true"
                        )
                }
                let before = try tables()
                let ending = try SluiceProgram.run("cleanup", "--kube-proxy", in: node)
                #expect(ending.status == 0)
                #expect(ending.errors.contains("nothing to remove"))
                #expect(try tables() == before)
            }
        }

        @Test("where the kernel refuses to remove a chain, all of kube-proxy's rules stay")
        func refused() throws {
            try with(.iptablesNFT) { ground in
                try ground.loadKubeProxy()
                // In use by a map, of which no rule tells.
                try ground.node.loadRules(
                    "add map ip nat others { type mark : verdict; elements = { 1 : jump KUBE-MARK-MASQ }; }")
                let before = try ground.node.command("nft", "-s", "list", "ruleset")
                let ending = try SluiceProgram.run("cleanup", "--kube-proxy", in: ground.node)
                #expect(ending.status == 1)
                #expect(
                    ending.errors.contains("not all that kube-proxy left was removed"), "\(ending.errors)")
                #expect(
                    ending.errors.contains("delete chain ip nat KUBE-MARK-MASQ: EBUSY"), "\(ending.errors)")
                #expect(try ground.node.command("nft", "-s", "list", "ruleset") == before)
                let program = try RunningProgram(
                    on: ground.cluster, ground.manifests, options: ["--adopt-from-kube-proxy"])
                #expect(try program.process.standardError.contains("kube-proxy's rules stay"))
                #expect(try ground.hasKubeProxy())
                for family in AddressFamily.allCases {
                    #expect(try ["a", "b"].contains(ground.server(1, family)))
                }
                #expect(program.terminate() == 0)
            }
        }

        /// A log that keeps its lines.
        private final class LogLines: LogHandler, Sendable {
            let lines = Mutex<[String]>([])
            var logLevel: Logger.Level {
                get { .debug }
                set {}
            }
            var metadata: Logger.Metadata {
                get { [:] }
                set {}
            }
            subscript(metadataKey _: String) -> Logger.Metadata.Value? {
                get { nil }
                set {}
            }
            func log(event: LogEvent) { lines.withLock { $0.append("\(event.message)") } }
        }

        /// A takeover, and a writer whose tables are in force.
        private func prepare(
            _ ground: Ground, _ log: LogLines, _ metrics: AgentMetrics = AgentMetrics()
        ) throws -> (takeover: KubeProxyTakeover, writer: RulesetWriter<Connection>) {
            try ground.loadKubeProxy()
            let takeover = KubeProxyTakeover(
                isAsked: true, metrics: metrics, logger: Logger(label: "test") { _ in log })
            let connection = try ground.node.run { try Connection() }
            let writer = RulesetWriter(settings: ProxySettings(nodeName: "node"), kernel: connection)
            _ = try writer.write(environment: NodeEnvironment())
            return (takeover, writer)
        }

        @Test("tables that aren't what was committed are no reason to remove kube-proxy's")
        func notInForce() throws {
            try with(.nftables) { ground in
                let log = LogLines()
                let (takeover, writer) = try prepare(ground, log)
                try ground.node.loadRules("flush chain ip sluice dispatch")
                takeover.predecessor.retire(writer)
                #expect(try ground.hasKubeProxy())
                let told = log.lines.withLock { $0 }
                #expect(told.count == 1)
                #expect(
                    told.first?.hasPrefix("Sluice's tables are not what was committed") == true, "\(told)")
            }
        }

        @Test("a kube-proxy that still runs is noticed, and so is its end")
        func stillRunning() async throws {
            let cluster = try TestCluster()
            defer { cluster.remove() }
            let ground = try Ground(cluster, .nftables)
            let log = LogLines()
            let metrics = AgentMetrics()
            let (takeover, writer) = try prepare(ground, log, metrics)
            takeover.predecessor.retire(writer)
            func gauge() -> Bool { metrics.registry.text.contains("kind=\"nftables\"} 2") }
            #expect(!gauge())
            var steps: [() throws -> Void] = [
                { try ground.loadKubeProxy() }, { #expect(gauge()) },
                { try ground.node.loadRules("delete table ip kube-proxy; delete table ip6 kube-proxy") },
                { #expect(!gauge()) },
            ]
            let node = ground.node
            await takeover.watch { _ in
                guard !steps.isEmpty else { throw CancellationError() }
                try steps.removeFirst()()
            } _: { () throws(KernelError) in
                do {
                    return try node.run { try Connection() }
                } catch {
                    throw .lost("\(error)")
                }
            }
            let told = log.lines.withLock { $0 }
            #expect(told.filter { $0.contains("kube-proxy's rules are back") }.count == 1, "\(told)")
            #expect(told.last == "kube-proxy's rules are gone")
        }
    }
}
