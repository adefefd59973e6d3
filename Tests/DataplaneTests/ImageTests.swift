import ClusterBuilders
import Deployment
import Foundation
import IPAddressing
import NFTables
import NFTablesKernel
import Ruleset
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// The image, run with the rights that the DaemonSet gives it.
    @Suite struct ImageTests {
        @Test(
            "with the DaemonSet's rights alone the image serves a node; SIGTERM ends it in 2 s and the rules stay"
        )
        func serves() throws {
            try TestCluster.with { cluster in
                let pods = ["a", "b"].map { cluster[pod: $0] }
                for pod in pods { try cluster.serve(pod, tcp: [8080]) }
                let manifests = try TemporaryDirectory()
                try manifests.write(
                    ManifestText.service("web", at: VirtualAddress.pair(1)) + "---\n"
                        + ManifestText.slices(of: "web", pods), to: "web.yaml")
                func reached(_ family: AddressFamily) throws -> Set<String> {
                    let destination = AddressPort(VirtualAddress.number(1, family), 80)
                    return Set(
                        try cluster[pod: "client"].namespace.connect(
                            to: destination, times: 4, timeout: ProxiedCluster.patience
                        ).map { $0.server ?? "\($0.outcome)" })
                }
                let image = try SluiceImage(in: cluster.node.namespace)
                let described = try Deployment.container()
                #expect(described["image"].text == image.reference)

                let container = try image.start(
                    described,
                    arguments: ["run", "-f", "/manifests", "--hostname-override=$(NODE_NAME)"],
                    folders: ["/manifests": manifests.path], on: cluster.node)
                defer { container.remove() }
                let process = container.process
                let isServing = try eventually {
                    try process.standardError.contains("serving") || !process.isRunning
                }
                let log = try process.standardError
                try #require(isServing && process.isRunning, "it does not serve:\n\(log)")
                for family in AddressFamily.allCases { #expect(try reached(family) == ["a", "b"]) }

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
                let errors = try process.standardError
                #expect(isTold, "\(errors)")

                let start = ContinuousClock.now
                try container.terminate()
                #expect(process.wait() == 0)
                #expect(ContinuousClock.now - start < .seconds(2))
                #expect(try process.standardError.contains("SIGTERM"))
                for family in AddressFamily.allCases { #expect(try reached(family) == ["a", "b"]) }
                let connection = try cluster.node.namespace.run { try Connection() }
                #expect(try Set(connection.tables()) == Set(ObjectNames.tables))
            }
        }
    }
}
