import ClusterBuilders
import Foundation
import IPAddressing
import KubernetesAPI
import TemporaryFiles
import TestAPIServer
import TestNetwork
import Testing

extension DataplaneTests {
    /// The program as a DaemonSet runs it: no manifests, an API server.
    @Suite struct ServedClusterTests {
        /// A server outside of the cluster's nodes, and the program on the first node.
        private struct Served {
            let cluster: TestCluster
            let controlPlane: ControlPlane
            let process: ChildProcess
            let directory: TemporaryDirectory

            var server: TestAPIServer { controlPlane.server }

            func put(_ objects: ClusterObject...) { controlPlane.put(objects) }

            func waitForLog(_ text: String) throws { try process.waitForLog(text) }

            /// The servers that new connections meet at the first virtual address.
            func reached(_ family: AddressFamily = .ipv4) throws -> Set<String> {
                let destination = AddressPort(VirtualAddress.number(1, family), 80)
                return Set(
                    try cluster[pod: "client"].namespace.connect(
                        to: destination, times: 6, timeout: ProxiedCluster.patience
                    ).map { $0.server ?? "\($0.outcome)" })
            }

            /// Status and body of a page that the program serves on its node.
            func page(_ port: UInt16, _ path: String) throws -> (status: String, body: String) {
                let answer = try cluster.node.namespace.command(
                    "curl", "-s", "--noproxy", "*", "--max-time", "10", "-w", "\n%{http_code}",
                    "http://127.0.0.1:\(port)\(path)")
                let lines = answer.split(separator: "\n", omittingEmptySubsequences: false)
                return (String(lines.last ?? ""), lines.dropLast().joined(separator: "\n"))
            }
        }

        private func withServed(
            _ objects: [ClusterObject], options: [String] = [], _ body: (Served) async throws -> Void
        ) async throws {
            try await TestCluster.with { cluster in
                for pod in ["a", "b"] { try cluster.serve(cluster[pod: pod], tcp: [8080], udp: [8080]) }
                let controlPlane = try await ControlPlane(of: cluster, objects)
                let server = controlPlane.server
                let directory = try TemporaryDirectory()
                try directory.write(
                    Kubeconfig(server: server.url, authority: controlPlane.authority).text, to: "kubeconfig")
                let process = try cluster.node.namespace.start(
                    [
                        try SluiceProgram.path.get(), "--kubeconfig=\(directory.path)/kubeconfig",
                        "--hostname-override=\(cluster.node.name)",
                    ] + options)
                try await body(
                    Served(
                        cluster: cluster, controlPlane: controlPlane, process: process, directory: directory))
                if process.isRunning {
                    process.send(SIGTERM)
                    #expect(process.wait() == 0)
                }
                await server.stop()
            }
        }

        private func web(_ cluster: TestCluster? = nil, _ names: String...) -> [EndpointSlice] {
            EndpointSlice.pair(
                "web",
                names.flatMap { name in
                    (cluster?[pod: name].addresses ?? []).map { .at($0, on: cluster?[pod: name].node) }
                })
        }

        @Test("statement 6: what an API server says is in force, and so is each change of it")
        func follows() async throws {
            try await withServed([.service(.clusterIP("web", at: VirtualAddress.pair(1)))]) { served in
                let cluster = served.cluster
                try served.waitForLog("serving")
                #expect(try served.reached() == ["refused"])
                for slice in web(cluster, "a") { served.put(.endpointSlice(slice)) }
                for family in AddressFamily.allCases {
                    #expect(try eventually { try served.reached(family) == ["a"] })
                }
                for slice in web(cluster, "a", "b") { served.put(.endpointSlice(slice)) }
                #expect(try eventually { try served.reached() == ["a", "b"] })
                // Broken watches: what happens meanwhile is made up for.
                await served.server.resetConnections()
                for slice in web(cluster, "b") { served.put(.endpointSlice(slice)) }
                #expect(try eventually { try served.reached() == ["b"] })
                served.server.store.delete(.service(ObjectName(namespace: "default", name: "web")))
                let destination = AddressPort(VirtualAddress.number(1, .ipv4), 80)
                #expect(
                    try eventually {
                        let attempt = try cluster[pod: "client"].namespace.connect(
                            to: destination, timeout: ProxiedCluster.dropTimeout)
                        return attempt.server == nil && attempt.outcome != .refused
                    }, "the address is nobody's any more")
            }
        }

        @Test("statement 24: health, metrics, mode and configuration are served once rules are in force")
        func status() async throws {
            try await withServed([.service(.clusterIP("web", at: VirtualAddress.pair(1)))]) { served in
                try served.waitForLog("serving")
                try served.waitForLog("metrics server listening")
                try served.waitForLog("healthz server listening")
                #expect(try served.page(10256, "/healthz").status == "200")
                #expect(try served.page(10256, "/readyz").status == "200")
                #expect(try served.page(10249, "/proxyMode").body == "nftables")
                #expect(try served.page(10249, "/configz").body.contains("\"kubeproxy.config.k8s.io\""))
                let metrics = try served.page(10249, "/metrics").body
                #expect(metrics.contains("kubeproxy_sync_proxy_rules_duration_seconds_count"))
                #expect(metrics.contains("sluice_"))
                let requests = /rest_client_requests_total\{code="200",host="[^"]+:\d+",method="GET"\} [1-9]/
                #expect(metrics.contains(requests), "\(metrics)")
                // A Node that is to go is not eligible, and the proxy lives on.
                var node = Node(name: served.cluster.node.name)
                served.put(.node(node))
                node.isToBeDeletedByAutoscaler = true
                served.put(.node(node))
                #expect(try eventually { try served.page(10256, "/healthz").status == "503" })
                #expect(try served.page(10256, "/livez").status == "200")
            }
        }

        @Test("a Service that can't be served as asked has an Event, beside the line in the log")
        func event() async throws {
            var older = Service.clusterIP("older", at: VirtualAddress.pair(2))
            older.created = 1
            older.externalIPs = [IPAddress(ipv4: 0xc000_0263)]
            var younger = Service.clusterIP("younger", at: VirtualAddress.pair(3))
            younger.created = 2
            younger.externalIPs = older.externalIPs
            try await withServed([.service(older), .service(younger)]) { served in
                try served.waitForLog("serving")
                #expect(eventually { !served.server.postedEvents.isEmpty })
                let event = try #require(served.server.postedEvents.first)
                #expect(event.regardingKind == "Service" && event.regardingName == "younger")
                #expect(event.type == "Warning" && event.note.contains("default/older"))
                var counts: Substring = ""
                let isCounted = try eventually {
                    let metrics = try served.page(10249, "/metrics").body
                    counts = metrics.firstMatch(of: /sluice_events_total\{.*/)?.0 ?? ""
                    let posted = served.server.postedEvents.count
                    return counts == "sluice_events_total{result=\"posted\"} \(posted)"
                }
                #expect(isCounted, "\(counts)")
            }
        }

        @Test(
            "statement 25: rules stay while the API server is away, and the program goes on when it is back")
        func away() async throws {
            try await withServed([.service(.clusterIP("web", at: VirtualAddress.pair(1)))]) { served in
                try served.waitForLog("serving")
                for slice in web(served.cluster, "a") { served.put(.endpointSlice(slice)) }
                #expect(try eventually { try served.reached() == ["a"] })
                let port = served.server.port
                await served.server.stop()
                for slice in web(served.cluster, "b") { served.put(.endpointSlice(slice)) }
                #expect(try served.reached() == ["a"])
                let address = served.cluster.outside.address(.ipv4)
                try await served.server.start(
                    listener: try served.cluster.outside.namespace.run {
                        try TestAPIServer.listen(on: address, port: UInt16(port))
                    })
                #expect(try eventually { try served.reached() == ["b"] })
            }
        }
    }
}
