import KubernetesAPI
import Manifests
import SeededRandom
import Testing

@Suite("Random manifests", .timeLimit(.minutes(2)))
struct FuzzTests {
    private static let pieces = [
        "[", "]", "{", "}", ":", "-", "- ", "\n", "  ", ",", "\"", "'", "&a ", "*a", "<<: *a", "!!int ",
        "|\n",
        "null", "~", "true", "70000", "-1", "1e999", "0x50", "\u{0}", "\t", "\u{2028}", "é", "---\n", "...\n",
        "? ", "%YAML 1.1\n", "\\u0000", "\\ud800", "kind: List\n", "items:\n", "127.0.0.1", "::", "None",
    ]

    private static let seeds: [String] = [
        serviceYAML(
            spec: "  type: LoadBalancer\n  ports:\n  - &a {name: x, port: 80, nodePort: 30000}\n"
                + "  - {<<: *a, name: y, port: 81}\n  sessionAffinity: ClientIP\n",
            tail: "status: {loadBalancer: {ingress: [{ip: 203.0.113.1}]}}\n"),
        sliceYAML(
            endpoints: "- addresses: [10.0.0.1]\n  conditions: {ready: true}\n  nodeName: node-1\n"
                + "  hints: {forZones: [{name: a}]}\n"),
        "apiVersion: v1\nkind: Endpoints\nmetadata: {name: db}\nsubsets:\n- addresses: [{ip: 10.0.0.1}]\n"
            + "  ports: [{port: 5432}]\n---\n" + serviceYAML("db"),
        #"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"#
            + #""a"},"spec":{"clusterIP":"10.96.0.1","ports":[{"port":80,"protocol":"UDP"}]}},{"apiVersion":"#
            + #""v1","kind":"Node","metadata":{"name":"n"},"spec":{"podCIDR":"10.0.0.0/24"}}]}"#,
    ]

    @Test("mutated manifests never crash, and every problem is one plain line")
    func mutated() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("fuzz seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var parsedObjects = 0
        for _ in 0..<2000 {
            var bytes = Array(try required(Self.seeds.randomElement(using: &random)).utf8)
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let at = Int.random(in: 0...bytes.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0:
                    let piece = try required(Self.pieces.randomElement(using: &random))
                    bytes.insert(contentsOf: piece.utf8, at: at)
                case 1:
                    let end = min(bytes.count, at + Int.random(in: 0...12, using: &random))
                    bytes.removeSubrange(at..<end)
                case 2 where at < bytes.count:
                    bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 3:
                    let end = min(bytes.count, at + Int.random(in: 0...60, using: &random))
                    let target = Int.random(in: 0...bytes.count, using: &random)
                    bytes.insert(contentsOf: bytes[at..<end], at: target)
                default:
                    bytes.removeSubrange(at...)
                }
            }
            let parsed = ManifestParser.parse(bytes, source: "f.yaml")
            parsedObjects += parsed.objects.count
            for problem in parsed.problems {
                #expect(
                    problem.description.unicodeScalars.allSatisfy { (" "..."~").contains($0) || $0 == "…" },
                    "seed \(seed): \(problem)")
            }
        }
        #expect(parsedObjects > 0, "seed \(seed)")
    }
}
