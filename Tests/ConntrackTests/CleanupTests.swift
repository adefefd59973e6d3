import Conntrack
import IPAddressing
import TestNetwork
import Testing

@Suite(
    "Statement 26 with real clients: UDP flows follow the endpoints",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
struct CleanupTests {
    /// Virtual addresses of a family, served on UDP and TCP port 53.
    private static func virtual(_ family: AddressFamily) -> AddressPort {
        at(family == .ipv4 ? "10.96.0.10:53" : "[fd00:96::a]:53")
    }

    /// Leads the virtual address and the node port to pods, chosen by the client's pod.
    private static func rules(_ family: AddressFamily, _ node: TestCluster.Host, to pod: TestCluster.Host)
        -> String
    {
        let ip = family == .ipv4 ? "ip" : "ip6"
        let address = family == .ipv4 ? "\(pod.address(family))" : "[\(pod.address(family))]"
        return """
            table \(ip) t
            delete table \(ip) t
            table \(ip) t {
              chain pre {
                type nat hook prerouting priority dstnat
                \(ip) daddr \(virtual(family).address) meta l4proto { tcp, udp } th dport 53 dnat to \(address):8053
                \(ip) daddr \(node.address(family)) udp dport 30053 dnat to \(address):8053
              }
            }
            """
    }

    private static func cleanup(
        _ family: AddressFamily, _ node: TestCluster.Host, _ pods: [TestCluster.Host]
    ) -> UDPCleanup {
        let endpoints = Set(pods.map { $0.port(8053, family) })
        return UDPCleanup(live: [
            family: .init(
                services: [virtual(family): endpoints], nodePorts: [30053: endpoints],
                nodeAddresses: [node.address(family)])
        ])
    }

    @Test(
        "a flow to an endpoint that is gone moves to a living one; one to a living endpoint stays",
        arguments: AddressFamily.allCases)
    func endpointGone(_ family: AddressFamily) async throws {
        try await TestCluster.with { cluster in
            let (node, client) = (cluster.node, cluster[pod: "client"])
            let (a, b) = (cluster[pod: "a"], cluster[pod: "b"])
            for pod in [a, b] { try cluster.serve(pod, tcp: [8053], udp: [8053]) }
            let (connection, reconciler) = try node.namespace.run {
                (try ConntrackConnection(), try ConntrackReconciler())
            }
            let virtual = Self.virtual(family)
            try node.namespace.loadRules(Self.rules(family, node, to: a))
            // This test gives its thread up in between, and on a busy machine has to wait for it: longer than the
            // half minute that entries live.
            try node.namespace.setSysctls([
                "netfilter/nf_conntrack_udp_timeout": "600",
                "netfilter/nf_conntrack_udp_timeout_stream": "600",
            ])
            let stale = try client.namespace.open(.udp, to: virtual)
            let staleNodePort = try client.namespace.open(.udp, to: node.port(30053, family))
            let tcp = try client.namespace.open(.tcp, to: virtual)
            #expect([stale, staleNodePort, tcp].map(\.server) == ["a", "a", "a"])
            try node.namespace.loadRules(Self.rules(family, node, to: b))
            let live = try client.namespace.open(.udp, to: virtual)
            #expect(live.server == "b")
            let liveEntry = try #require(
                try connection.entries(family, protocol: .udp).first {
                    $0.reply.source == b.port(8053, family)
                })
            #expect(liveEntry.status.contains(.destinationNAT))
            // Without the cleanup the flow stays where it was, whatever the rules say by now.
            #expect(try stale.exchange("?").hasPrefix("a "))

            let report = await reconciler.reconcile(Self.cleanup(family, node, [b]))
            #expect(report.deleted == 2)
            #expect(report.gone == 0 && report.failed == 0 && report.isComplete)
            #expect(report.seen == 3)
            // An answer that was still on its way may have made an entry of its own, in the other direction.
            let left = try connection.entries(family, protocol: .udp)
            #expect(left.contains { $0.id == liveEntry.id })
            #expect(!left.contains { $0.reply.source == a.port(8053, family) })
            #expect(try stale.exchange("?").hasPrefix("b "))
            #expect(try staleNodePort.exchange("?").hasPrefix("b "))
            #expect(try live.exchange("?").hasPrefix("b "))
            #expect(tcp.isAlive())

            // Nothing is left to do.
            #expect(await reconciler.reconcile(Self.cleanup(family, node, [b])).deleted == 0)
        }
    }

    @Test(
        "a flow that began before the rules reaches an endpoint once they are there",
        arguments: AddressFamily.allCases)
    func untranslated(_ family: AddressFamily) async throws {
        try await TestCluster.with { cluster in
            let (node, client, a) = (cluster.node, cluster[pod: "client"], cluster[pod: "a"])
            try cluster.serve(a, udp: [8053])
            let (connection, reconciler) = try node.namespace.run {
                (try ConntrackConnection(), try ConntrackReconciler())
            }
            let virtual = Self.virtual(family)
            // The kernel tracks connections as soon as a rule asks for their state.
            let ip = family == .ipv4 ? "ip" : "ip6"
            try node.namespace.loadRules(
                "table \(ip) t { chain pre { type nat hook prerouting priority dstnat; ct state new accept; }; }"
            )
            let before = try client.namespace.connect(
                .udp, to: virtual, sourcePort: 4000, timeout: .milliseconds(50))
            #expect(before.server == nil)
            let made = try connection.entries(family, protocol: .udp)
            #expect(made.map(\.hasTranslatedDestination) == [false])
            try node.namespace.loadRules(Self.rules(family, node, to: a))
            // The client sends on, from its port, and is led past the rules.
            let during = try client.namespace.connect(
                .udp, to: virtual, sourcePort: 4000, timeout: .milliseconds(50))
            #expect(during.server == nil)

            let report = await reconciler.reconcile(Self.cleanup(family, node, [a]))
            #expect(report.deleted == 1)
            let after = try client.namespace.connect(.udp, to: virtual, sourcePort: 4000)
            #expect(after.server == "a")
        }
    }

    @Test("a Service without endpoints keeps no flow; other flows of the node stay")
    func noEndpoints() async throws {
        try await TestCluster.with { cluster in
            let (node, client, a) = (cluster.node, cluster[pod: "client"], cluster[pod: "a"])
            try cluster.serve(a, tcp: [8053], udp: [8053])
            let (connection, reconciler) = try node.namespace.run {
                (try ConntrackConnection(), try ConntrackReconciler())
            }
            try node.namespace.loadRules(Self.rules(.ipv4, node, to: a))
            _ = try client.namespace.open(.udp, to: Self.virtual(.ipv4))
            let direct = try client.namespace.open(.udp, to: a.port(8053))
            let tcp = try client.namespace.open(.tcp, to: Self.virtual(.ipv4))
            let report = await reconciler.reconcile(Self.cleanup(.ipv4, node, []))
            #expect(report.deleted == 1)
            #expect(try connection.entries(protocol: .udp).map(\.original.destination) == [a.port(8053)])
            #expect(direct.isAlive() && tcp.isAlive())
        }
    }

    @Test("a cancelled pass stops between two batches and says that it is not complete")
    func cancelled() async throws {
        let namespace = try Namespace("cancelled")
        let (connection, events) = try namespace.run {
            (try ConntrackConnection(), AsyncStream<Void>.makeStream())
        }
        for start in stride(from: 1, to: 1025, by: 128) {
            try connection.create(
                (start..<start + 128).map { entry(from: "10.0.0.1:\($0)", to: "10.96.0.1:53") })
        }
        // Stands still in its first pause until it is cancelled.
        let gate = Gate()
        let reconciler = try namespace.run {
            try ConntrackReconciler {
                events.continuation.yield()
                gate.wait()
            }
        }
        let pass = Task {
            await reconciler.reconcile(
                UDPCleanup(live: [.ipv4: .init(services: [at("10.96.0.1:53"): []])]))
        }
        for await _ in events.stream { break }
        pass.cancel()
        gate.open()
        let report = await pass.value
        #expect(!report.isComplete)
        #expect(report.deleted == 128)
        #expect(report.errors.isEmpty)
        #expect(try connection.entries().count == 1024 - 128)
    }
}
