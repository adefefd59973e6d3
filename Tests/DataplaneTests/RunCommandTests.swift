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
    /// The program as a user runs it, on a node of a cluster.
    @Suite struct RunCommandTests {
        /// A program that serves `web` at virtual address 1, at first by a and b.
        private struct Running {
            let program: RunningProgram
            let connection: Connection

            var cluster: TestCluster { program.cluster }
            var directory: TemporaryDirectory { program.directory }
            var process: ChildProcess { program.process }

            /// The servers that so many new connections meet.
            func reached(_ family: AddressFamily = .ipv4, times: Int = 6) throws -> Set<String> {
                let destination = AddressPort(VirtualAddress.number(1, family), 80)
                return Set(
                    try cluster[pod: "client"].namespace.connect(
                        to: destination, times: times, timeout: ProxiedCluster.patience
                    ).map { $0.server ?? "\($0.outcome)" })
            }
        }

        private func withRunning(affinity: UInt32? = nil, _ body: (Running) throws -> Void) throws {
            try TestCluster.with { cluster in
                let pods = ["a", "b", "c"].map { cluster[pod: $0] }
                for pod in pods { try cluster.serve(pod, tcp: [8080], udp: [8080]) }
                let program = try RunningProgram(
                    on: cluster,
                    [
                        "service.yaml": ManifestText.service(
                            "web", at: VirtualAddress.pair(1), affinity: affinity),
                        "slices.yaml": ManifestText.slices(of: "web", Array(pods.prefix(2))),
                    ])
                try body(
                    Running(
                        program: program, connection: try cluster.node.namespace.run { try Connection() }))
            }
        }

        @Test("edits of a directory of manifests are followed")
        func editsAreFollowed() throws {
            try withRunning { running in
                let (cluster, directory) = (running.cluster, running.directory)
                func serve(_ names: String...) throws {
                    try directory.write(
                        ManifestText.slices(of: "web", names.map { cluster[pod: $0] }), to: "slices.yaml")
                }
                for family in AddressFamily.allCases {
                    #expect(try running.reached(family) == ["a", "b"])
                }
                try serve("a", "b", "c")
                #expect(try eventually { try running.reached() == ["a", "b", "c"] })
                try serve("c")
                #expect(try eventually { try running.reached() == ["c"] })
                try serve()
                #expect(try eventually { try running.reached() == ["refused"] })
                try serve("b")
                #expect(try eventually { try running.reached() == ["b"] })
                // Another file, and gone again.
                let more = ManifestText.service("more", at: VirtualAddress.pair(2))
                let slices = ManifestText.slices(of: "more", [cluster[pod: "a"]])
                try directory.write(more + "---\n" + slices, to: "more.yaml")
                let other = AddressPort(VirtualAddress.number(2), 80)
                func outcome() throws -> String {
                    let attempt = try cluster[pod: "client"].namespace.connect(
                        to: other, timeout: ProxiedCluster.dropTimeout)
                    return attempt.server ?? "\(attempt.outcome)"
                }
                #expect(try eventually { try outcome() == "a" })
                try directory.remove("more.yaml")
                #expect(try eventually { try outcome() != "a" })
                #expect(try running.reached() == ["b"])
                #expect(running.program.terminate() == 0)
            }
        }

        @Test("a broken file is reported with its line, and what it said before stays in force")
        func brokenFile() throws {
            try withRunning { running in
                #expect(try running.reached() == ["a", "b"])
                let good = ManifestText.slices(
                    of: "web", [running.cluster[pod: "b"], running.cluster[pod: "c"]])
                let lines = good.split(separator: "\n", omittingEmptySubsequences: false)
                // Cut inside the braces of the first endpoint: not YAML any more.
                let cut = try #require(lines.firstIndex { $0.contains("{addresses:") })
                let broken = (lines[..<cut] + ["  - {addresses: [", "}"]).joined(separator: "\n")
                try running.directory.write(broken, to: "slices.yaml")
                try running.program.waitForLog("\(running.directory.path)/slices.yaml:")
                let report = try running.process.standardError.split(separator: "\n")
                    .first { $0.contains("slices.yaml:") }
                let line = try #require(report?.firstMatch(of: /slices\.yaml:(\d+)/)?.1)
                // A parser may notice on the line behind.
                #expect((cut + 1...cut + 3).contains(try #require(Int(line))), "\(report ?? "")")
                #expect(try running.reached() == ["a", "b"])
                // A file that says something impossible is told apart by its field.
                try running.directory.write(
                    good.replacing("port: 8080", with: "port: 808080"), to: "slices.yaml")
                try running.program.waitForLog("808080")
                // Put right, it is followed.
                try running.directory.write(good, to: "slices.yaml")
                #expect(try eventually { try running.reached() == ["b", "c"] })
                #expect(running.program.terminate() == 0)
            }
        }

        @Test("statement 29: SIGTERM ends the agent and leaves the rules, and the next one changes nothing")
        func rulesOutliveTheAgent() throws {
            try withRunning(affinity: 600) { running in
                let kept = try running.reached()
                #expect(kept.count == 1)
                let before = try AddressFamily.allCases.map {
                    try #require(try running.connection.table(ObjectNames.tableID($0)))
                }
                let handles = try listing(running, "ip")
                #expect(running.program.terminate() == 0)
                #expect(try running.process.standardError.contains("SIGTERM"))
                #expect(try running.reached() == kept)
                let next = try RunningProgram(on: running.cluster, running.directory).process
                #expect(try next.standardError.contains("nothing to change"))
                #expect(try running.reached() == kept)
                for table in before {
                    let now = try #require(try running.connection.table(table.id))
                    #expect(TableComparison.comparable(now) == TableComparison.comparable(table))
                }
                // Not even replaced by others that are alike.
                #expect(try listing(running, "ip") == handles)
                next.send(SIGINT)
                #expect(next.wait() == 0)
                // `sluice cleanup` takes them away.
                let cleanup = try SluiceProgram.run("cleanup", in: running.cluster.node.namespace)
                #expect(cleanup.status == 0)
                #expect(cleanup.errors.contains("removed tables ip sluice and ip6 sluice"))
                #expect(try running.connection.tables() == [])
            }
        }

        /// The chains of a table with the handles of their rules.
        private func listing(_ running: Running, _ family: String) throws -> [Substring] {
            try running.cluster.node.namespace.command("nft", "-a", "list", "table", family, "sluice")
                .split(separator: "\n").filter { $0.contains("# handle") }
        }
    }
}
