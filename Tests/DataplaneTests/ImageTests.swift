import ClusterBuilders
import Deployment
import Foundation
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import Ruleset
import TemporaryFiles
import TestAPIServer
import TestNetwork
import Testing

extension DataplaneTests {
    /// The image, run as the manifests say.
    @Suite struct ImageTests {
        private func reached(_ cluster: TestCluster, _ family: AddressFamily) throws -> Set<String> {
            let destination = AddressPort(VirtualAddress.number(1, family), 80)
            return Set(
                try cluster[pod: "client"].namespace.connect(
                    to: destination, times: 4, timeout: ProxiedCluster.patience
                ).map { $0.server ?? "\($0.outcome)" })
        }

        private func web(_ cluster: TestCluster, _ names: String...) -> [ClusterObject] {
            EndpointSlice.pair(
                "web",
                names.flatMap { name in
                    cluster[pod: name].addresses.map { .at($0, on: cluster[pod: name].node) }
                }
            ).map { .endpointSlice($0) }
        }

        @Test(
            """
            the DaemonSet's container follows the API server with kubeadm's ConfigMap, a service account and its own \
            rights alone; SIGTERM ends it in 2 s and the rules stay
            """)
        func serves() async throws {
            try await TestCluster.with { cluster in
                for pod in ["a", "b"] { try cluster.serve(cluster[pod: pod], tcp: [8080]) }
                let controlPlane = try await ControlPlane(
                    of: cluster, [.service(.clusterIP("web", at: VirtualAddress.pair(1)))] + web(cluster, "a")
                )
                controlPlane.server.access.accept(tokens: ["token-of-the-account"])
                let account = try TemporaryDirectory()
                try account.write(controlPlane.authority, to: "ca.crt")
                try account.write("token-of-the-account", to: "token")
                let files = [
                    "config.conf": KubeadmConfigMap.configuration(),
                    "kubeconfig.conf": KubeadmConfigMap.kubeconfig(server: controlPlane.server.url),
                ]
                let volume = try ConfigMapVolume(files)

                let described = try Deployment.container()
                let image = try SluiceImage(in: cluster.node.namespace)
                let container = try image.start(
                    described, volumes: ["config": volume.path], serviceAccount: account.path,
                    on: cluster.node)
                defer { container.remove() }
                let process = container.process
                try process.waitForLog("serving")
                for family in AddressFamily.allCases {
                    #expect(try reached(cluster, family) == ["a"])
                }
                for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                    #expect(try status(described[probe, "httpGet"], of: cluster.node) == "200", "\(probe)")
                }
                controlPlane.put(web(cluster, "a", "b"))
                for family in AddressFamily.allCases {
                    #expect(try eventually { try reached(cluster, family) == ["a", "b"] })
                }

                // It has what was asked for and no more: CAP_NET_ADMIN is number 12 (linux/capability.h).
                for set in ["CapBnd", "CapPrm", "CapEff"] {
                    #expect(try container.status(set) == "0000000000001000", "\(set)")
                }
                #expect(try container.status("NoNewPrivs") == "1")
                #expect(try container.rootOptions().contains("ro"))
                // Statement 28: what it may not write is told, and the rest is done.
                let isTold = try eventually {
                    try process.standardError.contains(/nf_conntrack_max .*Read-only file system/)
                }
                var log = try process.standardError
                #expect(isTold, "\(log)")
                try expectRoleSuffices(for: controlPlane)

                // A new ConfigMap is read where the old one was: the container doesn't end.
                try volume.update(
                    files.mapValues { $0.replacing("masqueradeAll: false", with: "masqueradeAll: true") })
                let isAnew = try eventually { try masqueradesAll(cluster.node) || !process.isRunning }
                log = try process.standardError
                #expect(isAnew && process.isRunning, "\(log)")
                controlPlane.put(web(cluster, "b"))
                // Each family has a slice of its own.
                for family in AddressFamily.allCases {
                    #expect(try eventually { try reached(cluster, family) == ["b"] })
                }

                let start = ContinuousClock.now
                try container.terminate()
                #expect(process.wait() == 0)
                #expect(ContinuousClock.now - start < .seconds(2))
                #expect(try process.standardError.contains("SIGTERM"))
                for family in AddressFamily.allCases {
                    #expect(try reached(cluster, family) == ["b"])
                }
                let connection = try cluster.node.namespace.run { try Connection() }
                #expect(try Set(connection.tables()) == Set(ObjectNames.tables))
                await controlPlane.server.stop()
            }
        }

        /// What a kubelet hears that asks a probe's page on a node.
        private func status(_ page: YAMLValue, of node: TestCluster.Host) throws -> String {
            guard case .int(let port) = page["port"], let path = page["path"].text else { return "no page" }
            return try node.namespace.command(
                "curl", "-s", "--noproxy", "*", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}",
                "http://\(node.address(.ipv4)):\(port)\(path)")
        }

        private func masqueradesAll(_ node: TestCluster.Host) throws -> Bool {
            // Whoever it comes from: not only those that aren't local pods.
            try node.namespace.command("nft", "list", "chain", "ip", "sluice", "translated").split(
                separator: "\n"
            )
            .contains {
                $0.drop(while: \.isWhitespace).hasPrefix("ct original ip daddr @cluster-ips masquerade")
            }
        }

        /// All that was asked of the API server until now is allowed by the ClusterRole.
        private func expectRoleSuffices(for controlPlane: ControlPlane) throws {
            let rules = try Deployment.objects("base/rbac.yaml").first { $0["kind"] == "ClusterRole" }?[
                "rules"]
            let asked = Set(
                controlPlane.server.requests.map { [$0.group, $0.resource, $0.verb.rawValue] })
            #expect(asked.contains(["", "services", "watch"]))
            for words in asked {
                let isAllowed = rules?.list.contains { rule in
                    zip(["apiGroups", "resources", "verbs"], words).allSatisfy { field, word in
                        rule[field].texts.contains(word)
                    }
                }
                #expect(isAllowed == true, "\(words)")
            }
        }

        @Test(
            "the privileged container of `sysctls` sets connection tracking in the node's namespace, and ends"
        )
        func sysctls() throws {
            let cluster = try TestCluster(ClusterPlan(pods: [["client"]]))
            defer { cluster.remove() }
            let node = cluster.node
            let image = try SluiceImage(in: node.namespace)
            // The limit is the whole machine's, and for other tests to keep.
            let configuration = KubeadmConfigMap.configuration()
                .replacing("maxPerCore: null", with: "maxPerCore: 0")
                .replacing("tcpEstablishedTimeout: null", with: "tcpEstablishedTimeout: 2h")
                .replacing("udpStreamTimeout: 0s", with: "udpStreamTimeout: 1m17s")
            let volume = try ConfigMapVolume([
                "config.conf": configuration,
                "kubeconfig.conf": KubeadmConfigMap.kubeconfig(server: "https://192.0.2.1:6443"),
            ])
            let described = try Deployment.initContainer()
            let container = try image.start(described, volumes: ["config": volume.path], on: node)
            defer { container.remove() }
            let status = container.process.wait()
            let log = try container.process.standardError
            #expect(status == 0, "\(log)")
            for (name, value) in [
                ("tcp_timeout_established", "7200"), ("tcp_timeout_close_wait", "3600"),
                ("udp_timeout_stream", "77"),
            ] {
                let path = "/proc/sys/net/netfilter/nf_conntrack_\(name)"
                #expect(try node.namespace.command("cat", path) == "\(value)\n", "\(name)")
            }
            let connection = try node.namespace.run { try Connection() }
            #expect(try connection.tables() == [])

            // Without its privileges it says what it couldn't set, and is no reason for a node without a proxy.
            guard case .object(var fields) = described else { return }
            fields["securityContext"] = try Deployment.container()["securityContext"]
            try node.namespace.setSysctls(["netfilter/nf_conntrack_udp_timeout_stream": "99"])
            let refused = try image.start(.object(fields), volumes: ["config": volume.path], on: node)
            defer { refused.remove() }
            #expect(refused.process.wait() == 0)
            let told = try refused.process.standardError
            #expect(told.contains("nf_conntrack_udp_timeout_stream can't be set to 77"), "\(told)")
            let path = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream"
            #expect(try node.namespace.command("cat", path) == "99\n")
        }
    }
}
