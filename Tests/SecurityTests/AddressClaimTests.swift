import Agent
import IPAddressing
import KubernetesAPI
import Testing

/// Who may only write Services and EndpointSlices, and writes addresses that aren't theirs.
@Suite("Addresses of others")
struct AddressClaimTests {
    private static let victim = Text.service(
        "victim", "bank", ip: "10.96.0.10", created: 20, endpoint: "10.244.0.10")

    @Test(
        "an endpoint at an address that is the node's own business is told, and gets no connection",
        arguments: [
            "127.0.0.1", "127.255.255.254", "169.254.169.254", "0.0.0.0", "224.0.0.1", "239.1.2.3",
            "255.255.255.255",
            "::1", "::", "fe80::1", "febf::1", "ff02::1",
            // The same, written as IPv6 addresses that hold an IPv4 one.
            "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        ])
    func endpoints(address: String) {
        let isIPv6 = address.contains(":")
        let service = isIPv6 ? "fd00:96::66" : "10.96.0.66"
        var node = HostileNode(Text.service("evil", ip: service, endpoint: address), Self.victim)
        #expect(node.fate(service) == "refused")
        #expect(node.fate("10.96.0.10") == "10.244.0.10")
        #expect(node.messages.count == 1, "\(node.messages)")
        #expect(node.messages.first?.contains("EndpointSlice shop/evil-1: endpoints[0].addresses[0]") == true)
        #expect(
            !node.script.split(whereSeparator: \.isWhitespace).contains(Substring(address)), "\(node.script)")
    }

    @Test("so are external IPs and load balancer addresses there; some load balancers do use link-local ones")
    func external() {
        let bad = ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1"]
        let list = bad.map { "\"\($0)\"" }.joined(separator: ", ")
        var node = HostileNode(
            Text.service(
                "evil", ip: "10.96.0.66", endpoint: "10.244.0.66",
                "type: LoadBalancer, externalIPs: [\(list)]",
                tail:
                    "status: {loadBalancer: {ingress: [\(bad.map { "{ip: \"\($0)\"}" }.joined(separator: ", "))]}}"
            ))
        for address in bad where address != "169.254.169.254" { #expect(node.fate(address) == "untouched") }
        #expect(node.messages.count { $0.contains("spec.externalIPs") } == 5, "\(node.messages)")
        #expect(node.messages.count { $0.contains("status.loadBalancer") } == 4, "\(node.messages)")
        #expect(node.fate("169.254.169.254") == "10.244.0.66")
        #expect(node.fate("10.96.0.66") == "10.244.0.66")
    }

    @Test("a cluster IP is its Service's, however old the other one is that names it as an external IP")
    func stolenClusterIP() {
        for created in [10, 30] {
            let thief = Text.service(
                "thief", ip: "10.96.0.66", created: created, endpoint: "10.244.0.66",
                "externalIPs: [10.96.0.10]")
            for isReversed in [false, true] {
                var node = HostileNode(thief, Self.victim, isReversed: isReversed)
                #expect(node.fate("10.96.0.10") == "10.244.0.10")
                #expect(node.fate("10.96.0.66") == "10.244.0.66")
                #expect(
                    node.messages == [
                        "Service shop/thief: spec.externalIPs: 10.96.0.10:80/tcp belongs to Service bank/victim; "
                            + "not served for this one"
                    ])
            }
        }
    }

    @Test("a load balancer address is whose load balancer has it, however old the other one is")
    func stolenLoadBalancer() {
        let owner = Text.service(
            "owner", "bank", ip: "10.96.0.10", created: 20, endpoint: "10.244.0.10", "type: LoadBalancer",
            tail: "status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}")
        let thief = Text.service(
            "thief", ip: "10.96.0.66", created: 10, endpoint: "10.244.0.66", "externalIPs: [203.0.113.10]")
        for isReversed in [false, true] {
            var node = HostileNode(thief, owner, isReversed: isReversed)
            #expect(node.fate("203.0.113.10") == "10.244.0.10")
            #expect(node.messages.count == 1, "\(node.messages)")
        }
    }

    @Test(
        "a cluster IP written by hand that is another's: the older Service has it, in any order, on any node")
    func sameClusterIP() {
        let thief = Text.service("thief", "aaa", ip: "10.96.0.10", created: 21, endpoint: "10.244.0.66")
        for isReversed in [false, true] {
            var node = HostileNode(thief, Self.victim, isReversed: isReversed)
            #expect(node.fate("10.96.0.10") == "10.244.0.10")
            #expect(node.messages.count == 1 && node.messages[0].contains("aaa/thief"), "\(node.messages)")
        }
        // Of one age, by namespace and name: not fair, and the same everywhere.
        let twin = Text.service("twin", "aaa", ip: "10.96.0.10", created: 20, endpoint: "10.244.0.66")
        for isReversed in [false, true] {
            var node = HostileNode(twin, Self.victim, isReversed: isReversed)
            #expect(node.fate("10.96.0.10") == "10.244.0.66")
        }
    }

    @Test("two Services of two namespaces with one external IP and port: the older one has it, in any order")
    func sameExternalIP() {
        func service(_ name: String, _ namespace: String, _ number: Int, created: Int) -> String {
            Text.service(
                name, namespace, ip: "10.96.0.\(number)", created: created, endpoint: "10.244.0.\(number)",
                "externalIPs: [198.51.100.7]")
        }
        let (older, younger) = (service("b", "z", 20, created: 20), service("a", "a", 21, created: 21))
        for manifests in [[older, younger], [younger, older]] {
            for isReversed in [false, true] {
                var node = HostileNode(manifests[0], manifests[1], isReversed: isReversed)
                #expect(node.fate("198.51.100.7") == "10.244.0.20")
                #expect(
                    node.messages.count == 1 && node.messages[0].contains("Service a/a"), "\(node.messages)")
            }
        }
    }

    @Test(
        "a node port that is another's: the older Service has it; it takes no port but its own from the node")
    func nodePorts() {
        func service(_ name: String, _ number: Int, created: Int) -> String {
            Text.service(
                name, ip: "10.96.0.\(number)", created: created, endpoint: "10.244.0.\(number)",
                ports: "[{port: 80, nodePort: 30080}]", "type: NodePort")
        }
        for isReversed in [false, true] {
            var node = HostileNode(
                service("older", 20, created: 20), service("younger", 21, created: 21), isReversed: isReversed
            )
            #expect(node.fate("192.0.2.1", 30080) == "10.244.0.20")
            #expect(node.messages.count == 1 && node.messages[0].contains("shop/younger"), "\(node.messages)")
            #expect(node.fate("192.0.2.1", 22) == "untouched")
            #expect(node.fate("192.0.2.1", 10250) == "untouched")
        }
    }

    @Test(
        "an external IP that is the node's own takes that port of the node and no other; the feature gate ends it"
    )
    func nodeAddress() {
        let manifest = Text.service(
            "evil", ip: "10.96.0.66", endpoint: "10.244.0.66", ports: "[{port: 10250}]",
            "externalIPs: [192.0.2.1]")
        var node = HostileNode(manifest)
        // As with kube-proxy: here only an admission policy, or the gate, helps.
        #expect(node.fate("192.0.2.1", 10250) == "10.244.0.66")
        #expect(node.fate("192.0.2.1", 22) == "untouched")
        var gated = HostileNode(manifest, servesExternalIPs: false)
        #expect(gated.fate("192.0.2.1", 10250) == "untouched")
        #expect(gated.fate("10.96.0.66", 10250) == "10.244.0.66")
        #expect(
            gated.messages == [
                "Service shop/evil: spec.externalIPs: not served: the feature gate AllowServiceExternalIPs is off"
            ])
    }

    @Test("an endpoint outside of the cluster is served: what may be reached is for network policy")
    func foreignEndpoint() {
        var node = HostileNode(Text.service("proxy", ip: "10.96.0.66", endpoint: "192.0.2.1"))
        #expect(node.fate("10.96.0.66") == "192.0.2.1")
        #expect(node.problems.isEmpty)
    }

    @Test("a slice of another namespace gives a Service no endpoint")
    func foreignSlice() {
        var node = HostileNode(
            Self.victim, Text.slice("victim", "shop", endpoint: "10.244.0.66"))
        for _ in 0..<4 { #expect(node.fate("10.96.0.10") == "10.244.0.10") }
        #expect(node.messages.count == 1 && node.messages[0].contains("there is no Service shop/victim"))
    }

    @Test("source ranges that can't be read, or are too many, let nobody in rather than everybody")
    func sourceRanges() {
        func fate(_ ranges: String) -> String {
            var node = HostileNode(
                Text.service(
                    "guarded", ip: "10.96.0.66", endpoint: "10.244.0.66",
                    "type: LoadBalancer, loadBalancerSourceRanges: \(ranges)",
                    tail: "status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}"))
            return node.fate("203.0.113.10")
        }
        #expect(fate("[\"10.244.0.0/16\"]") == "10.244.0.66")
        for ranges in ["[\"192.0.2.0/24\"]", "[junk]", "[null]", "7"] { #expect(fate(ranges) == "dropped") }
    }
}
