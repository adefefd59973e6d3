import Foundation
import KubernetesAPI
import Manifests
import NFTables
import Testing

/// Text that means something to nft, to a terminal or to a log, wherever an object has text.
@Suite("Hostile text")
struct HostileTextTests {
    static let texts = [
        "x; } table ip pwned { chain c { accept; } }", "x\n}\ntable ip pwned {\n}\n", "\"; flush ruleset; #",
        "a b", "a/b", "a\\", "$x", "@services", "{", "}", "#", "x\u{0}y", "x\u{1b}[2J",
        "x\r\nERROR: all is lost",
        "\u{2028}", "\u{202e}txt", "é", "", "-", ".", "..", "../../etc/passwd", "%s%n", "`id`", "$(id)", "A",
        String(repeating: "a", count: 64), String(repeating: "a", count: 100_000),
    ]

    /// Where a text can stand; `@` is where.
    private static let places = [
        "{apiVersion: v1, kind: Service, metadata: {name: @}, spec: {clusterIP: 10.96.0.66, ports: [{port: 80}]}}",
        "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: @}, spec: {clusterIP: 10.96.0.66, ports: [{port: 80}]}}",
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: 10.96.0.66, ports: [{port: 80, name: @}]}}",
        "{apiVersion: v1, kind: Service, metadata: {name: a, labels: {@: @}, annotations: {@: @}}, spec: {clusterIP: 10.96.0.66, ports: [{port: 80}]}}",
        "{apiVersion: v1, kind: Service, metadata: {name: a, labels: {service.kubernetes.io/service-proxy-name: @}}, spec: {clusterIP: 10.96.0.66}}",
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: @, externalIPs: [@], type: @, sessionAffinity: @, loadBalancerSourceRanges: [@]}}",
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: @, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: [], ports: []}",
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, labels: {kubernetes.io/service-name: @}}, addressType: IPv4, endpoints: [], ports: []}",
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, labels: {kubernetes.io/service-name: web}}, addressType: @, endpoints: [], ports: []}",
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: [{addresses: [10.244.0.7], nodeName: @, hints: {forZones: [{name: @}]}}], ports: [{name: @, port: 8080, protocol: @}]}",
        "{apiVersion: v1, kind: Node, metadata: {name: @, labels: {topology.kubernetes.io/zone: @}}, spec: {podCIDRs: [@], taints: [{key: @}]}}",
        "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: @}, spec: {cidrs: [@]}}",
        "{apiVersion: @, kind: @, @: @}",
    ]

    /// A text as a JSON string, which YAML reads as well.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for unit in text.utf16 {
            result +=
                (0x20...0x7e).contains(unit) && unit != 0x22 && unit != 0x5c
                ? String(Character(UnicodeScalar(UInt8(unit))))
                : "\\u" + String(String(0x10000 + Int(unit), radix: 16).dropFirst())
        }
        return result + "\""
    }

    @Test(
        "no text of an object gets into the script, or a second line into what is told of it",
        arguments: texts)
    func everywhere(text: String) throws {
        let good = Text.service("web", "default", ip: "10.96.0.10", endpoint: "10.244.0.10")
        let reference = HostileNode(good).script
        for place in Self.places {
            let node = HostileNode(good, place.replacing("@", with: Self.quoted(text)))
            for message in node.messages {
                #expect(
                    message.unicodeScalars.allSatisfy { (" "..."~").contains($0) || $0 == "…" },
                    "\(message.debugDescription)")
                #expect(message.count < 1000)
            }
            // Plain characters alone, in any case; and where the object is refused, what there was without it.
            #expect(
                node.script.unicodeScalars.allSatisfy {
                    (" "..."~").contains($0) || "\n\t".unicodeScalars.contains($0)
                })
            #expect(!node.script.contains("pwned") && !node.script.contains("flush"))
            if !node.script.contains("10.96.0.66"), !node.script.contains("10.244.0.7") {
                #expect(node.script == reference, "\(place.prefix(60))")
            }
            let json = try JSONSerialization.jsonObject(with: Data(NFTJSON.text(of: node.tables[0]).utf8))
            #expect(json is [String: Any])
        }
    }

    @Test("a file's name is told as a plain text, whatever it is", arguments: ["a\nb", "a\u{1b}[2J", "a\"b"])
    func fileNames(name: String) {
        let parsed = ManifestParser.parse("{", source: name)
        #expect(parsed.problems.count == 1)
        for problem in parsed.problems {
            #expect(problem.description.unicodeScalars.allSatisfy { (" "..."~").contains($0) })
        }
    }

    /// Labels of 63 characters, with all that has a name in the kernel.
    private static let longestNames = """
        apiVersion: v1
        kind: Service
        metadata: {namespace: \(String(repeating: "n", count: 63)), name: \(String(repeating: "s", count: 63))}
        spec:
          type: LoadBalancer
          clusterIP: 10.96.0.10
          externalTrafficPolicy: Local
          loadBalancerSourceRanges: [192.0.2.0/24]
          sessionAffinity: ClientIP
          ports: [{name: \(String(repeating: "p", count: 63)), port: 65535, nodePort: 30080}]
        status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          namespace: \(String(repeating: "n", count: 63))
          name: a
          labels: {kubernetes.io/service-name: \(String(repeating: "s", count: 63))}
        addressType: IPv4
        endpoints: [{addresses: [10.244.0.1], nodeName: node-1}, {addresses: [10.244.0.2]}]
        ports: [{name: \(String(repeating: "p", count: 63)), port: 65534}]
        """

    @Test("the longest names fit what the kernel takes")
    func longestNames() throws {
        let node = HostileNode(Self.longestNames)
        #expect(node.problems.isEmpty, "\(node.messages)")
        let names = node.tables.flatMap { Array($0.chains.keys) + Array($0.sets.keys) }
        #expect(try #require(names.map(\.utf8.count).max()) <= 255)
        #expect(names.contains { $0.contains(String(repeating: "s", count: 63)) })
    }
}
