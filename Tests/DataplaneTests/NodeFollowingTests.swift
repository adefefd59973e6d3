import ClusterBuilders
import Glibc
import IPAddressing
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// What the running program follows beside its manifests: flows of connection tracking, and the host's addresses.
    @Suite struct NodeFollowingTests {
        private static let nodePort: UInt16 = 30_080

        /// Service `web` with a node port for each transport.
        private static let nodePortService =
            ManifestText.service("web", at: VirtualAddress.pair(1))
            .replacing("type: ClusterIP", with: "type: NodePort")
            .replacing("targetPort: 8080}", with: "targetPort: 8080, nodePort: \(nodePort)}")

        /// Runs `sluice run` on a directory until the body is through.
        private func withRunning(
            on cluster: TestCluster, _ manifests: [String: String], options: [String] = [],
            _ body: (RunningProgram) throws -> Void
        ) throws {
            let program = try RunningProgram(on: cluster, manifests, options: options)
            try body(program)
            #expect(program.terminate() == 0)
        }

        // MARK: UDP flows

        /// Who answers the next datagram of a flow, or what is heard instead.
        private func answer(_ flow: OpenConnection, timeout: Duration = ProxiedCluster.dropTimeout) -> String
        {
            do {
                let line = try flow.exchange("again", timeout: timeout)
                return String(line.prefix { $0 != " " })
            } catch let error as SystemError {
                return error.number == ECONNREFUSED ? "refused" : "\(error)"
            } catch {
                return "\(error)"
            }
        }

        private func expect(
            _ flows: [OpenConnection], at wanted: Set<String>, _ location: SourceLocation = #_sourceLocation
        ) {
            for (index, flow) in flows.enumerated() {
                var last = ""
                let isThere = eventually {
                    last = answer(flow)
                    return wanted.contains(last)
                }
                #expect(isThere, "flow \(index) is at \(last), not \(wanted)", sourceLocation: location)
            }
        }

        @Test(
            "statement 26: UDP flows leave endpoints that went, others stay, and TCP is left alone",
            arguments: AddressFamily.allCases)
        func flows(family: AddressFamily) throws {
            try TestCluster.with(ClusterPlan(pods: [["client", "a", "b"], ["d"]])) { cluster in
                func slices(_ names: [String]) -> String {
                    ManifestText.slices(of: "web", names.map { cluster[pod: $0] })
                }
                for name in ["a", "b", "d"] {
                    try cluster.serve(cluster[pod: name], tcp: [8080], udp: [8080])
                }
                let manifests = [
                    "service.yaml": Self.nodePortService, "slices.yaml": slices(["a", "b", "d"]),
                ]
                try withRunning(on: cluster, manifests) { program in
                    let virtual = AddressPort(VirtualAddress.number(1, family), 80)
                    func open(
                        _ transport: TransportProtocol, from host: TestCluster.Host, to port: AddressPort
                    ) throws -> OpenConnection {
                        try host.namespace.open(transport, to: port, timeout: ProxiedCluster.patience)
                    }
                    // Strictly in turn, so two of them to each.
                    var flows = try (0..<6).map { _ in
                        try open(.udp, from: cluster[pod: "client"], to: virtual)
                    }
                    flows.sort { $0.server < $1.server }
                    #expect(flows.map(\.server) == ["a", "a", "b", "b", "d", "d"])
                    let others = [
                        try open(.udp, from: cluster.node, to: virtual),
                        try open(.udp, from: cluster.outside, to: cluster.node.port(Self.nodePort, family)),
                    ]
                    let streams = try (0..<3).map { _ in
                        try open(.tcp, from: cluster[pod: "client"], to: virtual)
                    }

                    try program.directory.write(slices(["b", "d"]), to: "slices.yaml")
                    expect(flows.prefix(2) + others, at: ["b", "d"])
                    // Were they ended as well, they would be led to one and the other in turn.
                    let stayed = flows.dropFirst(2).map { answer($0, timeout: ProxiedCluster.patience) }
                    #expect(stayed == ["b", "b", "d", "d"])

                    // To none as well: kube-proxy leaves such flows where they were (kubernetes#139628).
                    for names in [["b"], [], ["a"], ["d"], []] {
                        try program.directory.write(slices(names), to: "slices.yaml")
                        expect(flows + others, at: Set(names.isEmpty ? ["refused"] : names))
                    }
                    try program.waitForLog("ended UDP flows that went astray")
                    // Connections end by themselves when their endpoint does, and not before.
                    #expect(streams.allSatisfy { $0.isAlive(timeout: ProxiedCluster.patience) })

                    // The Service goes as a whole: its flows are not left with an endpoint either.
                    try program.directory.write(slices(["a"]), to: "slices.yaml")
                    expect(flows + others, at: ["a"])
                    try program.directory.remove("service.yaml")
                    for flow in [flows[0], others[1]] { #expect(eventually { answer(flow) != "a" }) }
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
                try withRunning(on: cluster, ["other.yaml": other]) { program in
                    // Tracked, untranslated, and from now on the same connection.
                    #expect(try attempt() == nil)
                    try program.directory.write(
                        ManifestText.service("web", at: VirtualAddress.pair(1)) + "---\n"
                            + ManifestText.slices(of: "web", [a]), to: "web.yaml")
                    #expect(try eventually { try attempt() == "a" })
                }
            }
        }

        // MARK: The node's addresses

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
                        traffic.transport, to: AddressPort(address, Self.nodePort),
                        timeout: .milliseconds(200))
                    return attempt.server ?? "\(attempt.outcome)"
                }
                try withRunning(
                    on: cluster,
                    ["web.yaml": Self.nodePortService + "---\n" + ManifestText.slices(of: "web", [a])],
                    options: ["--nodeport-addresses", "172.31.0.0/24,fd00:31::/64"]
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
                        traffic.transport, to: node.port(Self.nodePort, traffic.family),
                        timeout: ProxiedCluster.patience)
                    #expect(primary.outcome == .refused)
                }
            }
        }
    }
}
