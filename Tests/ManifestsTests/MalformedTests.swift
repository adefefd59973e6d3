import IPAddressing
import KubernetesAPI
import Manifests
import Testing

/// A manifest with one fault, and the one line that is to be said of it.
struct Fault: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var text: String
    var line: String

    init(_ name: String, _ text: String, _ line: String) {
        testDescription = name
        self.text = text
        self.line = line
    }
}

@Suite("Malformed manifests")
struct MalformedTests {
    @Test("a fault in a Service is one line that says what follows", arguments: serviceFaults)
    func service(fault: Fault) { #expect(lines(fault.text) == [fault.line]) }

    @Test("a fault in an EndpointSlice is one line that says what follows", arguments: sliceFaults)
    func slice(fault: Fault) { #expect(lines(fault.text) == [fault.line]) }

    @Test("a fault elsewhere is one line that says what follows", arguments: otherFaults)
    func other(fault: Fault) { #expect(lines(fault.text) == [fault.line]) }

    @Test("a bad port spoils that port alone")
    func badPort() {
        let spec = "  ports:\n  - {name: a, port: 80}\n  - {name: b, port: 70000}\n  - {name: c, port: 82}\n"
        #expect(parse(serviceYAML(spec: spec)).services.first?.ports.map(\.name) == ["a", "c"])
    }

    @Test("a bad endpoint spoils that endpoint alone")
    func badEndpoint() {
        let endpoints = "- addresses: [10.0.0.1]\n- addresses: [127.0.0.1]\n- addresses: [10.0.0.3]\n"
        let slice = parse(sliceYAML(endpoints: endpoints)).slices.first
        #expect(slice?.endpoints.map(\.address.description) == ["10.0.0.1", "10.0.0.3"])
    }

    @Test("a bad node port leaves the port without one")
    func badNodePort() {
        let spec = "  ports: [{port: 80, nodePort: 70000}]\n"
        #expect(parse(serviceYAML(spec: spec)).services.first?.ports == [Service.Port(port: 80)])
    }

    @Test("source ranges that can't be read close rather than open", arguments: ["[junk]", "5", "[null]"])
    func sourceRanges(ranges: String) {
        let spec = "  ports: [{port: 80}]\n  loadBalancerSourceRanges: \(ranges)\n"
        let service = parse(serviceYAML(spec: spec)).services.first
        #expect(service != nil)
        #expect(service?.sourceRanges == [])
        #expect(service?.hasUnreadableSourceRanges == true)
    }

    @Test("a bad second cluster IP leaves the first one served")
    func secondClusterIP() {
        let parsed = parse(
            serviceYAML(ip: nil, spec: "  clusterIPs: [10.96.0.1, x]\n  ports: [{port: 80}]\n"))
        #expect(
            parsed.problems.map(\.description) == [
                "f.yaml:6: Service default/web: spec.clusterIPs[1]: \"x\" is not an IP address; "
                    + "this address is not served"
            ])
        #expect(parsed.services.first?.clusterIPs.map(\.description) == ["10.96.0.1"])
    }

    @Test("a fault in the second of three documents is placed there, and the others are served")
    func documents() {
        let text = [serviceYAML("a"), serviceYAML("b", ip: "x"), serviceYAML("c")].joined(separator: "---\n")
        let parsed = parse(text)
        #expect(
            parsed.problems.map(\.description) == [
                "f.yaml:15: document 2: Service default/b: spec.clusterIP: \"x\" is not an IP address; "
                    + "this Service is not served"
            ])
        #expect(parsed.problems.map(\.document) == [2])
        #expect(parsed.services.map(\.name.name) == ["a", "c"])
    }

    @Test("a fault in a JSON list has its line and its object")
    func json() {
        let text = """
            {"apiVersion": "v1", "kind": "List", "items": [
              {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {
                "clusterIP": "10.96.0.1", "ports": [
                  {"port": 80, "name": "x"},
                  {"port": "eighty", "name": "y"}]}},
              {"apiVersion": "v1", "kind": "Service", "spec": {}}
            ]}
            """
        #expect(
            lines(text) == [
                "f.yaml:5: Service default/a: spec.ports[1].port: \"eighty\" is not a port (1 to 65535); "
                    + "this port is not served",
                "f.yaml:6: Service: items[1].metadata: missing; this Service is not served",
            ])
    }

    @Test("a million laughs are refused, in little time and memory")
    func aliasBomb() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 {
            let alias = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(alias)]\n"
        }
        #expect(lines(text).count == 1)
        #expect(lines(text).first?.hasSuffix("aliases make the document too large") == true)
    }

    @Test("nesting without end is refused", arguments: ["[", "{a: ", "- ", "a:\n "])
    func nesting(open: String) {
        let text =
            open == "a:\n " ? (0..<5000).map { String(repeating: " ", count: $0) + "a:\n" }.joined() : ""
        let parsed = parse(text.isEmpty ? String(repeating: open, count: 100_000) : text)
        #expect(parsed.problems.count == 1)
        #expect(parsed.objects.isEmpty)
    }

    @Test("nesting without end in JSON is refused")
    func jsonNesting() {
        let text = String(repeating: "{\"a\":", count: 100_000) + "1" + String(repeating: "}", count: 100_000)
        #expect(lines(text).count == 1)
        let lists = String(repeating: "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[", count: 100)
        #expect(lines(lists + String(repeating: "]}", count: 100)).count == 1)
    }

    @Test("in large JSON, where no line is looked for, a fault still has object and field")
    func largeJSON() {
        let filler = String(repeating: " ", count: 9 << 20)
        let text =
            #"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","#
            + #""metadata":{"name":"web"},"spec":{"clusterIP":"x"}}]"# + filler
        #expect(
            lines(text + "}") == [
                "f.yaml: Service default/web: spec.clusterIP: \"x\" is not an IP address; "
                    + "this Service is not served"
            ])
        #expect(lines(text) == ["f.yaml: not JSON (the line is looked for in files up to 8 MiB)"])
    }

    @Test("no input gets a control character or a second line into a message")
    func controlCharacters() {
        let evil = #""a\nERROR: all is lost\u001b[31m\u2028\"""#
        for text in [
            serviceYAML(evil), serviceYAML(ip: evil), sliceYAML(evil), sliceYAML(type: evil),
            sliceYAML(service: evil), "{apiVersion: v1, kind: \(evil)}", "{\(evil): 1, \(evil): 2}",
            serviceYAML(spec: "  ports: [{port: \(evil)}]\n"),
        ] {
            for line in lines(text) {
                #expect(line.unicodeScalars.allSatisfy { (" "..."~").contains($0) || $0 == "…" })
            }
        }
        let named = ManifestParser.parse("[", source: "a\nb.yaml")
        #expect(named.problems.first?.source == #""a\nb.yaml""#)
    }
}

private let web = "Service default/web: "
private let slice = "EndpointSlice default/web-1: "

private func ports(_ entries: String...) -> String {
    serviceYAML(spec: "  ports:\n" + entries.map { "  - {\($0)}\n" }.joined())
}

private let serviceFaults: [Fault] = [
    Fault(
        "no metadata", "apiVersion: v1\nkind: Service\nspec: {}\n",
        "f.yaml:1: Service: metadata: missing; this Service is not served"),
    Fault(
        "no name", "apiVersion: v1\nkind: Service\nmetadata: {}\n",
        "f.yaml:3: Service: metadata.name: missing; this Service is not served"),
    Fault(
        "no spec", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n",
        "f.yaml:1: \(web)spec: missing; this Service is not served"),
    Fault(
        "name in capitals", serviceYAML("Web"),
        "f.yaml:4: Service: metadata.name: \"Web\" is not a DNS label (a-z, 0-9 and '-', at most 63); "
            + "this Service is not served"),
    Fault(
        "control characters in the name", serviceYAML(#""we\nb\e\"""#),
        #"f.yaml:4: Service: metadata.name: "we\nb\u{1b}\"" is not a DNS label (a-z, 0-9 and '-', "#
            + "at most 63); this Service is not served"),
    Fault(
        "a name of 64", serviceYAML(String(repeating: "a", count: 64)),
        "f.yaml:4: Service: metadata.name: \"\(String(repeating: "a", count: 64))\" is not a DNS label "
            + "(a-z, 0-9 and '-', at most 63); this Service is not served"),
    Fault(
        "a number as name", serviceYAML("80"),
        "f.yaml:4: Service: metadata.name: 80 is not a string; this Service is not served"),
    Fault(
        "namespace with a slash",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: a/b\nspec: {clusterIP: 10.0.0.1}\n",
        "f.yaml:5: Service: metadata.namespace: \"a/b\" is not a DNS label (a-z, 0-9 and '-', at most 63); "
            + "this Service is not served"),
    Fault(
        "no cluster IP", serviceYAML(ip: nil),
        "f.yaml:5: \(web)spec.clusterIP: missing, and from manifests no API server allocates one; "
            + "this Service is not served"),
    Fault(
        "cluster IP that is none", serviceYAML(ip: "10.96.0.300"),
        "f.yaml:6: \(web)spec.clusterIP: \"10.96.0.300\" is not an IP address; this Service is not served"),
    Fault(
        "cluster IP with a null byte", serviceYAML(ip: #""10.96.0.1\0x""#),
        #"f.yaml:6: \#(web)spec.clusterIP: "10.96.0.1\u{0}x" is not an IP address; this Service is not served"#
    ),
    Fault(
        "cluster IP on loopback", serviceYAML(ip: "127.0.0.1"),
        "f.yaml:6: \(web)spec.clusterIP: 127.0.0.1 is a loopback address; this Service is not served"),
    Fault(
        "clusterIP and clusterIPs differ",
        serviceYAML(spec: "  clusterIPs: [10.96.0.11]\n  ports: [{port: 80}]\n"),
        "f.yaml:6: \(web)spec.clusterIP: \"10.96.0.10\" is not clusterIPs[0], \"10.96.0.11\"; "
            + "clusterIPs is used"),
    Fault(
        "two cluster IPs of a family",
        serviceYAML(spec: "  clusterIPs: [10.96.0.10, 10.96.0.11]\n  ports: [{port: 80}]\n"),
        "f.yaml:7: \(web)spec.clusterIPs[1]: 10.96.0.11 is the second cluster IP of its family; "
            + "this address is not served"),
    Fault(
        "port 70000", ports("port: 70000"),
        "f.yaml:8: \(web)spec.ports[0].port: 70000 is not a port (1 to 65535); this port is not served"),
    Fault(
        "port 0", ports("port: 0"),
        "f.yaml:8: \(web)spec.ports[0].port: 0 is not a port (1 to 65535); this port is not served"),
    Fault(
        "port -1", ports("port: -1"),
        "f.yaml:8: \(web)spec.ports[0].port: -1 is not a port (1 to 65535); this port is not served"),
    Fault(
        "port eighty", ports("port: eighty"),
        "f.yaml:8: \(web)spec.ports[0].port: \"eighty\" is not a port (1 to 65535); this port is not served"),
    Fault(
        "port 80.5", ports("port: 80.5"),
        "f.yaml:8: \(web)spec.ports[0].port: 80.5 is not a port (1 to 65535); this port is not served"),
    Fault(
        "port beyond every integer", ports("port: 99999999999999999999"),
        "f.yaml:8: \(web)spec.ports[0].port: 1e+20 is not a port (1 to 65535); this port is not served"),
    Fault(
        "port in quotes", ports("port: \"80\""),
        "f.yaml:8: \(web)spec.ports[0].port: \"80\" is not a port (1 to 65535); this port is not served"),
    Fault(
        "no port number", ports("name: http"),
        "f.yaml:8: \(web)spec.ports[0].port: missing; this port is not served"),
    Fault(
        "ports is a number", serviceYAML(spec: "  ports: 5\n"),
        "f.yaml:7: \(web)spec.ports: 5 is not a list; this Service has no ports"),
    Fault(
        "a port is a string", serviceYAML(spec: "  ports: [http]\n"),
        "f.yaml:7: \(web)spec.ports[0]: \"http\" is not a mapping; this port is not served"),
    Fault(
        "a port is null", serviceYAML(spec: "  ports:\n  -\n"),
        "f.yaml:8: \(web)spec.ports[0]: null is not a mapping; this port is not served"),
    Fault(
        "protocol in small letters", ports("port: 80, protocol: tcp"),
        "f.yaml:8: \(web)spec.ports[0].protocol: \"tcp\" is not a protocol (TCP, UDP or SCTP); "
            + "this port is not served"),
    Fault(
        "the same port twice", ports("port: 80, name: a", "port: 80, name: b"),
        "f.yaml:9: \(web)spec.ports[1].port: 80/TCP is spec.ports[0] already; this port is not served"),
    Fault(
        "the same port name twice", ports("port: 80, name: a", "port: 81, name: a"),
        "f.yaml:9: \(web)spec.ports[1].name: \"a\" is the name of spec.ports[0] already; "
            + "this port is not served"),
    Fault(
        "one of two ports without name", ports("port: 80", "port: 81, name: a"),
        "f.yaml:8: \(web)spec.ports[0].name: missing, and a Service of several ports names each; "
            + "this port is not served"),
    Fault(
        "port name with a space", ports("port: 80, name: a b"),
        "f.yaml:8: \(web)spec.ports[0].name: \"a b\" is not a DNS label (a-z, 0-9 and '-', at most 63); "
            + "this port is not served"),
    Fault(
        "node port 70000", ports("port: 80, nodePort: 70000"),
        "f.yaml:8: \(web)spec.ports[0].nodePort: 70000 is not a port (1 to 65535); "
            + "this port is served without a node port"),
    Fault(
        "type in small letters", serviceYAML(spec: "  type: nodeport\n"),
        "f.yaml:7: \(web)spec.type: \"nodeport\" is not a Service type (ClusterIP, NodePort, LoadBalancer "
            + "or ExternalName); ClusterIP is used"),
    Fault(
        "affinity that is none", serviceYAML(spec: "  sessionAffinity: Cookie\n"),
        "f.yaml:7: \(web)spec.sessionAffinity: \"Cookie\" is not a session affinity (None or ClientIP); "
            + "None is used"),
    Fault(
        "affinity without end",
        serviceYAML(
            spec: "  sessionAffinity: ClientIP\n  sessionAffinityConfig:\n    clientIP:\n"
                + "      timeoutSeconds: 86401\n"),
        "f.yaml:10: \(web)spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is not a number of "
            + "seconds (1 to 86400); 10800 is used"),
    Fault(
        "traffic policy in small letters", serviceYAML(spec: "  externalTrafficPolicy: local\n"),
        "f.yaml:7: \(web)spec.externalTrafficPolicy: \"local\" is not a traffic policy (Cluster or Local); "
            + "Cluster is used"),
    Fault(
        "external IP that is none", serviceYAML(spec: "  externalIPs: [a]\n"),
        "f.yaml:7: \(web)spec.externalIPs[0]: \"a\" is not an IP address; this address is not served"),
    Fault(
        "IP mode that nobody knows",
        serviceYAML(tail: "status:\n  loadBalancer:\n    ingress:\n    - {ip: 192.0.2.1, ipMode: vip}\n"),
        "f.yaml:12: \(web)status.loadBalancer.ingress[0].ipMode: \"vip\" is not an IP mode (VIP or Proxy); "
            + "this address is not served"),
    Fault(
        "source range that is none", serviceYAML(spec: "  loadBalancerSourceRanges: [10.0.0.0/33]\n"),
        "f.yaml:7: \(web)spec.loadBalancerSourceRanges[0]: \"10.0.0.0/33\" is not a CIDR; "
            + "this range lets nobody in"),
    Fault(
        "health check port 70000", serviceYAML(spec: "  healthCheckNodePort: 70000\n"),
        "f.yaml:7: \(web)spec.healthCheckNodePort: 70000 is not a port (1 to 65535); "
            + "there is no health check port"),
    Fault(
        "ingress IP that is none",
        serviceYAML(tail: "status:\n  loadBalancer:\n    ingress:\n    - ip: lb.example\n"),
        "f.yaml:12: \(web)status.loadBalancer.ingress[0].ip: \"lb.example\" is not an IP address; "
            + "this address is not served"),
    Fault(
        "creation time that is none",
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, creationTimestamp: soon}\n"
            + "spec: {clusterIP: 10.0.0.1}\n",
        "f.yaml:3: \(web)metadata.creationTimestamp: \"soon\" is not a time (RFC 3339); "
            + "it counts as unknown"),
]

private let sliceFaults: [Fault] = [
    Fault(
        "no service label",
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1}\naddressType: IPv4\n",
        "f.yaml:3: \(slice)metadata.labels.'kubernetes.io/service-name': missing, so it belongs to no "
            + "Service; this EndpointSlice is not served"),
    Fault(
        "no address type",
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
            + "metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n",
        "f.yaml:1: \(slice)addressType: missing; this EndpointSlice is not served"),
    Fault(
        "address type in small letters", sliceYAML(type: "ipv4"),
        "f.yaml:6: \(slice)addressType: \"ipv4\" is not an address type (IPv4 or IPv6); "
            + "this EndpointSlice is not served"),
    Fault(
        "endpoint of the other family",
        sliceYAML(endpoints: "- addresses: [10.0.0.1]\n- addresses: ['fd00::1']\n"),
        "f.yaml:9: \(slice)endpoints[1].addresses[0]: fd00::1 is not an IPv4 address; "
            + "this endpoint is not served"),
    Fault(
        "endpoint on loopback", sliceYAML(endpoints: "- addresses: [127.0.0.1]\n"),
        "f.yaml:8: \(slice)endpoints[0].addresses[0]: 127.0.0.1 is a loopback address; "
            + "this endpoint is not served"),
    Fault(
        "endpoint link-local", sliceYAML(endpoints: "- addresses: [169.254.169.254]\n"),
        "f.yaml:8: \(slice)endpoints[0].addresses[0]: 169.254.169.254 is a link-local address; "
            + "this endpoint is not served"),
    Fault(
        "endpoint multicast", sliceYAML(type: "IPv6", endpoints: "- addresses: ['ff02::1']\n"),
        "f.yaml:8: \(slice)endpoints[0].addresses[0]: ff02::1 is a multicast address; "
            + "this endpoint is not served"),
    Fault(
        "endpoint unspecified", sliceYAML(endpoints: "- addresses: [0.0.0.0]\n"),
        "f.yaml:8: \(slice)endpoints[0].addresses[0]: 0.0.0.0 is the unspecified address; "
            + "this endpoint is not served"),
    Fault(
        "endpoint without addresses", sliceYAML(endpoints: "- nodeName: node-1\n"),
        "f.yaml:8: \(slice)endpoints[0].addresses: missing; this endpoint is not served"),
    Fault(
        "endpoint with no address", sliceYAML(endpoints: "- addresses: []\n"),
        "f.yaml:8: \(slice)endpoints[0].addresses: empty; this endpoint is not served"),
    Fault(
        "endpoints is a string", sliceYAML(endpoints: "  none\n"),
        "f.yaml:7: \(slice)endpoints: \"none\" is not a list; this EndpointSlice has no endpoints"),
    Fault(
        "ready is a string",
        sliceYAML(endpoints: "- addresses: [10.0.0.1]\n  conditions:\n    ready: maybe\n"),
        "f.yaml:10: \(slice)endpoints[0].conditions.ready: \"maybe\" is not true or false; "
            + "it counts as false"),
    Fault(
        "node name with a slash", sliceYAML(endpoints: "- addresses: [10.0.0.1]\n  nodeName: a/b\n"),
        "f.yaml:9: \(slice)endpoints[0].nodeName: \"a/b\" is not a DNS subdomain (a-z, 0-9, '-' and '.', "
            + "at most 253); this endpoint counts as on no node"),
    Fault(
        "slice port 70000", sliceYAML(ports: "- name: a\n  port: 70000\n"),
        "f.yaml:11: \(slice)ports[0].port: 70000 is not a port (1 to 65535); this port is not served"),
    Fault(
        "slice port name in capitals", sliceYAML(ports: "- name: A\n  port: 80\n"),
        "f.yaml:10: \(slice)ports[0].name: \"A\" is not a DNS label (a-z, 0-9 and '-', at most 63); "
            + "this port is not served"),
    Fault(
        "slice name with a newline", sliceYAML(#""a\nb""#),
        #"f.yaml:4: EndpointSlice: metadata.name: "a\nb" is not a DNS subdomain (a-z, 0-9, '-' and '.', "#
            + "at most 253); this EndpointSlice is not served"),
]

private let otherFaults: [Fault] = [
    Fault("not YAML", "a: [1\nb: }\n", "f.yaml:2: not YAML: did not find expected ',' or ']'"),
    Fault(
        "a tab", "a:\n\tb: 1\n",
        "f.yaml:2: not YAML: found character that cannot start any token"),
    Fault(
        "a key twice", "apiVersion: v1\nkind: Service\nkind: Service\n",
        "f.yaml:2: not YAML: the same key twice in one mapping: \"kind\""),
    Fault("an alias to nothing", "a: *b\n", "f.yaml:1: not YAML: found undefined alias"),
    Fault("a list", "- 1\n- 2\n", "f.yaml:1: not a Kubernetes object; it is passed over"),
    Fault("a word", "hello\n", "f.yaml:1: not a Kubernetes object; it is passed over"),
    Fault("no kind", "apiVersion: v1\n", "f.yaml:1: kind: missing; this object is passed over"),
    Fault("no apiVersion", "kind: Service\n", "f.yaml:1: apiVersion: missing; this object is passed over"),
    Fault(
        "cut off JSON", "{\"apiVersion\": \"v1\",\n \"kind\": \"Ser",
        "f.yaml:2: not YAML: found unexpected end of stream"),
    Fault(
        "items is a number", "apiVersion: v1\nkind: List\nitems: 5\n",
        "f.yaml:3: items: not a list; this List is passed over"),
    Fault(
        "an item is a number", "apiVersion: v1\nkind: List\nitems: [5]\n",
        "f.yaml:3: items[0]: not a Kubernetes object; it is passed over"),
    Fault(
        "an item of a ServiceList is a number", "apiVersion: v1\nkind: ServiceList\nitems:\n- 5\n",
        "f.yaml:4: items[0]: not a Service; it is passed over"),
    Fault(
        "Endpoints address that is none",
        "apiVersion: v1\nkind: Endpoints\nmetadata: {name: db}\nsubsets:\n- addresses:\n  - ip: x\n",
        "f.yaml:6: Endpoints default/db: subsets[0].addresses[0].ip: \"x\" is not an IP address; "
            + "this endpoint is not served"),
    Fault(
        "pod CIDR that is none",
        "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec: {podCIDRs: [10.0.0.0/99]}\n",
        "f.yaml:4: Node n: spec.podCIDRs[0]: \"10.0.0.0/99\" is not a CIDR; this CIDR is passed over"),
    Fault(
        "taint that is none",
        "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec:\n  taints:\n  - 7\n",
        "f.yaml:6: Node n: spec.taints[0]: 7 is not a mapping; this taint is passed over"),
    Fault(
        "ServiceCIDR without blocks",
        "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: k}\nspec: {cidrs: []}\n",
        "f.yaml:4: ServiceCIDR k: spec.cidrs: empty; this ServiceCIDR is not served"),
]
