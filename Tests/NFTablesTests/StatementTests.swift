import NFTables
import Testing

/// A table with the sets that the statements below name.
private func table(_ family: Family = .ip) -> Table { ServiceTable.make(family) }

@Suite("Statements, instructions and text")
struct StatementTests {
    private static let tcp = RegisterValue([6])
    private static let prefix16 = RegisterValue([10, 96, 0, 0])

    /// The instructions are those of `nft --debug=netlink` 1.0.6.
    private static let cases: [(text: String, statements: [Statement], instructions: [Expression])] = [
        (
            "meta l4proto tcp dnat to ip saddr map @affinity-1-8080:8080",
            [.l4proto(.tcp), .dnat(.ip, addressFrom: "affinity-1-8080", key: [.ipSaddr], port: 8080)],
            [
                .l4proto(into: 0), .compare(0, .equal, tcp), .ipSaddr(into: 0),
                .lookup(set: "affinity-1-8080", key: 0, .data(0)),
                .immediate(RegisterValue(port: 8080), into: 4),
                .nat(.destination, .ip, address: 0, port: 4, flags: []),
            ]
        ),
        (
            "dnat ip to numgen inc mod 3 offset 4096 map @slots-2",
            [.dnat(.ip, addressAndPortFrom: "slots-2", key: [.numgenIncremental(modulus: 3, offset: 4096)])],
            [
                .numgen(.incremental, modulus: 3, offset: 4096, into: 0),
                .lookup(set: "slots-2", key: 0, .data(0)),
                .nat(.destination, .ip, address: 0, port: 1, flags: []),
            ]
        ),
        (
            "meta l4proto @protocols dnat ip to ip daddr . meta l4proto . th dport map @direct",
            [
                .member(.l4proto, of: "protocols"),
                .dnat(.ip, addressAndPortFrom: "direct", key: [.ipDaddr, .l4proto, .thDport]),
            ],
            [
                .l4proto(into: 0), .lookup(set: "protocols", key: 0, .membership), .ipDaddr(into: 0),
                .l4proto(into: 1), .thDport(into: 2), .lookup(set: "direct", key: 0, .data(0)),
                .nat(.destination, .ip, address: 0, port: 1, flags: []),
            ]
        ),
        (
            "th dport 8080 update @affinity-1-8080 { ip saddr timeout 3h : ip daddr }",
            [.thDport(8080), .update("affinity-1-8080", key: .ipSaddr, data: .ipDaddr, timeout: 10_800_000)],
            [
                .thDport(into: 0), .compare(0, .equal, RegisterValue(port: 8080)), .ipSaddr(into: 0),
                .ipDaddr(into: 4),
                .dynamicSet(.update, set: "affinity-1-8080", key: 0, data: 4, timeout: 10_800_000),
            ]
        ),
        (
            "ct status dnat ct protocol tcp ct original ip daddr . ct protocol . ct original proto-dst vmap @remember",
            [
                .ctStatusDNAT, .ctProtocol(.tcp),
                .verdictMap([.ctOriginalDaddr(.ip), .ctProtocol, .ctOriginalProtoDst], in: "remember"),
            ],
            [
                .conntrack(.status, direction: nil, into: 0),
                .bitwise(from: 0, into: 0, mask: RegisterValue(host: 0x20), xor: RegisterValue(host: 0)),
                .compare(0, .notEqual, RegisterValue(host: 0)),
                .conntrack(.protocolNumber, direction: nil, into: 0),
                .compare(0, .equal, tcp), .conntrack(.destinationAddress4, direction: .original, into: 0),
                .conntrack(.protocolNumber, direction: nil, into: 1),
                .conntrack(.destinationPort, direction: .original, into: 2),
                .lookup(set: "remember", key: 0, .verdict),
            ]
        ),
        (
            "ip saddr . ip daddr @hairpin masquerade fully-random",
            [.member([.ipSaddr, .ipDaddr], of: "hairpin"), .masquerade(flags: .fullyRandom)],
            [
                .ipSaddr(into: 0), .ipDaddr(into: 1), .lookup(set: "hairpin", key: 0, .membership),
                .masquerade(flags: .fullyRandom),
            ]
        ),
        (
            "ip daddr != @cluster-ips return",
            [.member(.ipDaddr, of: "cluster-ips", isMember: false), .return],
            [.ipDaddr(into: 0), .lookup(set: "cluster-ips", key: 0, .absence), .verdict(.return)]
        ),
        (
            "ip saddr 10.96.0.0/16 drop",
            [.match(.ipSaddr, .equal, .prefix(prefix16, bits: 16)), .drop],
            [
                .payload(.network, offset: 12, length: 2, into: 0),
                .compare(0, .equal, RegisterValue([10, 96])),
                .verdict(.drop),
            ]
        ),
        (
            "ct original ip saddr != 10.96.0.0/13 accept",
            [.match(.ctOriginalSaddr(.ip), .notEqual, .prefix(prefix16, bits: 13)), .accept],
            [
                .conntrack(.sourceAddress4, direction: .original, into: 0),
                .bitwise(
                    from: 0, into: 0, mask: RegisterValue([255, 248, 0, 0]), xor: RegisterValue([0, 0, 0, 0])),
                .compare(0, .notEqual, prefix16), .verdict(.accept),
            ]
        ),
        (
            "iifname \"cni*\" meta mark set meta mark | 0x00004000",
            [
                .match(.meta(.inputInterfaceName), .equal, .beginning(RegisterValue(Array("cni".utf8)))),
                .setMeta(
                    .mark,
                    .bitwise(
                        .meta(.mark), mask: RegisterValue(host: ~0x4000), xor: RegisterValue(host: 0x4000))),
            ],
            [
                .meta(.inputInterfaceName, into: 0), .compare(0, .equal, RegisterValue(Array("cni".utf8))),
                .meta(.mark, into: 0),
                .bitwise(
                    from: 0, into: 0, mask: RegisterValue(host: ~0x4000), xor: RegisterValue(host: 0x4000)),
                .setMeta(.mark, from: 0),
            ]
        ),
        (
            "th dport 80-90 fib daddr . iif type local goto refuse",
            [
                .match(.thDport, .equal, .range(RegisterValue(port: 80), RegisterValue(port: 90))),
                .match(.fib(.addressType, [.daddr, .iif]), .equal, .value(RegisterValue(host: 2))),
                .goto("refuse"),
            ],
            [
                .thDport(into: 0), .compare(0, .greaterOrEqual, RegisterValue(port: 80)),
                .compare(0, .lessOrEqual, RegisterValue(port: 90)),
                .fib(.addressType, [.daddr, .iif], into: 0),
                .compare(0, .equal, RegisterValue(host: 2)), .verdict(.goto("refuse")),
            ]
        ),
        (
            "meta mark & 0x00004000 == 0x00004000 counter reject with icmp admin-prohibited",
            [
                .match(
                    .bitwise(.meta(.mark), mask: RegisterValue(host: 0x4000), xor: RegisterValue(host: 0)),
                    .equal,
                    .value(RegisterValue(host: 0x4000))),
                .counter, .reject(.unreachable(code: 13)),
            ],
            [
                .meta(.mark, into: 0),
                .bitwise(from: 0, into: 0, mask: RegisterValue(host: 0x4000), xor: RegisterValue(host: 0)),
                .compare(0, .equal, RegisterValue(host: 0x4000)), .counter, .reject(.unreachable(code: 13)),
            ]
        ),
        (
            "ct state established,new ct mark 0x00000005 oifname != \"eth0\" jump refuse",
            [
                .match(.conntrack(.state, nil), .equal, .flags(RegisterValue(host: 10))),
                .match(.conntrack(.mark, nil), .equal, .value(RegisterValue(host: 5))),
                .match(
                    .meta(.outputInterfaceName), .notEqual,
                    .value(RegisterValue(Array("eth0".utf8) + [UInt8](repeating: 0, count: 12)))),
                .jump("refuse"),
            ],
            [
                .conntrack(.state, direction: nil, into: 0),
                .bitwise(from: 0, into: 0, mask: RegisterValue(host: 10), xor: RegisterValue(host: 0)),
                .compare(0, .notEqual, RegisterValue(host: 0)), .conntrack(.mark, direction: nil, into: 0),
                .compare(0, .equal, RegisterValue(host: 5)), .meta(.outputInterfaceName, into: 0),
                .compare(0, .notEqual, RegisterValue(Array("eth0".utf8) + [UInt8](repeating: 0, count: 12))),
                .verdict(.jump("refuse")),
            ]
        ),
    ]

    @Test(
        "statements become the instructions that nft makes, and are read back from them",
        arguments: 0..<cases.count)
    func roundTrip(index: Int) {
        let (text, statements, instructions) = Self.cases[index]
        let table = table()
        #expect(Assembler.assemble(statements, sets: table.sets) == instructions)
        #expect(Syntax.statements(of: instructions, family: .ip, sets: table.sets) == statements)
        #expect(NFTText.rule(Rule(expressions: instructions), in: table) == text)
        #expect(Syntax.isExact(Rule(expressions: instructions), in: table))
    }

    @Test("the ports of an IPv6 translation lie behind its four address registers")
    func ipv6Registers() {
        let direct = Rule([.dnat(.ip6, addressAndPortFrom: "direct", key: [.ip6Daddr, .l4proto, .thDport])])
        #expect(
            direct.expressions == [
                .ip6Daddr(into: 0), .l4proto(into: 4), .thDport(into: 5),
                .lookup(set: "direct", key: 0, .data(0)),
                .nat(.destination, .ip6, address: 0, port: 4, flags: []),
            ])
        #expect(
            NFTText.rule(direct, in: table(.ip6))
                == "dnat ip6 to ip6 daddr . meta l4proto . th dport map @direct")
        let constant = Rule([.dnat(.ip6, address: ServiceTable.address(.ip6, 1), port: 80)])
        #expect(NFTText.rule(constant, in: table(.ip6)) == "dnat to [fd01::1]:80")
    }

    @Test(
        "every rule of a service table is read completely and exactly", arguments: [Family.ip, .ip6])
    func everyRule(family: Family) {
        let table = table(family)
        for rule in table.chains.values.flatMap(\.rules) {
            #expect(Syntax.isExact(rule, in: table), "\(NFTText.rule(rule, in: table))")
        }
    }

    @Test("instructions outside of nft's grammar are printed as a comment, never as another rule")
    func opaque() {
        let misplaced = Rule(expressions: [
            .ipDaddr(into: 0), .thDport(into: 1), .lookup(set: "services", key: 0, .verdict),
        ])
        let text = NFTText.rule(misplaced, in: table())
        #expect(text.hasPrefix("# "))
        #expect(text.contains("@services"))
        #expect(!Syntax.isExact(misplaced, in: table()))
        let unknown = Rule(expressions: [
            .ipDaddr(into: 0), .lookup(set: "nowhere", key: 0, .membership), .verdict(.drop),
        ])
        #expect(NFTText.rule(unknown, in: table()).hasPrefix("# "))
    }

    @Test("a field further off than any packet reaches is told as it is")
    func farOff() {
        let far = Rule([
            .match(
                .payload(.transport, offset: .max, length: 4), .equal, .value(RegisterValue([1, 2, 3, 4])))
        ])
        #expect(NFTText.rule(far, in: table()).hasPrefix("@th,34359738360,32 "))
        var whole = table()
        whole.chains["far"] = Chain("far", rules: [far])
        #expect(NFTJSON.text(of: whole).contains("34359738360"))
    }

    @Test("a load that no statement uses is noticed")
    func unused() {
        #expect(!Syntax.isExact(Rule(expressions: [.ipDaddr(into: 0), .verdict(.drop)]), in: table()))
        #expect(
            !Syntax.isExact(
                Rule(expressions: [.l4proto(into: 3), .compare(3, .equal, Self.tcp)]), in: table()))
    }
}
