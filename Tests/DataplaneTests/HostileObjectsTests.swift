import Foundation
import NFTables
import NFTablesKernel
import Ruleset
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// Manifests that nobody has checked, into the kernel and through nft.
    @Suite struct HostileObjectsTests {
        private static func label(_ letter: String) -> String { String(repeating: letter, count: 63) }

        /// A Service of the longest names there are, with all that has a name in the kernel, and an ordinary one.
        private static func manifest(_ namespace: String, _ service: String, _ port: String) -> String {
            """
            apiVersion: v1
            kind: Service
            metadata: {namespace: \(namespace), name: \(service)}
            spec:
              type: LoadBalancer
              clusterIPs: [10.96.0.10, "fd00:96::10"]
              externalTrafficPolicy: Local
              loadBalancerSourceRanges: [192.0.2.0/24, "2001:db8::/32"]
              sessionAffinity: ClientIP
              ports: [{name: \(port), port: 65535, nodePort: 30080}]
            status: {loadBalancer: {ingress: [{ip: 203.0.113.10}, {ip: "2001:db8:1::10"}]}}
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {namespace: \(namespace), name: a, labels: {kubernetes.io/service-name: \(service)}}
            addressType: IPv4
            endpoints: [{addresses: [10.244.0.1], nodeName: node-1}, {addresses: [10.244.0.2]}]
            ports: [{name: \(port), port: 65534}]
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: ordinary}
            spec: {clusterIP: 10.96.0.20, ports: [{port: 80}]}

            """
        }

        /// Loads the dry run by nft in one namespace, has the program write the same in another, and compares.
        private func load(_ manifest: String) throws -> (table: Table, errors: String) {
            let (loaded, written) = (try Namespace("loaded"), try Namespace("written"))
            let directory = try TemporaryDirectory()
            let path = try directory.write(manifest, to: "hostile.yaml")
            let dry = try SluiceProgram.run(
                "run", "--dry-run", "-f", path, "--hostname-override", "node-1", in: loaded)
            #expect(dry.status == 0, "\(dry.errors)")
            try loaded.loadRules(dry.output)
            let run = try SluiceProgram.run(
                "run", "--once", "-f", path, "--hostname-override", "node-1", in: written)
            #expect(run.status == 0, "\(run.errors)")
            var tables: [[Table]] = []
            for namespace in [loaded, written] {
                let connection = try namespace.run { try Connection() }
                #expect(try Set(connection.tables()) == Set(ObjectNames.tables))
                // nft must print what we load, whatever its names.
                #expect(try namespace.command("nft", "list", "ruleset").contains("table ip6 sluice"))
                tables.append(try ObjectNames.tables.map { try #require(try connection.table($0)) })
            }
            #expect(tables[0].map(TableComparison.comparable) == tables[1].map(TableComparison.comparable))
            return (try #require(tables[1].first), run.errors)
        }

        @Test("the longest names are loaded by nft, programmed and listed")
        func longestNames() throws {
            let (table, errors) = try load(Self.manifest(Self.label("n"), Self.label("s"), Self.label("p")))
            #expect(!errors.contains("WARN") && !errors.contains("warning"), "\(errors)")
            #expect(table.chains.keys.contains { $0.hasPrefix("pool-\(Self.label("n"))/\(Self.label("s"))") })
        }

        @Test(
            "names with nft's syntax, quotes, newlines and control characters are told and left out, in the kernel too",
            arguments: [
                #""x; } table ip pwned { chain c { accept; } }""#, #""x\n}\ntable ip pwned {\n}\n""#,
                #""\"; flush ruleset; #""#, #""x\u001b[2J\u0000""#,
            ])
        func syntax(text: String) throws {
            for (namespace, service, port) in [(text, "s", "p"), ("n", text, "p"), ("n", "s", text)] {
                let (table, errors) = try load(Self.manifest(namespace, service, port))
                #expect(errors.contains("not served"), "\(errors)")
                #expect(!errors.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
                // The ordinary Service beside it is refused for want of endpoints: it is there.
                #expect(table.elements["cluster-ips"]?.isEmpty == false)
            }
        }
    }
}
