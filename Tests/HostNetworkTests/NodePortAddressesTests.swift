import HostNetwork
import IPAddressing
import Testing

/// Which addresses serve node ports (contract, 22).
@Suite("Node port addresses")
struct NodePortAddressesTests {
    private func addresses(_ texts: String...) throws -> [IPAddress] {
        try texts.map { try #require(IPAddress($0)) }
    }

    private func host(
        _ text: String, scope: HostAddress.Scope = .global, isTentative: Bool = false
    ) throws -> HostAddress {
        HostAddress(
            address: try #require(IPAddress(text)), prefixLength: 24, interfaceIndex: 2,
            interfaceName: "eth0", scope: scope, isTentative: isTentative)
    }

    private func someHost() throws -> [HostAddress] {
        [
            try host("127.0.0.1", scope: .host), try host("192.0.2.10"), try host("10.0.0.1"),
            try host("169.254.0.9", scope: .link), try host("::1", scope: .host), try host("2001:db8::10"),
            try host("fe80::1", scope: .link), try host("fd00::10"),
            try host("fd00::11", isTentative: true),
        ]
    }

    @Test("primary is the Node's first address of each family")
    func primary() throws {
        let node = try addresses("192.0.2.10", "2001:db8::10", "10.0.0.1", "fd00::10")
        let chosen = NodePortAddresses.primary.select(nodeAddresses: node, host: try someHost())
        #expect(try chosen == addresses("192.0.2.10", "2001:db8::10"))
    }

    @Test("a primary address that the host doesn't hold is left out, and no other takes its place")
    func primaryElsewhere() throws {
        let node = try addresses("192.0.2.99", "fd00::10", "10.0.0.1")
        let chosen = NodePortAddresses.primary.select(nodeAddresses: node, host: try someHost())
        #expect(try chosen == addresses("fd00::10"))
    }

    @Test(
        "a primary address that is link-local or not usable yet is left out, and no other takes its place",
        arguments: ["fe80::1", "fd00::11"])
    func primaryUnusable(_ text: String) throws {
        let node = try addresses(text, "192.0.2.10", "2001:db8::10")
        let chosen = NodePortAddresses.primary.select(nodeAddresses: node, host: try someHost())
        #expect(try chosen == addresses("192.0.2.10"))
    }

    @Test("a family in which the Node has no primary address has all of the host's")
    func primaryOfOneFamily() throws {
        let host = try someHost()
        let ipv4 = NodePortAddresses.primary.select(nodeAddresses: try addresses("192.0.2.10"), host: host)
        #expect(try ipv4 == addresses("192.0.2.10", "2001:db8::10", "fd00::10"))
        let ipv6 = NodePortAddresses.primary.select(nodeAddresses: try addresses("fd00::10"), host: host)
        #expect(try ipv6 == addresses("10.0.0.1", "192.0.2.10", "fd00::10"))
    }

    @Test("a primary address that is loopback is none", arguments: ["127.0.0.1", "127.0.0.9"])
    func primaryLoopback(_ text: String) throws {
        let node = try addresses(text, "fd00::10")
        let chosen = NodePortAddresses.primary.select(nodeAddresses: node, host: try someHost())
        #expect(try chosen == addresses("10.0.0.1", "192.0.2.10", "fd00::10"))
    }

    @Test("without a Node's addresses, primary is all of the host's")
    func primaryWithoutNode() throws {
        let chosen = NodePortAddresses.primary.select(nodeAddresses: [], host: try someHost())
        #expect(try chosen == addresses("10.0.0.1", "192.0.2.10", "2001:db8::10", "fd00::10"))
    }

    @Test("where the host's addresses aren't known, primary trusts the Node")
    func primaryOfAnotherMachine() throws {
        let node = try addresses("192.0.2.99", "fe80::1")
        #expect(
            try NodePortAddresses.primary.select(nodeAddresses: node, host: nil) == addresses("192.0.2.99"))
        #expect(NodePortAddresses.primary.select(nodeAddresses: [], host: nil).isEmpty)
    }

    @Test("blocks choose the host's addresses inside them; a family without a block has all")
    func networks() throws {
        let setting = try NodePortAddresses.parse(["10.0.0.0/8", "203.0.113.0/24"])
        let chosen = setting.select(nodeAddresses: [], host: try someHost())
        #expect(try chosen == addresses("10.0.0.1", "2001:db8::10", "fd00::10"))
    }

    @Test("blocks never choose loopback or unusable addresses")
    func allNetworks() throws {
        let setting = try NodePortAddresses.parse(["0.0.0.0/0", "::/0", "127.0.0.0/8", "::1/128", "fd00::/8"])
        let chosen = setting.select(nodeAddresses: try addresses("192.0.2.10"), host: try someHost())
        #expect(try chosen == addresses("10.0.0.1", "192.0.2.10", "2001:db8::10", "fd00::10"))
    }

    @Test("link-local addresses serve where a block singles them out")
    func linkLocal() throws {
        let host = try someHost()
        func chosen(_ texts: String...) throws -> [IPAddress] {
            try NodePortAddresses.parse(texts).select(nodeAddresses: [], host: host)
        }
        #expect(try chosen("169.254.0.0/24", "fe80::/10") == addresses("169.254.0.9", "fe80::1"))
        #expect(try chosen("169.254.0.9/32", "fd00::/8") == addresses("169.254.0.9", "fd00::10"))
        #expect(try chosen("169.254.20.0/24", "fd00::/8") == addresses("fd00::10"))
        // A block of all says no more than none does.
        #expect(try chosen("0.0.0.0/0", "fd00::/8") == addresses("10.0.0.1", "192.0.2.10", "fd00::10"))
        #expect(
            try chosen("0.0.0.0/0", "169.254.0.0/16", "fd00::/8")
                == addresses("10.0.0.1", "169.254.0.9", "192.0.2.10", "fd00::10"))
    }

    @Test("an address on two interfaces counts once")
    func twice() throws {
        let list = [try host("192.0.2.10"), try host("192.0.2.10")]
        #expect(NodePortAddresses.networks([]).select(nodeAddresses: [], host: list).count == 1)
    }

    @Test("the setting is primary, blocks, or nothing, which is primary")
    func parse() throws {
        #expect(try NodePortAddresses.parse([]) == .primary)
        #expect(try NodePortAddresses.parse(["primary"]) == .primary)
        let network = try #require(IPNetwork("192.0.2.0/24"))
        #expect(try NodePortAddresses.parse(["192.0.2.7/24"]) == .networks([network]))
    }

    @Test("primary beside a block is refused")
    func primaryAmongOthers() {
        for texts in [["primary", "10.0.0.0/8"], ["10.0.0.0/8", "primary"], ["primary", "primary"]] {
            #expect(throws: NodePortAddresses.SettingError.primaryAmongOthers) {
                try NodePortAddresses.parse(texts)
            }
        }
    }

    @Test("a bad block is named", arguments: ["10.0.0.1", "10.0.0.0/33", "Primary", "", "::/0 "])
    func badBlock(_ text: String) {
        let error = NodePortAddresses.SettingError.notANetwork(index: 1, text: text)
        #expect(throws: error) { try NodePortAddresses.parse(["::/0", text]) }
        #expect(error.description.hasPrefix("nodePortAddresses[1]: \"\(text)\""))
    }
}
