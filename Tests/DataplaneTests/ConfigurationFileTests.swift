import ClusterBuilders
import Foundation
import NFTables
import NFTablesKernel
import Ruleset
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// The program with kube-proxy's command line and configuration file.
    @Suite struct ConfigurationFileTests {
        private let manifest = ManifestText.service("web", at: VirtualAddress.pair(1))
        private let header = """
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration

            """

        private func tables(in namespace: Namespace) throws -> [Table?] {
            let connection = try namespace.run { try Connection() }
            return try ObjectNames.tables.map { try connection.table($0) }
        }

        @Test("kube-proxy's command line works without a subcommand, and the file's word counts")
        func commandLine() throws {
            let namespace = try Namespace("conf")
            let directory = try TemporaryDirectory()
            try directory.write(manifest, to: "web.yaml")
            try directory.write(
                header
                    + "mode: iptables\ndetectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cbr7}\n"
                    + "iptables: {masqueradeBit: 9}\n", to: "config.conf")
            let run = try SluiceProgram.run(
                "--config=\(directory.path)/config.conf", "--hostname_override=node", "--masquerade-all",
                "--dry-run", "-f", "\(directory.path)/web.yaml", in: namespace)
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.contains("cbr7"))
            #expect(run.output.contains("0x00000200"))
            #expect(run.errors.contains("mode: iptables: Sluice serves with nftables"))
            #expect(run.errors.contains("--config: the file counts, not --masquerade-all"))
            // The flag alone, for the comparison.
            let flagged = try SluiceProgram.run(
                "--hostname-override=node", "--masquerade-all=true", "--dry-run", "-f",
                "\(directory.path)/web.yaml", in: namespace)
            #expect(flagged.status == 0, "\(flagged.errors)")
            #expect(!flagged.output.contains("cbr7"))
            #expect(flagged.errors == "")
        }

        @Test("what is written by --write-config-to gives the same rules")
        func writtenConfiguration() throws {
            let namespace = try Namespace("conf")
            let directory = try TemporaryDirectory()
            try directory.write(manifest, to: "web.yaml")
            let flags = [
                "--cluster-cidr=10.244.0.0/16,fd00:244::/56", "--masquerade-all", "--proxy-mode=nftables",
                "--nodeport-addresses=192.0.2.0/24", "--hostname-override=node",
            ]
            let program = try SluiceProgram.path.get()
            let written = "\(directory.path)/written.conf"
            let write = try namespace.start([program, "run"] + flags + ["--write-config-to", written])
            #expect(write.wait() == 0)
            func rules(_ arguments: [String]) throws -> String {
                let process = try namespace.start(
                    [program, "run", "--dry-run", "-f", "\(directory.path)/web.yaml"] + arguments)
                #expect(process.wait() == 0)
                #expect(try process.standardError == "")
                return try process.standardOutput
            }
            let byFlags = try rules(flags)
            #expect(byFlags.contains("table ip sluice"))
            #expect(try rules(["--config", written]) == byFlags)
        }

        @Test("all that is wrong in a file is told, and nothing is touched")
        func wrongFile() throws {
            let namespace = try Namespace("conf")
            let directory = try TemporaryDirectory()
            try directory.write(manifest, to: "web.yaml")
            try directory.write(header + "nosuch: 1\nconntrack:\n  min: -5\n", to: "config.conf")
            let path = "\(directory.path)/config.conf"
            let run = try SluiceProgram.run(
                "run", "--once", "-f", "\(directory.path)/web.yaml", "--config", path, in: namespace)
            #expect(run.status == 1)
            #expect(run.errors.contains("\(path):3: nosuch: unknown field"), "\(run.errors)")
            #expect(run.errors.contains("\(path):5: conntrack.min: -5 is below 0"), "\(run.errors)")
            #expect(try tables(in: namespace) == [nil, nil])
        }

        @Test("a changed file starts the agent anew in place; a wrong one is told, and what runs goes on")
        func changedFile() throws {
            let namespace = try Namespace("conf")
            let directory = try TemporaryDirectory()
            try directory.write(manifest, to: "web.yaml")
            // No limit of connection tracking, which is the whole machine's.
            let text = header + "conntrack: {maxPerCore: 0}\n"
            try directory.write(text, to: "config.conf")
            let process = try namespace.start([
                try SluiceProgram.path.get(), "--config=\(directory.path)/config.conf", "-f",
                "\(directory.path)/web.yaml",
            ])
            func wait(for text: String, times: Int) throws {
                let isThere = try eventually {
                    try process.standardError.components(separatedBy: text).count > times
                        || !process.isRunning
                }
                let log = try process.standardError
                #expect(isThere && process.isRunning, "\(log)")
            }
            /// By what they are: numbers of sockets differ.
            func openFiles() throws -> [String: Int] {
                let folder = "/proc/\(process.processID)/fd"
                let files = FileManager.default
                return try files.contentsOfDirectory(atPath: folder).reduce(into: [:]) { counts, name in
                    guard let file = try? files.destinationOfSymbolicLink(atPath: "\(folder)/\(name)") else {
                        return
                    }
                    counts[String(file.prefix { $0 != "[" }), default: 0] += 1
                }
            }
            func masqueradesAll() throws -> Bool {
                try namespace.command("nft", "list", "chain", "ip", "sluice", "translated").contains(
                    "ct original ip daddr @cluster-ips masquerade")
            }
            try wait(for: "serving", times: 1)
            try wait(for: "server listening", times: 2)
            #expect(try !masqueradesAll())

            try directory.write(text + "nosuch: 1\n", to: "config.conf")
            try wait(for: "config.conf:4: nosuch: unknown field", times: 1)
            try wait(for: "the one from before stays in force", times: 1)
            try directory.write(text + "# the same\n", to: "config.conf")
            try wait(for: "says what it said before", times: 1)
            #expect(try !process.standardError.contains("starting anew"))

            try directory.write(text + "iptables: {masqueradeAll: true}\n", to: "config.conf")
            try wait(for: "serving", times: 2)
            try wait(for: "server listening", times: 4)
            #expect(try masqueradesAll())
            // What one leaves open, eight leave open eight times. Some files are made when they are first needed, so that
            // one or two may lack in either count.
            let files = try openFiles()
            for number in 3...10 {
                try directory.write(text + "oomScoreAdj: \(number)\n", to: "config.conf")
                try wait(for: "serving", times: number)
                try wait(for: "server listening", times: 2 * number)
            }
            #expect(try !masqueradesAll())
            for (kind, count) in try openFiles() {
                #expect(count - files[kind, default: 0] < 4, "\(kind)")
            }
            process.send(SIGTERM)
            #expect(process.wait() == 0)
            #expect(try tables(in: namespace).allSatisfy { $0 != nil })
        }

        @Test("a signal that waits since before the program was started anew ends it before anything else")
        func signalBeforeStart() throws {
            let namespace = try Namespace("conf")
            let directory = try TemporaryDirectory()
            try directory.write(manifest, to: "web.yaml")
            let program = [
                try SluiceProgram.path.get(), "run", "--once", "-f", "\(directory.path)/web.yaml",
            ]
            for (signal, number) in [("SIGTERM", SIGTERM), ("SIGINT", SIGINT)] {
                for isAnew in [true, false] {
                    let script = """
                        import os, signal, sys
                        signal.signal(signal.\(signal), signal.SIG_DFL)
                        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.\(signal)})
                        os.kill(os.getpid(), signal.\(signal))
                        if \(isAnew ? "True" : "False"): os.environ["SLUICE_STARTED_ANEW"] = str(os.getpid())
                        os.execv(sys.argv[1], sys.argv[1:])
                        """
                    let met = try namespace.start(["python3", "-c", script] + program)
                    // Whoever else blocked it, the end is none in order.
                    #expect(met.wait() == (isAnew ? 0 : 128 + number))
                    #expect(try met.standardError == "")
                    #expect(try tables(in: namespace) == [nil, nil])
                }
            }
            let unmet = try namespace.start(
                ["python3", "-c", "import os, sys\nos.execv(sys.argv[1], sys.argv[1:])"] + program)
            #expect(unmet.wait() == 0)
            #expect(try tables(in: namespace).allSatisfy { $0 != nil })
        }

        @Test("the first process of a container ends by a signal at any moment of being started anew")
        func firstProcess() throws {
            let namespace = try Namespace("conf")
            let directory = try TemporaryDirectory()
            try directory.write(manifest, to: "web.yaml")
            let text = header + "conntrack: {maxPerCore: 0}\n"
            for round in 0..<12 {
                try directory.write(text, to: "config.conf")
                let container = try namespace.start([
                    "unshare", "--pid", "--fork", "--kill-child=KILL", try SluiceProgram.path.get(),
                    "--config=\(directory.path)/config.conf", "-f", "\(directory.path)/web.yaml",
                ])
                try container.waitForLog("serving")
                let children = "/proc/\(container.processID)/task/\(container.processID)/children"
                let first = try #require(
                    Int32(String(contentsOfFile: children, encoding: .utf8).split(separator: " ").first ?? "")
                )
                try directory.write(text + "oomScoreAdj: 1\n", to: "config.conf")
                try container.waitForLog("starting anew")
                usleep(UInt32(round) * 15_000)
                #expect(kill(first, SIGTERM) == 0)
                #expect(container.wait(atMost: .seconds(20)) == 0, "after \(round * 15) ms")
            }
            #expect(try tables(in: namespace).allSatisfy { $0 != nil })
        }

        @Test("standard input can't be read again: a changed file is told, and what runs goes on")
        func changedFileWithStandardInput() throws {
            let namespace = try Namespace("conf")
            let directory = try TemporaryDirectory()
            let text = header + "conntrack: {maxPerCore: 0}\n"
            try directory.write(text, to: "config.conf")
            let process = try namespace.start(
                [
                    try SluiceProgram.path.get(), "--config=\(directory.path)/config.conf", "-f", "-",
                ], input: manifest)
            try process.waitForLog("serving")
            try directory.write(text + "oomScoreAdj: 1\n", to: "config.conf")
            try process.waitForLog("standard input can't be read again")
            process.send(SIGTERM)
            #expect(process.wait() == 0)
            #expect(try !process.standardError.contains("starting anew"))
        }

        @Test("--init-only sets connection tracking and ends; --cleanup is the command cleanup")
        func actions() throws {
            let namespace = try Namespace("conf")
            let path = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream"
            let initialized = try SluiceProgram.run(
                "--init-only", "--conntrack-max-per-core=0", "--conntrack-udp-timeout-stream=1m17s",
                in: namespace)
            #expect(initialized.status == 0, "\(initialized.errors)")
            #expect(try namespace.command("cat", path).hasPrefix("77\n"))
            #expect(try tables(in: namespace) == [nil, nil])
            // The whole machine's limit, which no other network namespace may set: told, and no failure.
            let refused = try SluiceProgram.run("--init-only", in: namespace)
            #expect(refused.status == 0)
            #expect(refused.errors.contains("nf_conntrack_max can't be set"), "\(refused.errors)")
            try namespace.loadRules("table ip sluice { chain pool { accept; }; }")
            let cleaned = try SluiceProgram.run("--cleanup", in: namespace)
            #expect(cleaned.status == 0)
            #expect(cleaned.errors.contains("removed tables ip sluice"), "\(cleaned.errors)")
            #expect(try tables(in: namespace) == [nil, nil])
        }
    }
}
