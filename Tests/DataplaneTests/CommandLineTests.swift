import ClusterBuilders
import Foundation
import IPAddressing
import NFTables
import NFTablesKernel
import Ruleset
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    @Suite struct CommandLineTests {
        /// Services of every shape that the ruleset knows.
        private let manifest = [
            ManifestText.service("web", at: VirtualAddress.pair(1)),
            ManifestText.service("sticky", at: VirtualAddress.pair(2), affinity: 600),
            ManifestText.service("empty", at: VirtualAddress.pair(3)),
            ManifestText.service("single", at: VirtualAddress.pair(4)),
            ManifestText.service("sticky-single", at: VirtualAddress.pair(5), affinity: 60),
            slices("web", 3), slices("sticky", 2), slices("single", 1), slices("sticky-single", 1),
            """
            apiVersion: networking.k8s.io/v1
            kind: ServiceCIDR
            metadata: {name: kubernetes}
            spec: {cidrs: [10.96.0.0/16, "fd00:96::/112"]}

            """,
        ].joined(separator: "---\n")

        private static func slices(_ service: String, _ count: Int) -> String {
            AddressFamily.allCases.map { family in
                let prefix = family == .ipv4 ? "10.244.0." : "fd00:244::"
                let endpoints = (1...count).map {
                    "  - {addresses: [\"\(prefix)\($0)\"], nodeName: node}\n"
                }
                return """
                    apiVersion: discovery.k8s.io/v1
                    kind: EndpointSlice
                    metadata:
                      name: \(service)-ipv\(family.rawValue)
                      namespace: default
                      labels: {kubernetes.io/service-name: \(service)}
                    addressType: IPv\(family.rawValue)
                    ports:
                      - {name: http, protocol: TCP, port: 8080}
                      - {name: dgram, protocol: UDP, port: 8080}
                    endpoints:

                    """ + endpoints.joined()
            }.joined(separator: "---\n")
        }

        private func tables(in namespace: Namespace) throws -> [Table?] {
            let connection = try namespace.run { try Connection() }
            return try ObjectNames.tables.map { try connection.table($0) }
        }

        @Test(
            "the exit status says what happened: 0 done, 1 failed, 64 wrong usage",
            arguments: [
                (["--help"], Int32(0), "USAGE"), (["run", "--help"], 0, "--dry-run"),
                (["version"], 0, "sluice "),
                ([], 64, "-f"), (["--version"], 0, "sluice "), (["run", "--version=true"], 0, "sluice "),
                (["run", "-f", "-", "--nosuch"], 64, "--nosuch"),
                (["nosuch"], 64, "nosuch"),
                (["run"], 64, "-f"), (["run", "-f", "-", "--output", "nft"], 64, "--output"),
                (["run", "-f", "-", "--dry-run", "--once"], 64, "--once"),
                (["run", "-f", "-", "--dry-run", "--output", "xml"], 64, "xml"),
                (["run", "-f", "-", "--hostname-override", " "], 64, "--hostname-override"),
                (["run", "-f", "-", "--conntrack-min=-1"], 64, "--conntrack-min"),
                (["--config=/nonexistent/config.conf", "-f", "-"], 1, "/nonexistent/config.conf"),
                (["--config=/nonexistent/config.conf", "-f", "-", "--nosuch"], 64, "--nosuch"),
                (["run", "--dry-run", "-f", "/nonexistent/path"], 1, "/nonexistent/path"),
                (["run", "-f", "/nonexistent/path"], 1, "/nonexistent/path"),
                (["run", "--once", "-f", "/nonexistent/path"], 1, "/nonexistent/path"),
            ])
        func exitStatus(arguments: [String], status: Int32, text: String) throws {
            let namespace = try Namespace("cli")
            let process = try namespace.start([try SluiceProgram.path.get()] + arguments)
            #expect(process.wait() == status)
            // What was asked for goes to standard output, what went wrong to standard error.
            let told = status == 0 ? try process.standardOutput : try process.standardError
            #expect(told.contains(text), "\(told)")
            #expect(try (status == 0 ? process.standardError : process.standardOutput) == "")
            #expect(try tables(in: namespace) == [nil, nil])
        }

        @Test("a dry run needs no rights and touches nothing")
        func dryRunAsNobody() throws {
            let namespace = try Namespace("cli")
            let directory = try TemporaryDirectory()
            try directory.write(manifest, to: "all.yaml")
            let asRoot = try SluiceProgram.run(
                "run", "--dry-run", "-f", directory.path, "--hostname-override", "node", in: namespace)
            #expect(asRoot.status == 0)
            #expect(asRoot.errors == "")
            let asNobody = try SluiceProgram.run(
                "run", "--dry-run", "-f", directory.path, "--hostname-override", "node", in: namespace,
                asNobody: true)
            #expect(asNobody.status == 0, "\(asNobody.errors)")
            #expect(asNobody.output == asRoot.output)
            #expect(asNobody.output.contains("table ip6 sluice"))
            let piped = try SluiceProgram.run(
                "run", "--dry-run", "-f", "-", "--hostname-override", "node", in: namespace, input: manifest)
            #expect(piped.output == asRoot.output)
            #expect(try tables(in: namespace) == [nil, nil])
        }

        @Test("a dry run for another machine takes the addresses that its Node tells")
        func dryRunElsewhere() throws {
            let namespace = try Namespace("cli")
            let node = """
                apiVersion: v1
                kind: Node
                metadata: {name: node}
                status:
                  addresses:
                    - {type: InternalIP, address: 198.51.100.7}
                    - {type: InternalIP, address: 198.51.100.8}

                """
            func addresses() throws -> (printed: String, told: String) {
                let run = try SluiceProgram.run(
                    "run", "--dry-run", "-f", "-", "--hostname-override", "node", in: namespace, input: node)
                #expect(run.status == 0, "\(run.errors)")
                let set = run.output.firstMatch(of: /set node-addresses {[^}]*type ipv4_addr([^}]*)/)
                return (String(set?.1 ?? "no such set"), run.errors)
            }
            let elsewhere = try addresses()
            #expect(elsewhere.printed.contains("198.51.100.7"), "\(elsewhere.printed)")
            #expect(elsewhere.told.contains("this machine isn't Node node"))
            // On the node itself, what it holds counts.
            try namespace.ip(["addr add 198.51.100.8/32 dev lo"])
            let here = try addresses()
            #expect(!here.printed.contains("198.51.100"), "\(here.printed)")
            #expect(here.told == "")
        }

        @Test("what a dry run prints and nft loads is what a run programs")
        func dryRunEqualsKernel() throws {
            let (byNft, byNetlink) = (try Namespace("nft"), try Namespace("netlink"))
            let directory = try TemporaryDirectory()
            try directory.write(manifest, to: "all.yaml")
            let printed = try SluiceProgram.run(
                "run", "--dry-run", "-f", directory.path, "--hostname-override", "node", in: byNft)
            #expect(printed.status == 0)
            try byNft.loadRules(printed.output)
            // nft of every release can load over tables that are nobody's only.
            let once = try SluiceProgram.run(
                "run", "--once", "--no-own-tables", "-f", directory.path, "--hostname-override", "node",
                in: byNetlink)
            #expect(once.status == 0, "\(once.errors)")
            #expect(once.errors.contains("in force"))
            for (loaded, programmed) in zip(try tables(in: byNft), try tables(in: byNetlink)) {
                let (loaded, programmed) = (try #require(loaded), try #require(programmed))
                let (text, kernel) = (
                    TableComparison.comparable(loaded), TableComparison.comparable(programmed)
                )
                #expect(text.sets == kernel.sets)
                #expect(text.chains == kernel.chains)
                #expect(text.elements == kernel.elements)
                #expect(text == kernel)
                #expect(kernel.chains.count > 10)
            }
            // nft shows both alike, too.
            #expect(try comparableListing(byNft) == comparableListing(byNetlink))
            // So a run over what nft loaded finds nothing to do, and loading the text again is no error.
            let over = try SluiceProgram.run(
                "run", "--once", "--no-own-tables", "-f", directory.path, "--hostname-override", "node",
                in: byNft)
            #expect(over.status == 0)
            #expect(over.errors.contains("nothing to change"), "\(over.errors)")
            try byNetlink.loadRules(printed.output)
        }

        /// The lines of `nft list ruleset`, with the elements of each set in a fixed order.
        private func comparableListing(_ namespace: Namespace) throws -> [String] {
            let listing = try namespace.command("nft", "list", "ruleset")
            return listing.split(separator: "\n").flatMap { line in
                line.replacing("elements = {", with: "").split(separator: ",").map {
                    $0.trimmingCharacters(in: CharacterSet(charactersIn: "\t }"))
                }
            }.filter { !$0.isEmpty }.sorted()
        }

        @Test(
            "without rights a run says what is missing, before anything is touched",
            arguments: [["run"], ["run", "--once"]])
        func noRights(command: [String]) throws {
            let namespace = try Namespace("cli")
            let directory = try TemporaryDirectory()
            try directory.write(manifest, to: "all.yaml")
            let process = try namespace.start(
                SluiceProgram.nobody + [try SluiceProgram.path.get()] + command + ["-f", directory.path])
            #expect(process.wait() == 1)
            let errors = try process.standardError
            #expect(errors.contains("no right to change nf_tables"), "\(errors)")
            #expect(errors.contains("CAP_NET_ADMIN"))
            #expect(try process.standardOutput == "")
            #expect(try tables(in: namespace) == [nil, nil])
        }

        @Test("without rights a cleanup says what is missing, and the rules stay")
        func noRightsToClean() throws {
            let namespace = try Namespace("cli")
            try namespace.loadRules("table ip sluice { chain pool { accept; }; }")
            let cleanup = try SluiceProgram.run("cleanup", in: namespace, asNobody: true)
            #expect(cleanup.status == 1)
            #expect(cleanup.errors.contains("no right to change nf_tables"), "\(cleanup.errors)")
            #expect(try tables(in: namespace).first??.chains.keys.sorted() == ["pool"])
        }

        @Test("a cleanup where nothing is, is done")
        func nothingToClean() throws {
            let cleanup = try SluiceProgram.run("cleanup", in: Namespace("cli"))
            #expect(cleanup.status == 0)
            #expect(cleanup.errors.contains("nothing to remove"))
        }
    }
}
