import ClusterBuilders
import Foundation
import IPAddressing
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// What the program does beside programming rules, as it is put together for users.
    @Suite struct RunWiringTests {
        private let plan = ClusterPlan(pods: [["client", "a", "b"], ["d"]])
        private static let healthPort: UInt16 = 32_080
        private static let service = ManifestText.service("web", at: VirtualAddress.pair(1))

        /// Service `web` with a health check port, under Local policy.
        private static let localService =
            service.replacing(
                "type: ClusterIP",
                with: """
                    type: LoadBalancer
                      externalTrafficPolicy: Local
                      healthCheckNodePort: \(healthPort)
                    """)

        private func slices(_ cluster: TestCluster, _ names: [String]) -> String {
            ManifestText.slices(of: "web", names.map { cluster[pod: $0] })
        }

        private func withProgram(
            _ service: String, endpoints: [String], options: [String] = [], wrapper: [String] = [],
            before: (TestCluster) throws -> Void = { _ in },
            _ body: (RunningProgram) throws -> Void
        ) throws {
            try TestCluster.with(plan) { cluster in
                for name in ["a", "b", "d"] {
                    try cluster.serve(cluster[pod: name], tcp: [8080], udp: [8080])
                }
                try before(cluster)
                let program = try RunningProgram(
                    on: cluster, ["service.yaml": service, "slices.yaml": slices(cluster, endpoints)],
                    options: options, wrapper: wrapper)
                try body(program)
                #expect(program.terminate() == 0)
            }
        }

        // MARK: Health checks

        /// curl's word for a port at which nobody listens: refused, or reset while it is being closed.
        private static let unanswered: Set<Int32> = [7, 56]

        /// What a load balancer outside hears at the health check port: status, weight and endpoints; nil when nobody
        /// listens.
        private func health(_ cluster: TestCluster, _ family: AddressFamily) throws -> String? {
            let url = "http://\(cluster.node.port(Self.healthPort, family))/healthz"
            let answer: String
            do {
                answer = try cluster.outside.namespace.command(
                    "curl", "-g", "-s", "-i", "--noproxy", "*", "--max-time", "10", url)
            } catch let error as CommandError where Self.unanswered.contains(error.status) {
                return nil
            }
            let status = answer.split(separator: " ").dropFirst().first ?? ""
            let weight = answer.firstMatch(of: /(?i)X-Load-Balancing-Endpoint-Weight: (\d+)/)?.1 ?? ""
            let endpoints = answer.firstMatch(of: /"localEndpoints":(\d+)/)?.1 ?? ""
            return "\(status) \(weight) \(endpoints)"
        }

        @Test("statement 23: the health check port says 200 and 503 as this node's endpoints come and go")
        func healthChecks() throws {
            try withProgram(Self.localService, endpoints: ["a", "b", "d"]) { program in
                let cluster = program.cluster
                func expectHealth(_ wanted: String?, _ location: SourceLocation = #_sourceLocation) throws {
                    for family in AddressFamily.allCases {
                        var last: String?
                        let isThere = try eventually {
                            last = try health(cluster, family)
                            return last == wanted
                        }
                        #expect(
                            isThere, "\(last ?? "nobody"), not \(wanted ?? "nobody")",
                            sourceLocation: location)
                    }
                }
                func serve(_ names: String...) throws {
                    try program.directory.write(slices(cluster, names), to: "slices.yaml")
                }
                // A pod counts once, whatever addresses it has.
                try expectHealth("200 2 2")
                try serve("a", "d")
                try expectHealth("200 1 1")
                // Endpoints on other nodes are no reason to come here.
                try serve("d")
                try expectHealth("503 0 0")
                try serve()
                try expectHealth("503 0 0")
                try serve("b")
                try expectHealth("200 1 1")
                // Under Cluster policy every node does.
                try program.directory.write(
                    Self.localService.replacing(
                        "externalTrafficPolicy: Local", with: "externalTrafficPolicy: Cluster"),
                    to: "service.yaml")
                try expectHealth(nil)
                try program.directory.write(Self.localService, to: "service.yaml")
                try expectHealth("200 1 1")
            }
        }

        @Test("statement 23: a health check port that somebody holds is told, and served once they let it go")
        func healthCheckPortHeld() throws {
            var holder: EchoServer?
            func hold(_ cluster: TestCluster) throws {
                holder = try EchoServer("holder", in: cluster.node.namespace, tcp: [Self.healthPort])
            }
            try withProgram(Self.localService, endpoints: ["a"], before: hold) { program in
                try program.waitForLog("no health check server on 0.0.0.0:\(Self.healthPort)")
                #expect(holder != nil)
                holder?.stop()
                // Nothing else changes that would make it look again.
                #expect(try eventually { try health(program.cluster, .ipv4) == "200 1 1" })
                #expect(try eventually { try health(program.cluster, .ipv6) == "200 1 1" })
                try program.waitForLog("solved: ")
            }
        }

        // MARK: Kernel parameters

        private static let timeouts = [
            ("nf_conntrack_tcp_timeout_established", "86400"),
            ("nf_conntrack_tcp_timeout_close_wait", "3600"),
        ]

        /// A parameter of connection tracking in the node's namespace.
        private func parameter(_ name: String, _ cluster: TestCluster) throws -> String {
            try cluster.node.namespace.command("cat", "/proc/sys/net/netfilter/\(name)")
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }

        /// Neither of them is right, so that one which is was set.
        private func setOthers(_ cluster: TestCluster) throws {
            for (name, _) in Self.timeouts {
                try cluster.node.namespace.setSysctls(["netfilter/\(name)": "77"])
            }
        }

        @Test("statement 28: the limits of connection tracking are set")
        func parametersAreSet() throws {
            try withProgram(Self.service, endpoints: ["a"], before: setOthers) { program in
                for (name, value) in Self.timeouts {
                    let isSet = try eventually { try parameter(name, program.cluster) == value }
                    #expect(isSet, "\(name)")
                }
            }
        }

        @Test("statement 28: a parameter that can't be written is reported, and all else is done")
        func parametersThatCannotBeSet() throws {
            // As in a container without privileges.
            let wrapper = [
                "unshare", "--mount", "sh", "-ec",
                "mount --bind -o ro /proc/sys /proc/sys; exec \"$@\"", "sh",
            ]
            try withProgram(Self.service, endpoints: ["a"], wrapper: wrapper, before: setOthers) {
                program in
                for (name, value) in Self.timeouts {
                    try program.waitForLog("/\(name) can't be set to \(value): open: Read-only file system")
                    #expect(try parameter(name, program.cluster) == "77")
                }
                // It follows what happens as ever.
                try program.directory.write(slices(program.cluster, ["b"]), to: "slices.yaml")
                let virtual = AddressPort(VirtualAddress.number(1), 80)
                let client = program.cluster[pod: "client"].namespace
                #expect(
                    try eventually {
                        try client.connect(to: virtual, timeout: ProxiedCluster.patience).server == "b"
                    })
            }
        }
    }
}
