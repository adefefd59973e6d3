import NFTables

/// Small tables, each with one feature of the printer, for nft to read.
enum FeatureTable {
    static let all: [Table] = [dynamic, names, priorities, matches, ipv6Matches, flags]

    private static let dynamic: Table = {
        var table = Table(TableID(.ip, "changes"))
        table.add(
            NamedSet(
                "m", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address, .internetService)),
                flags: [.dynamic, .timeout], size: 1000, comment: "x"), [])
        table.add(NamedSet("t", key: Shape(.ipv4Address), flags: .timeout, timeout: 93_784_500), [])
        table.add(NamedSet("d", key: Shape(.ipv4Address), flags: .dynamic, size: 100), [])
        table.add(
            Chain(
                "c",
                rules: [
                    Rule([
                        .update(
                            "m", key: .ipSaddr, data: .concatenation([.ipDaddr, .thDport]),
                            timeout: 90_061_000)
                    ]),
                    Rule([.dynamicSet(.add, set: "d", key: .ipSaddr, data: nil, timeout: nil)]),
                    Rule([.dynamicSet(.delete, set: "d", key: .ipDaddr, data: nil, timeout: nil)]),
                ]))
        return table
    }()

    private static let names: Table = {
        var table = Table(TableID(.ip, "names"))
        table.add(
            NamedSet("p", key: Shape(.internetProtocol)),
            [1, 2, 6, 17, 33, 47, 50, 51, 58, 132, 136, 250].map { Element(RegisterValue([$0])) })
        table.add(
            NamedSet("i", key: Shape(.interfaceName)),
            ["eth0", "cni0", "lo"].map { name in
                Element(RegisterValue(Array(name.utf8) + [UInt8](repeating: 0, count: 16 - name.utf8.count)))
            })
        table.add(NamedSet("m", key: Shape(.mark)), [0x4000, 3].map { Element(RegisterValue(host: $0)) })
        table.add(
            NamedSet("e", key: Shape(.etherAddress)), [Element(RegisterValue([2, 0, 0, 0, 0, 1]))])
        table.add(
            NamedSet("v", key: Shape(.ipv4Address), data: .verdict),
            [Verdict.accept, .drop, .continue, .return, .jump("c"), .goto("c")].enumerated().map {
                Element(RegisterValue([1, 1, 1, UInt8($0)]), data: .verdict($1))
            })
        table.add(Chain("c"))
        return table
    }()

    private static let priorities: Table = {
        var table = Table(TableID(.ip6, "priorities"))
        let bases: [(BaseChain.Kind, BaseChain.Hook, Int32)] = [
            (.nat, .prerouting, -100), (.nat, .prerouting, -90), (.nat, .prerouting, -111),
            (.nat, .output, -100),
            (.nat, .postrouting, 99), (.nat, .postrouting, 110), (.nat, .postrouting, 111),
            (.nat, .input, 100),
            (.filter, .forward, 5), (.filter, .forward, -5), (.filter, .input, -300),
            (.filter, .output, -155),
            (.filter, .forward, 50), (.filter, .prerouting, -310), (.filter, .prerouting, 300),
            (.route, .output, -150),
        ]
        for (index, (kind, hook, priority)) in bases.enumerated() {
            table.add(
                Chain(
                    "c\(index)",
                    base: BaseChain(
                        kind, hook: hook, priority: priority, policy: kind == .filter ? .drop : .accept)))
        }
        return table
    }()

    private static func one(_ statements: Statement...) -> Rule { Rule(statements) }

    private static let matches: Table = {
        var table = Table(TableID(.ip, "matches"))
        let zero = RegisterValue(host: 0)
        let mark = Term.meta(.mark)
        func marked(_ keep: UInt32, _ xor: UInt32) -> Term {
            .bitwise(mark, mask: RegisterValue(host: keep), xor: RegisterValue(host: xor))
        }
        table.add(
            Chain(
                "c",
                rules: [
                    one(.match(.meta(.length), .greater, .value(RegisterValue(host: 100)))),
                    one(.match(.meta(.inputInterface), .equal, .value(RegisterValue(host: 7)))),
                    one(.match(.meta(.protocolNumber), .equal, .value(RegisterValue([8, 0])))),
                    one(.match(.conntrack(.direction, nil), .equal, .value(RegisterValue([1])))),
                    one(.match(.conntrack(.state, nil), .notEqual, .value(RegisterValue(host: 8)))),
                    one(.match(.ctStatus, .equal, .flags(RegisterValue(host: 0x30)))),
                    one(.match(.fib(.outputInterface, [.saddr, .iif]), .equal, .value(zero))),
                    one(.match(.fib(.addressType, .daddr), .notEqual, .value(RegisterValue(host: 5)))),
                    one(
                        .match(
                            .numgen(.random, modulus: 7, offset: 0), .equal, .value(RegisterValue(host: 3)))),
                    one(.match(.thSport, .less, .value(RegisterValue(port: 1024)))),
                    one(
                        .match(
                            .ipSaddr, .equal,
                            .range(RegisterValue([1, 1, 1, 1]), RegisterValue([1, 1, 1, 9])))),
                    one(.match(marked(0x4000, 0), .notEqual, .value(zero))),
                    one(.match(mark, .equal, .value(RegisterValue(host: 0x4000)))),
                    one(
                        .match(
                            .payload(.transport, offset: 4, length: 4), .equal,
                            .value(RegisterValue([0, 0, 0, 0x50]))
                        )),
                    one(.setMeta(.mark, marked(0xffff_0000, 0))), one(.setMeta(.mark, marked(~0, 0x4000))),
                    one(.setMeta(.mark, .constant(RegisterValue(host: 5)))),
                    one(
                        .nat(
                            .destination, .ip, to: .address(.constant(RegisterValue([1, 2, 3, 4]))), flags: []
                        )),
                    one(
                        .l4proto(.udp),
                        .nat(.destination, .ip, to: .port(.constant(RegisterValue(port: 53))), flags: [])),
                    one(
                        .nat(
                            .source, .ip, to: .address(.constant(RegisterValue([1, 2, 3, 4]))),
                            flags: [.persistent])),
                    one(.reject(.unreachable(code: 0))), one(.reject(.unreachable(code: 1))),
                    one(.reject(.unreachable(code: 9))), one(.reject(.unreachable(code: 13))),
                ]))
        table.add(
            Chain(
                "p", base: BaseChain(.nat, hook: .postrouting, priority: 100),
                rules: [
                    one(.masquerade(flags: [.random, .persistent])), one(.masquerade(flags: .fullyRandom)),
                ]))
        return table
    }()

    private static let ipv6Matches: Table = {
        var table = Table(TableID(.ip6, "matches"))
        let address = RegisterValue([0xfd, 1] + [UInt8](repeating: 0, count: 14))
        table.add(
            Chain(
                "c",
                rules: [
                    one(.match(.ip6Daddr, .equal, .prefix(address, bits: 64))),
                    one(.match(.ip6Daddr, .equal, .prefix(address, bits: 65))),
                    one(.match(.ctOriginalDaddr(.ip6), .equal, .prefix(address, bits: 16))),
                    one(.match(.ip6Saddr, .notEqual, .value(address))),
                    one(.reject(.unreachable(code: 4))), one(.reject(.unreachable(code: 1))),
                    one(.l4proto(.tcp), .dnat(.ip6, address: address, port: 80)),
                    one(.nat(.destination, .ip6, to: .address(.constant(address)), flags: [])),
                ]))
        return table
    }()

    private static let flags: Table = {
        var table = Table(TableID(.ip, "kinds"))
        table.add(
            NamedSet("c", key: Shape(.ipv4Address), flags: .constant), [Element(RegisterValue([1, 2, 3, 4]))])
        table.add(
            NamedSet("p", key: Shape(.internetService), flags: .interval),
            Element.intervals([
                (RegisterValue(port: 1), RegisterValue(port: 5)),
                (RegisterValue(port: 1024), RegisterValue(port: 65535)),
            ]))
        return table
    }()
}
