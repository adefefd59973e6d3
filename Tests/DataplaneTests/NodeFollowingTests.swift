import ClusterBuilders
import Glibc
import IPAddressing
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// What the running program follows beside its manifests: flows of connection tracking, and the host's addresses.
    @Suite struct NodeFollowingTests {
        private struct Running {
            let cluster: TestCluster
            let directory: TemporaryDirectory
            let process: ChildProcess
        }

        /// Runs `sluice run` on a directory until the body is through.
        private func withRunning(
            _ manifests: KeyValuePairs<String, String>, options: [String] = [],
            _ cluster: TestCluster, _ body: (Running) throws -> Void
        ) throws {
            let directory = try TemporaryDirectory()
            for (name, text) in manifests { try directory.write(text, to: name) }
            let process = try cluster.node.namespace.start(
                [
                    try SluiceProgram.path.get(), "run", "-f", directory.path, "--hostname-override",
                    cluster.node.name,
                ] + options)
            let isServing = try eventually {
                try process.standardError.contains("serving") || !process.isRunning
            }
            let log = try process.standardError
            try #require(isServing && process.isRunning, "it does not serve:\n\(log)")
            try body(Running(cluster: cluster, directory: directory, process: process))
            process.send(SIGTERM)
            #expect(process.wait() == 0)
        }

        /// Who answers a datagram now; what goes wrong in words.
        private func answer(_ flow: OpenConnection) -> String {
            do {
                let line = try flow.exchange("?", timeout: .milliseconds(200))
                return String(line.prefix { $0 != " " })
            } catch {
                return "\(error)"
            }
        }

        @Test(
            "statement 26: UDP flows leave endpoints that went, others stay, and TCP is left alone",
            arguments: AddressFamily.allCases)
        func flows(family: AddressFamily) throws {
            try TestCluster.with { cluster in
                let (client, a, b) = (cluster[pod: "client"], cluster[pod: "a"], cluster[pod: "b"])
                for pod in [a, b] { try cluster.serve(pod, tcp: [8080], udp: [8080]) }
                let destination = AddressPort(VirtualAddress.number(1, family), 80)
                try withRunning(
                    [
                        "service.yaml": ManifestText.service("web", at: VirtualAddress.pair(1)),
                        "slices.yaml": ManifestText.slices(of: "web", [a, b]),
                    ], cluster
                ) { running in
                    func open(_ transport: TransportProtocol) throws -> [OpenConnection] {
                        // Strictly in turn, so one of them to each.
                        try (0..<2).map { _ in
                            try client.namespace.open(
                                transport, to: destination, timeout: ProxiedCluster.patience)
                        }.sorted { $0.server < $1.server }
                    }
                    let (flows, connections) = (try open(.udp), try open(.tcp))
                    #expect(flows.map(\.server) == ["a", "b"])
                    #expect(connections.map(\.server) == ["a", "b"])

                    try running.directory.write(ManifestText.slices(of: "web", [b]), to: "slices.yaml")
                    let hasMoved = eventually { answer(flows[0]) == "b" }
                    #expect(hasMoved)
                    #expect(answer(flows[1]) == "b")
                    #expect(connections.allSatisfy { $0.isAlive(timeout: ProxiedCluster.patience) })

                    // To none: kube-proxy leaves such flows where they were (kubernetes#139628).
                    try running.directory.write(ManifestText.slices(of: "web", []), to: "slices.yaml")
                    let haveEnded = eventually {
                        flows.allSatisfy { answer($0).hasSuffix("Connection refused") }
                    }
                    #expect(haveEnded)
                    #expect(connections.allSatisfy { $0.isAlive(timeout: ProxiedCluster.patience) })
                }
            }
        }

        @Test(
            "statement 26: a UDP flow that began before its Service is led to an endpoint once it is there",
            arguments: AddressFamily.allCases)
        func earlyFlow(family: AddressFamily) throws {
            try TestCluster.with { cluster in
                let (client, a) = (cluster[pod: "client"], cluster[pod: "a"])
                try cluster.serve(a, udp: [8080])
                let destination = AddressPort(VirtualAddress.number(1, family), 80)
                func attempt() throws -> String? {
                    try client.namespace.connect(
                        .udp, to: destination, sourcePort: 4000, timeout: .milliseconds(200)
                    ).server
                }
                let other = ManifestText.service("other", at: VirtualAddress.pair(2))
                try withRunning(["other.yaml": other], cluster) { running in
                    // Tracked, untranslated, and from now on the same connection.
                    #expect(try attempt() == nil)
                    try running.directory.write(
                        ManifestText.service("web", at: VirtualAddress.pair(1)) + "---\n"
                            + ManifestText.slices(of: "web", [a]), to: "web.yaml")
                    #expect(try eventually { try attempt() == "a" })
                }
            }
        }

        @Test("statement 22: an address of the node that comes or goes is followed", arguments: Traffic.all)
        func addresses(traffic: Traffic) throws {
            try TestCluster.with { cluster in
                let (node, outside, a) = (cluster.node, cluster.outside, cluster[pod: "a"])
                try cluster.serve(a, tcp: [8080], udp: [8080])
                let isFour = traffic.family == .ipv4
                let address = try #require(IPAddress(isFour ? "172.31.0.1" : "fd00:31::1"))
                func change(_ verb: String) throws {
                    try node.namespace.command(
                        "ip", "addr", verb, "\(address)/\(traffic.family.bitWidth)", "dev", "lo")
                }
                func outcome() throws -> String {
                    let attempt = try outside.namespace.connect(
                        traffic.transport, to: AddressPort(address, 30080), timeout: .milliseconds(200))
                    return attempt.server ?? "\(attempt.outcome)"
                }
                let service = ManifestText.service("web", at: VirtualAddress.pair(1))
                    .replacing("type: ClusterIP", with: "type: NodePort")
                    .replacing("targetPort: 8080", with: "targetPort: 8080, nodePort: 30080")
                try withRunning(
                    ["web.yaml": service + "---\n" + ManifestText.slices(of: "web", [a])],
                    options: ["--nodeport-addresses", "172.31.0.0/24,fd00:31::/64"], cluster
                ) { _ in
                    // Routed there, and the node doesn't have it.
                    #expect(try outcome() != "a")
                    try change("add")
                    #expect(try eventually { try outcome() == "a" })
                    try change("del")
                    #expect(try eventually { try outcome() != "a" })
                    try change("add")
                    #expect(try eventually { try outcome() == "a" })
                    // No other address serves it.
                    let primary = try outside.namespace.connect(
                        traffic.transport, to: node.port(30080, traffic.family),
                        timeout: ProxiedCluster.patience)
                    #expect(primary.outcome == .refused)
                }
            }
        }
    }
}
