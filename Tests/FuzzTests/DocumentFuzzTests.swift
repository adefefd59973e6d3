import Fuzzing
import IPAddressing
import KubernetesAPI
import Manifests
import ProxyConfiguration
import SeededRandom
import Testing

@testable import KubernetesClient

/// Files that somebody wrote: manifests, the configuration, a kubeconfig.
@Suite("Damaged documents", .timeLimit(Fuzzing.suiteLimit))
struct DocumentFuzzTests {
    private static let pieces = [
        "[", "]", "{", "}", ":", "- ", "\n", "  ", ",", "\"", "'", "&a ", "*a", "*b ", "<<: *a", "!!int ",
        "|\n",
        ">-\n", "null", "~", "true", "70000", "-1", "1e999", "0x50", "\u{0}", "\t", "\u{2028}", "é", "---\n",
        "...\n",
        "? ", "? *a\n", "%YAML 1.1\n", "\\u0000", "\\ud800", "kind: List\n", "items:\n", "::", "None",
        "{?{?{?", "9223372036854775808", "-9223372036854775808", ".nan", "! ", "!<x> ", "\u{feff}", "\r",
    ]

    // MARK: Manifests

    private static let service = """
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop, creationTimestamp: "2026-01-01T00:00:00.5+01:00"}
        spec:
          type: LoadBalancer
          clusterIPs: ["10.96.0.1", "fd00::1"]
          externalIPs: &a [192.0.2.1]
          loadBalancerSourceRanges: ["192.0.2.0/24 "]
          sessionAffinity: ClientIP
          ports:
          - &p {name: x, port: 80, nodePort: 30000}
          - {<<: *p, name: y, port: 81, protocol: UDP}
        status: {loadBalancer: {ingress: [{ip: 203.0.113.1, ipMode: VIP}]}}

        """
    private static let slice = """
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
        addressType: IPv6
        endpoints:
        - addresses: ["fd00::5"]
          conditions: {ready: true, serving: yes, terminating: false}
          nodeName: node-1
          hints: {forZones: [{name: a}], forNodes: [{name: node-1}]}
        ports: [{name: x, port: 8080}]

        """
    private static let endpoints = """
        apiVersion: v1
        kind: Endpoints
        metadata: {name: db}
        subsets: [{addresses: [{ip: 10.0.0.1, nodeName: n}], notReadyAddresses: [{ip: fd00::1}], ports: [{port: 5432}]}]

        """
    private static let json = #"""
        {"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},
        "spec":{"clusterIP":"10.96.0.1","ports":[{"port":80,"protocol":"UDP"}]}},{"apiVersion":"v1","kind":"Node",
        "metadata":{"name":"n"},"spec":{"podCIDRs":["10.0.0.0/24"],"taints":[{"key":"x"}]},"status":{"addresses":
        [{"type":"InternalIP","address":"192.0.2.1"}]}},{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR",
        "metadata":{"name":"k"},"spec":{"cidrs":["10.96.0.0/12"]}}]}
        """#

    @Test("a manifest is objects and plain one-line problems, whatever is in it")
    func manifests() async {
        let seeds = [
            Self.service, Self.slice, Self.service + "---\n" + Self.slice, Self.endpoints, Self.json,
        ].map {
            Array($0.utf8)
        }
        let (_, accepted) = await Fuzzing.run("manifests", inputs: 2000) { random in
            let parsed = ManifestParser.parse(
                random.mutated(random.pick(seeds), pieces: Self.pieces), source: "f.yaml")
            for problem in parsed.problems { Self.expectPlain(problem.description) }
            return !parsed.objects.isEmpty
        }
        #expect(accepted > 0)
    }

    @Test("keys given twice in JSON are one, and never half of each")
    func duplicateKeys() async {
        let text = Self.json.replacing(
            #""kind":"Service""#, with: #""kind":"Service","kind":"Node","kind":"Service""#)
        await Fuzzing.run("manifests, keys given twice", inputs: 300) { random in
            var fields = text.split(separator: ",", omittingEmptySubsequences: false)
            for _ in 0..<random.number(1...8) {
                fields.insert(random.pick(fields), at: random.number(0...fields.count))
            }
            let parsed = ManifestParser.parse(fields.joined(separator: ","), source: "f.json")
            for problem in parsed.problems { Self.expectPlain(problem.description) }
            return !parsed.objects.isEmpty
        }
    }

    // MARK: Configuration

    private static let configuration = """
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        kind: KubeProxyConfiguration
        mode: nftables
        bindAddress: 0.0.0.0
        clusterCIDR: 10.244.0.0/16,fd00:244::/64
        featureGates: {AllowServiceExternalIPs: true}
        clientConnection: {kubeconfig: /etc/kubeconfig, qps: 5.5, burst: 10}
        conntrack: {maxPerCore: 32768, tcpEstablishedTimeout: 24h0m0s, udpTimeout: 250ms}
        nftables: {masqueradeBit: 14, syncPeriod: 30s, minSyncPeriod: 1s}
        nodePortAddresses: ["192.0.2.0/24", "2001:db8::/32"]
        detectLocal: {bridgeInterface: cni0}
        logging: {verbosity: 2, flushFrequency: 5s, vmodule: [{filePattern: a, verbosity: 3}]}
        oomScoreAdj: -998
        portRange: ""

        """

    @Test("a configuration is taken, or refused with plain one-line problems")
    func configurations() async {
        let seeds = [
            Array(Self.configuration.utf8), Array(KubeProxyConfiguration().withDefaults().json().utf8),
        ]
        let (_, accepted) = await Fuzzing.run("configuration files", inputs: 2000) { random in
            let bytes = random.mutated(random.pick(seeds), pieces: Self.pieces)
            do throws(ConfigurationError) {
                let read = try KubeProxyConfiguration.parse(String(decoding: bytes, as: UTF8.self), file: "c")
                let agent = try AgentConfiguration(read) { "node" }
                for notice in agent.notices { Self.expectPlain("\(notice)") }
                // What was taken can be written, and says the same.
                let again = try KubeProxyConfiguration.parse(agent.effective.yaml(), file: "again")
                #expect(again.withDefaults() == agent.effective.withDefaults())
                return true
            } catch {
                #expect(!error.problems.isEmpty)
                for problem in error.problems { Self.expectPlain("\(problem)") }
                return false
            }
        }
        #expect(accepted > 0)
    }

    // MARK: Kubeconfig

    private static let kubeconfig = """
        apiVersion: v1
        kind: Config
        current-context: c
        contexts: [{name: c, context: {cluster: k, user: u}}]
        clusters:
        - name: k
          cluster:
            server: https://192.0.2.1:6443/prefix
            tls-server-name: kubernetes
            certificate-authority-data: TEST
            proxy-url: http://user:hunter2@192.0.2.7:3128
            extensions: [{name: client.authentication.k8s.io/exec, extension: {a: [1, 2.5, x, null]}}]
        users:
        - name: u
          user:
            token: hunter2
            exec: {apiVersion: client.authentication.k8s.io/v1, command: x, args: [a], provideClusterInfo: true,
              interactiveMode: Never, env: [{name: A, value: hunter2}]}

        """

    @Test("a kubeconfig is taken, or refused in one plain line that holds no secret")
    func kubeconfigs() async {
        let seed = Array(Self.kubeconfig.utf8)
        let (_, accepted) = await Fuzzing.run("kubeconfigs", inputs: 2000) { random in
            let text = String(decoding: random.mutated(seed, most: 4, pieces: Self.pieces), as: UTF8.self)
            do throws(CredentialError) {
                let access = try Kubeconfig.access(in: text, file: "f")
                #expect(!"\(access)".contains("hunter2"))
                return true
            } catch {
                Self.expectPlain("\(error)")
                #expect(!"\(error)".contains("hunter2"), "\(error)")
                return false
            }
        }
        #expect(accepted > 0)
    }

    // MARK: Bombs

    /// Ten aliases of ten aliases of ten …, `levels` deep, as lines.
    private static func laughs(_ levels: Int) -> String {
        (1...levels).reduce("- &a0 [x, x, x, x, x, x, x, x, x, x]\n") { text, level in
            text + "- &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", "))]\n"
        }
    }

    /// Texts of few kilobytes that stand for very much, or that take a careless reader very long.
    private static let bombs: [String] =
        [
            laughs(12),
            // As a key, where a tree's builder compares it.
            laughs(12) + "- ? *a12\n  : 1\n", laughs(12) + "- {*a12 : 1}\n",
            laughs(12) + "- ? [*a12]\n  : 1\n",
            laughs(12) + "- {[*a12]: 1}\n", "x: &x [a]\ny: {? {? *x : 1} : 2}\n" + "\(laughs(12))",
            // Keys inside keys.
            String(repeating: "? ", count: 900) + "x\n", String(repeating: "{? ", count: 900),
            String(repeating: "? ", count: 900) + "[\(String(repeating: "x, ", count: 20_000))]\n",
            // Nested without end.
            String(repeating: "[", count: 100_000), String(repeating: "{a: ", count: 100_000),
            String(repeating: "- ", count: 100_000), String(repeating: "{\"a\":", count: 100_000),
            (0..<1100).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
            // Large scalars, and aliases to one.
            "a: \(String(repeating: "x", count: 1 << 19))\n",
            "a: |\n \(String(repeating: "x\n ", count: 100_000))",
            "- &a \(String(repeating: "x", count: 1 << 18))\n"
                + String(repeating: "- {*a : 1}\n", count: 20_000),
            "a: &a \(String(repeating: "x", count: 1 << 18))\nb: [\(String(repeating: "*a, ", count: 20_000))]\n",
            // Many of a kind.
            (0..<20_000).map { "k\($0 % 10_000): 1\n" }.joined(),
            String(repeating: "---\na: 1\n", count: 20_000),
            String(repeating: "#", count: 1 << 19), String(repeating: "\u{2028}", count: 100_000),
            String(repeating: "&a ", count: 10_000), String(repeating: "%TAG ! x\n", count: 10_000),
            "{" + (0..<4000).map { "&b\($0) k\($0): *b\($0 / 2)" }.joined(separator: ", ") + "}",
        ]

    @Test("what stands for gigabytes, or is nested without end, is refused soon and cheaply")
    func bombs() async {
        let header = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
        var bombs = Self.bombs[...]
        let (tried, accepted) = await Fuzzing.run("document bombs", inputs: Self.bombs.count) { _ in
            if bombs.isEmpty { bombs = Self.bombs[...] }
            let bomb = bombs.removeFirst()
            let parsed = ManifestParser.parse(bomb, source: "f")
            // Comments without end are no fault of a configuration.
            _ = try? KubeProxyConfiguration.parse(header + bomb, file: "f")
            let access = try? Kubeconfig.access(in: bomb, file: "f")
            return !parsed.objects.isEmpty || access != nil
        }
        #expect(tried > 0)
        #expect(accepted == 0)
    }

    @Test("what a kubeconfig says for a plugin is bounded, too")
    func pluginInformation() async {
        let bomb = Self.laughs(12).split(separator: "\n").map { "  \($0)\n" }.joined()
        let withBomb =
            "ignored:\n\(bomb)" + Self.kubeconfig.replacing("{a: [1, 2.5, x, null]}", with: "*a12")
        let (_, accepted) = await Fuzzing.run("a plugin's bomb", inputs: 1) { _ in
            do throws(CredentialError) {
                _ = try Kubeconfig.access(in: withBomb, file: "f")
                return true
            } catch {
                #expect(error.message == "can't be written as JSON", "\(error)")
                return false
            }
        }
        #expect(accepted == 0)
    }

    private static func expectPlain(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(
            // The last one is Go's, of microseconds.
            text.unicodeScalars.allSatisfy { (" "..."~").contains($0) || $0 == "…" || $0 == "\u{b5}" },
            "\(text.debugDescription)",
            sourceLocation: sourceLocation)
    }
}
