import IPAddressing
import KubernetesAPI
import NFTables
import ServiceModel
import Testing

@testable import KubeProxyLeftovers

/// The affinity that kube-proxy's nftables mode holds.
@Suite struct HeldAffinityTests {
    private let web = ServicePortID(
        service: ObjectName(namespace: "ns5", name: "svc5"), transport: .tcp, port: "p80")

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test("a set's name tells service port and endpoint")
    func names() throws {
        let v4 = try #require(AffinitySetName("affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80", .ipv4))
        #expect(v4.port == web)
        #expect(v4.endpoint == AddressPort(try address("10.180.0.3"), 80))
        let v6 = try #require(AffinitySetName("affinity-GTK6MW7G-ns/a-b/udp/__fd00.10..1/65535", .ipv6))
        #expect(
            v6.port
                == ServicePortID(
                    service: ObjectName(namespace: "ns", name: "a-b"), transport: .udp, port: ""))
        #expect(v6.endpoint == AddressPort(try address("fd00:10::1"), 65535))
    }

    @Test(
        "names that are cut or of another form say nothing",
        arguments: [
            "", "affinity-", "affinity-GTK6MW7G", "affinity-GTK6MW7G-", "cluster-ips",
            "affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/8...",
            "affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.18...",
            "affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/0",
            "affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/65536",
            "affinity-GTK6MW7G-ns5/svc5/icmp/p80__10.180.0.3/80",
            "affinity-GTK6MW7G-ns5/svc5/tcp/p80_10.180.0.3/80",
            "affinity-GTK6MW7G-/svc5/tcp/p80__10.180.0.3/80", "affinity-GTK6-ns5/svc5/tcp/p80__10.180.0.3/80",
            "affinity-GTK6MW7G-ns5/svc5/tcp/p80__fd00..3/80",
            "endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80",
        ])
    func unreadable(name: String) { #expect(AffinitySetName(name, .ipv4) == nil) }

    @Test("of several endpoints that know a client, the one that led it last counts")
    func latest() throws {
        func element(_ client: String, _ expiration: UInt64?) throws -> Element {
            Element(RegisterValue(try address(client).bytes), timeout: 10_800_000, expiration: expiration)
        }
        var held = HeldAffinity()
        held.add(
            [
                (
                    "affinity-AAAAAAAA-ns5/svc5/tcp/p80__10.180.0.3/80",
                    [try element("10.0.0.2", 500), try element("10.0.0.1", 900)]
                ),
                (
                    "affinity-BBBBBBBB-ns5/svc5/tcp/p80__10.180.0.4/80",
                    [try element("10.0.0.2", 600), try element("10.0.0.1", 800)]
                ),
                ("affinity-CCCCCCCC-cut...", [try element("10.0.0.2", 600)]),
                ("affinity-DDDDDDDD-cut...", []),
                (
                    "affinity-EEEEEEEE-ns5/svc5/tcp/p80__10.180.0.5/80",
                    [try element("10.0.0.3", 0), try element("10.0.0.4", nil)]
                ),
            ], .ipv4)
        #expect(
            held.clients == [
                web: [
                    LedClient(
                        client: try address("10.0.0.1"), endpoint: AddressPort(try address("10.180.0.3"), 80),
                        remaining: 900),
                    LedClient(
                        client: try address("10.0.0.2"), endpoint: AddressPort(try address("10.180.0.4"), 80),
                        remaining: 600),
                ]
            ])
        #expect(held.unreadable == 1)
        #expect(held.count == 2)
    }
}
