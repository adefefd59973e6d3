import Agent
import Foundation
import Glibc
import NFTables
import NFTablesKernel
import TestNetwork
import Testing

extension DataplaneTests {
    /// `sluice preflight` in a namespace, on the kernel that runs the tests.
    @Suite struct PreflightCommandTests {
        private struct Report: Decodable {
            struct Entry: Decodable {
                let check: String
                let state: String
                let found: String
                let advice: String?
            }

            let ready: Bool
            let checks: [Entry]

            subscript(name: String) -> Entry? { checks.first { $0.check == name } }
            func names(_ state: String) -> [String] { checks.filter { $0.state == state }.map(\.check) }
        }

        /// What rules need, by the names of the checks.
        private static let features = [
            "vmap", "sets of networks", "numgen inc", "dnat from a map", "masquerade", "reject",
            "ct original, status", "update of a map", "fib saddr type", "iifname, mark", "whole rule set",
        ]

        /// Runs it to its end.
        /// - Parameter prefix: a command that takes rights away from what follows it.
        private func run(
            _ prefix: [String] = [], in namespace: Namespace
        ) throws -> (status: Int32, report: Report) {
            let process = try namespace.start(
                prefix + [try SluiceProgram.path.get(), "preflight", "--output", "json"])
            let status = process.wait()
            let (output, errors) = (try process.standardOutput, try process.standardError)
            #expect(errors == "")
            return (status, try JSONDecoder().decode(Report.self, from: Data(output.utf8)))
        }

        /// All that is in nf_tables there, and the ruleset's generation, which every transaction changes.
        private func rules(_ namespace: Namespace) throws -> (text: String, generation: UInt32) {
            let connection = try namespace.run { try Connection() }
            return (try namespace.command("nft", "list", "ruleset"), try connection.generation())
        }

        private static func without(_ capability: String) -> [String] {
            ["setpriv", "--inh-caps=-all", "--bounding-set=-\(capability)"]
        }

        @Test("on this kernel all that rules need is there, and nothing is left behind")
        func allFeatures() throws {
            let namespace = try Namespace("preflight")
            try namespace.loadRules(
                "table ip sluice { chain pool { accept; }; }; table inet other { set s { type ipv4_addr; }; }"
            )
            let before = try rules(namespace)
            let names = try FileManager.default.contentsOfDirectory(atPath: "/run/netns").sorted()
            let (status, report) = try run(in: namespace)
            #expect(status == 0)
            #expect(report.ready)
            #expect(report.names("failure") == [])
            for name in [
                "kernel", "CAP_NET_ADMIN", "nf_tables", "trial", "nat chains, ip", "nat chains, ip6",
            ]
                + Self.features + ["conntrack"]
            {
                #expect(report[name]?.state == "ok", "\(name): \(report[name]?.found ?? "not there")")
            }
            #expect(report["trial"]?.found.contains("network namespace made for it") == true)
            #expect(report["Sluice's tables"]?.found == "only ip sluice")
            let after = try rules(namespace)
            #expect(after.text == before.text)
            #expect(after.generation == before.generation)
            // Those of other tests come and go.
            let left = try FileManager.default.contentsOfDirectory(atPath: "/run/netns").sorted()
                .filter { !$0.hasPrefix("slc-") }
            #expect(left == names.filter { !$0.hasPrefix("slc-") })
        }

        @Test("newer features are told as the kernel has them")
        func newerFeatures() throws {
            let namespace = try Namespace("preflight")
            let (_, report) = try run(in: namespace)
            let connection = try namespace.run { try Connection() }
            for (name, isThere) in [
                ("destroy element", canDestroy(connection)), ("owned tables", canOwn(connection)),
            ] {
                #expect(report[name]?.state == (isThere ? "ok" : "note"), "\(name)")
            }
        }

        private func canDestroy(_ connection: Connection) -> Bool {
            let (table, set) = (TableID(.ip, "t"), NamedSet("s", key: Shape(.ipv4Address)))
            return
                (try? connection.check([
                    .addTable(table, comment: nil), .addSet(table, set),
                    .destroyElements(table, set: "s", [Element(RegisterValue([10, 0, 0, 1]))]),
                ])) != nil
        }

        private func canOwn(_ connection: Connection) -> Bool {
            (try? connection.check([.addTable(TableID(.ip, "t"), comment: nil, flags: .owned)])) != nil
        }

        @Test("without the right to make namespaces, rules are looked through where they are, and taken back")
        func noNamespace() throws {
            let namespace = try Namespace("preflight")
            try namespace.loadRules("table ip sluice { chain pool { accept; }; }")
            let before = try rules(namespace)
            let (status, report) = try run(Self.without("sys_admin"), in: namespace)
            #expect(status == 0)
            #expect(report["trial"]?.state == "note")
            #expect(report["trial"]?.found.contains("Operation not permitted") == true)
            for name in Self.features {
                #expect(report[name]?.state == "ok", "\(name): \(report[name]?.found ?? "not there")")
            }
            #expect(report["nat chains, ip"] == nil)
            let after = try rules(namespace)
            #expect(after.text == before.text)
            // Not even for a moment: no transaction was made.
            #expect(after.generation == before.generation)
        }

        @Test("without the right to change rules it fails, and says which right is missing")
        func noRights() throws {
            let namespace = try Namespace("preflight")
            let (status, report) = try run(Self.without("net_admin"), in: namespace)
            #expect(status == 1)
            #expect(!report.ready)
            #expect(report.names("failure") == ["CAP_NET_ADMIN", "nf_tables"])
            #expect(report["CAP_NET_ADMIN"]?.advice?.contains("Run as root") == true)
            #expect(report["nf_tables"]?.found.contains("no right to change nf_tables") == true)
            #expect(report["whole rule set"] == nil)
            let text = try namespace.start(
                Self.without("net_admin") + [try SluiceProgram.path.get(), "preflight"])
            #expect(text.wait() == 1)
            #expect(try text.standardOutput.contains(/CAP_NET_ADMIN +failure +not effective\n/))
            #expect(try text.standardOutput.contains("\nnot ready: 2 failures,"))
        }

        @Test("kube-proxy's rules are a warning, and no failure")
        func kubeProxy() throws {
            let namespace = try Namespace("preflight")
            try namespace.loadRules(
                """
                table ip kube-proxy { chain nat-prerouting { type nat hook prerouting priority -100; }; }
                table ip6 kube-proxy { chain services { accept; }; }
                table ip nat { chain KUBE-SERVICES { accept; }; }
                """)
            try namespace.ip(["link add kube-ipvs0 type veth peer name other"])
            let (status, report) = try run(in: namespace)
            #expect(status == 0)
            #expect(report.ready)
            let check = try #require(report["kube-proxy"])
            #expect(check.state == "warning")
            for trace in [
                "tables ip kube-proxy, ip6 kube-proxy", "chain KUBE-SERVICES in ip nat", "link kube-ipvs0",
            ] {
                #expect(check.found.contains(trace), "\(check.found)")
            }
            // Its chains are told once.
            #expect(report["other NAT"]?.state == "ok")
        }

        @Test("a program that is called kube-proxy is seen")
        func kubeProxyRuns() throws {
            let namespace = try Namespace("preflight")
            let stranger = try namespace.start(
                ["sh", "-c", "printf kube-proxy >/proc/$$/comm; echo named; read forever </dev/zero"])
            while try stranger.standardOutput.isEmpty, stranger.isRunning { usleep(1000) }
            let (_, report) = try run(in: namespace)
            let check = try #require(report["kube-proxy"])
            #expect(check.state == "warning")
            #expect(check.found.contains("process \(stranger.processID)"), "\(check.found)")
            #expect(check.advice?.contains("Take it off this node") == true)
        }

        @Test("other programs that translate addresses are notes")
        func otherNAT() throws {
            let namespace = try Namespace("preflight")
            try namespace.loadRules(
                """
                table ip nat {
                    chain DOCKER { accept; };
                    chain PREROUTING { type nat hook prerouting priority -100; jump DOCKER; };
                    chain POSTROUTING { type nat hook postrouting priority 100; };
                }
                table inet mine { chain out { type nat hook output priority -101; }; }
                table netdev early { chain in { type filter hook ingress device lo priority 0; }; }
                """)
            let (status, report) = try run(in: namespace)
            #expect(status == 0)
            #expect(report["NAT by docker"]?.state == "note")
            #expect(report["NAT by docker"]?.found == "ip nat at prerouting -100, postrouting 100")
            #expect(report["NAT by table mine"]?.found == "inet mine at output -101")
            #expect(report["other NAT"] == nil)
            #expect(report.checks.count { $0.check.hasPrefix("NAT by") } == 2)
        }

        @Test("what the host does with packets on their way is told of the namespace it is in")
        func network() throws {
            let namespace = try Namespace("preflight")
            try namespace.ip([
                "link add eth0 type veth peer name eth1", "link set eth0 up",
                "addr add 198.51.100.1/24 dev eth0",
            ])
            try namespace.setSysctls([
                "ipv4/ip_forward": "0", "ipv6/conf/all/forwarding": "1", "ipv4/conf/all/rp_filter": "0",
                "ipv4/conf/eth0/rp_filter": "1",
            ])
            var report = try run(in: namespace).report
            #expect(report["forwarding, IPv4"]?.state == "warning")
            #expect(report["forwarding, IPv6"]?.state == "ok")
            #expect(report["rp_filter"]?.found == "strict on eth0")
            try namespace.setSysctls(["ipv4/ip_forward": "1", "ipv4/conf/all/rp_filter": "2"])
            report = try run(in: namespace).report
            #expect(report["forwarding, IPv4"]?.state == "ok")
            #expect(report["rp_filter"]?.state == "ok")
        }

        @Test(
            "an owned table is told with its owner, and is no obstacle",
            .enabled(if: KernelRelease.running >= KernelRelease(6, 9), "needs Linux 6.9"))
        func ownedTables() throws {
            let namespace = try Namespace("preflight")
            let owner = try namespace.run { try Connection() }
            for family in [Family.ip, .ip6] {
                try owner.commit([.addTable(TableID(family, "sluice"), comment: nil, flags: .owned)])
            }
            for rights in [[], Self.without("sys_admin")] {
                let (status, report) = try run(rights, in: namespace)
                #expect(status == 0)
                #expect(report["Sluice's tables"]?.found.contains("belong to netlink port") == true)
                #expect(report["whole rule set"]?.state == "ok")
            }
        }

        @Test(
            "wrong usage is told on standard error",
            arguments: [
                (["--nosuch"], "--nosuch"), (["--output", "yaml"], "yaml"), (["more"], "more"),
            ])
        func usage(arguments: [String], text: String) throws {
            let process = try Namespace("preflight").start(
                [try SluiceProgram.path.get(), "preflight"] + arguments)
            #expect(process.wait() == 64)
            #expect(try process.standardError.contains(text))
            #expect(try process.standardOutput == "")
        }
    }
}
