import Glibc
import IPAddressing
import TestNetwork
import Testing

@Test("kernel tests that are required can run")
func kernelTestsCanRunWhenRequired() {
    guard KernelTests.areRequired else { return }
    #expect(KernelTests.missing == nil, "SLUICE_REQUIRE_KERNEL_TESTS is set, but they cannot run here")
}

@Suite(.enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
struct TestClusterTests {
    @Test(
        "pods reach each other, each by its own address",
        arguments: [ClusterPlan.PodNetwork.routed, .bridged(hairpin: false)], AddressFamily.allCases)
    func podsReachEachOther(network: ClusterPlan.PodNetwork, family: AddressFamily) throws {
        var plan = ClusterPlan()
        plan.podNetwork = network
        try TestCluster.with(plan) { cluster in
            let (client, server) = (cluster[pod: "client"], cluster[pod: "a"])
            try cluster.serve(server, tcp: [8080], udp: [8081])
            for (transport, port) in [(TransportProtocol.tcp, UInt16(8080)), (.udp, 8081)] {
                let attempt = try client.namespace.connect(transport, to: server.port(port, family))
                #expect(attempt.server == "a")
                #expect(attempt.seenSource?.address == client.address(family))
            }
        }
    }

    @Test(
        "the outside host and the pods of another node reach a pod, and the other way round",
        arguments: AddressFamily.allCases)
    func nodesAreConnected(family: AddressFamily) throws {
        try TestCluster.with(ClusterPlan(pods: [["a"], ["b"]])) { cluster in
            #expect(cluster.nodes.map(\.name) == ["node", "node-b"])
            for host in cluster.pods + cluster.nodes + [cluster.outside] {
                try cluster.serve(host, tcp: [8080])
            }
            for (client, server) in [
                (cluster[pod: "a"], cluster[pod: "b"]), (cluster[pod: "b"], cluster[pod: "a"]),
                (cluster.outside, cluster[pod: "a"]), (cluster[pod: "a"], cluster.outside),
                (cluster.outside, cluster.nodes[1]), (cluster.node, cluster[pod: "b"]),
            ] {
                let attempt = try client.namespace.connect(to: server.port(8080, family))
                #expect(attempt.server == server.name)
                #expect(attempt.seenSource?.address == client.address(family))
            }
        }
    }

    @Test("a port that nobody serves is refused at once", arguments: [TransportProtocol.tcp, .udp])
    func unservedPortIsRefused(transport: TransportProtocol) throws {
        try TestCluster.with { cluster in
            for family in AddressFamily.allCases {
                let attempt = try cluster[pod: "client"].namespace.connect(
                    transport, to: cluster[pod: "a"].port(9, family))
                #expect(attempt.outcome == .refused)
                #expect(attempt.elapsed < .milliseconds(500))
            }
        }
    }

    @Test("a dropped connection times out, a prohibited one says so")
    func dropAndProhibit() throws {
        try TestCluster.with { cluster in
            try cluster.node.namespace.loadRules(
                """
                table ip test {
                    chain forward {
                        type filter hook forward priority 0;
                        tcp dport 1000 drop
                        tcp dport 1001 reject with icmp admin-prohibited
                    }
                }
                """)
            let (client, server) = (cluster[pod: "client"].namespace, cluster[pod: "a"])
            let dropped = try client.connect(to: server.port(1000), timeout: .milliseconds(300))
            #expect(dropped.outcome == .timedOut)
            #expect(dropped.elapsed >= .milliseconds(300))
            #expect(try client.connect(to: server.port(1001)).outcome == .unreachable(errno: EHOSTUNREACH))
        }
    }

    @Test("nft in a node translates a virtual IP, for pods, the node itself and the outside host")
    func virtualAddressIsTranslated() throws {
        try TestCluster.with { cluster in
            let servers = ["a", "b", "c"].map { cluster[pod: $0] }
            for server in servers { try cluster.serve(server, tcp: [8080]) }
            try cluster.node.namespace.loadRules(Self.rotation(over: servers))
            for client in [cluster[pod: "client"], cluster.node, cluster.outside] {
                let attempts = try client.namespace.connect(to: Self.virtualAddress, times: 9)
                let names = attempts.map { $0.server ?? "\($0.outcome)" }
                #expect(Set(names.prefix(3)) == ["a", "b", "c"])
                #expect(Array(names.prefix(3)) == Array(names.suffix(3)))
            }
        }
    }

    @Test(
        "a pod that is sent to itself is answered when it is masqueraded",
        arguments: [ClusterPlan.PodNetwork.routed, .bridged(hairpin: true)])
    func hairpin(network: ClusterPlan.PodNetwork) throws {
        var plan = ClusterPlan()
        plan.podNetwork = network
        try TestCluster.with(plan) { cluster in
            let pod = cluster[pod: "a"]
            try cluster.serve(pod, tcp: [8080])
            try cluster.node.namespace.loadRules(Self.rotation(over: [pod]))
            let plain = try pod.namespace.connect(to: Self.virtualAddress, timeout: .milliseconds(300))
            #expect(plain.server == nil)
            try cluster.node.namespace.loadRules(
                """
                table ip test {
                    chain postrouting {
                        type nat hook postrouting priority srcnat;
                        ip saddr \(pod.address()) ip daddr \(pod.address()) masquerade
                    }
                }
                """)
            let masqueraded = try pod.namespace.connect(to: Self.virtualAddress)
            #expect(masqueraded.server == "a")
            #expect(masqueraded.seenSource?.address != pod.address())
        }
    }

    @Test("an open connection keeps its server when the rules change, and dies with it")
    func openConnection() throws {
        try TestCluster.with { cluster in
            let server = try cluster.serve(cluster[pod: "a"], tcp: [8080])
            try cluster.node.namespace.loadRules(Self.rotation(over: [cluster[pod: "a"]]))
            let connection = try cluster[pod: "client"].namespace.open(to: Self.virtualAddress)
            #expect(connection.server == "a")
            #expect(try connection.exchange("one") == "a one")
            // In one transaction: when the last NAT rule of a namespace goes, connection tracking goes with it.
            try cluster.serve(cluster[pod: "b"], tcp: [8080])
            try cluster.node.namespace.loadRules(
                "flush table ip test\n" + Self.rotation(over: [cluster[pod: "b"]]))
            #expect(try cluster[pod: "client"].namespace.connect(to: Self.virtualAddress).server == "b")
            #expect(try connection.exchange("two") == "a two")
            server.stop()
            #expect(!connection.isAlive())
        }
    }

    @Test("a client may choose its source port, again and again")
    func sourcePort() throws {
        try TestCluster.with { cluster in
            try cluster.serve(cluster[pod: "a"], tcp: [8080], udp: [8080])
            let client = cluster[pod: "client"]
            for transport in [TransportProtocol.tcp, .udp, .tcp, .udp, .tcp] {
                let attempt = try client.namespace.connect(
                    transport, to: cluster[pod: "a"].port(8080), sourceAddress: client.address(),
                    sourcePort: 4444)
                #expect(attempt.seenSource == client.port(4444))
            }
        }
    }

    @Test("a cluster leaves no namespace behind, whether or not its test succeeds")
    func everythingIsRemoved() throws {
        struct Failure: Error {}
        var namespaces: [Namespace] = []
        #expect(throws: Failure.self) {
            try TestCluster.with { cluster in
                namespaces = (cluster.nodes + cluster.pods + [cluster.outside]).map(\.namespace)
                try cluster.serve(cluster.node, tcp: [8080], udp: [8080])
                #expect(namespaces.allSatisfy { $0.exists })
                throw Failure()
            }
        }
        #expect(namespaces.count == 6)
        #expect(namespaces.allSatisfy { !$0.exists })
    }

    @Test("servers and clients give back their descriptors")
    func descriptorsAreClosed() throws {
        // Other suites open files at the same time, so a leak has to be large to be told from them.
        let before = try Self.openDescriptors()
        try TestCluster.with { cluster in
            for _ in 0..<20 {
                let server = try EchoServer("a", in: cluster.node.namespace, tcp: [8080], udp: [8080])
                for address in cluster.node.addresses {
                    _ = try cluster.outside.namespace.connect(to: AddressPort(address, 8080), times: 5)
                }
                _ = try cluster.outside.namespace.open(to: cluster.node.port(8080))
                server.stop()
            }
        }
        #expect(try Self.openDescriptors() < before + 60)
    }

    @Test("a command says why it failed; a process in a namespace can be stopped")
    func commands() throws {
        let namespace = try Namespace("commands")
        let error = try #require(throws: CommandError.self) {
            try namespace.command("ip", "link", "show", "nosuch")
        }
        #expect(error.status == 1)
        #expect(error.standardError.contains("nosuch"))
        #expect(try namespace.command("cat", input: "text") == "text")
        let process = try namespace.start(["sleep", "100"])
        #expect(process.isRunning)
        process.send(SIGTERM)
        #expect(process.wait() == 128 + SIGTERM)
    }

    @Test("a process that doesn't end in time is killed")
    func impatience() throws {
        let process = try Namespace("slow").start(["sleep", "60"])
        #expect(process.wait(atMost: .milliseconds(100)) == 128 + SIGKILL)
    }

    @Test("a cluster is there in well under half a second")
    func setupTime() throws {
        let took = try ContinuousClock().measure { try TestCluster.with { _ in } }
        // Ten times what it takes on two cores: a check against a second-long wait coming in, not a benchmark.
        #expect(took < .seconds(3), "took \(took)")
    }

    private static let virtualAddress = AddressPort(IPAddress(ipv4: 0x0a60_000a), 80)

    /// A table that hands new connections to the virtual address to the pods in turn.
    private static func rotation(over pods: [TestCluster.Host]) -> String {
        let map = pods.enumerated().map { "\($0.offset) : \($0.element.address()) . 8080" }
        let rule = """
            ip daddr \(virtualAddress.address) tcp dport \(virtualAddress.port) \
            dnat ip to numgen inc mod \(pods.count) map { \(map.joined(separator: ", ")) }
            """
        return """
            table ip test {
                chain prerouting {
                    type nat hook prerouting priority dstnat;
                    \(rule)
                }
                chain output {
                    type nat hook output priority -100;
                    \(rule)
                }
            }
            """
    }

    private static func openDescriptors() throws -> Int {
        let directory = try #require(opendir("/proc/self/fd"))
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return count
    }
}
