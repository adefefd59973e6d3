import NFTables

/// Builders for the table of a service proxy, with one of everything.
enum ServiceTable {
    static func address(_ family: Family, _ last: UInt8, net: UInt8 = 1) -> RegisterValue {
        family == .ip6
            ? RegisterValue([0xfd, net] + [UInt8](repeating: 0, count: 13) + [last])
            : RegisterValue([10, net, 1, last])
    }

    /// `address . protocol . port`
    static func service(_ address: RegisterValue, _ number: InternetProtocol, _ port: UInt16) -> RegisterValue
    {
        var key = address
        key.appendField([number.rawValue])
        key.appendField(bigEndian: port)
        return key
    }

    /// `address . port`
    static func endpoint(_ address: RegisterValue, _ port: UInt16) -> RegisterValue {
        var data = address
        data.appendField(bigEndian: port)
        return data
    }

    /// `address . address`
    static func pair(_ a: RegisterValue, _ b: RegisterValue) -> RegisterValue {
        RegisterValue(a.bytes + b.bytes)
    }

    static func make(_ family: Family) -> Table {
        var table = Table(TableID(family, "sluice"), comment: "services of this node")
        addSets(to: &table)
        let f = family
        table.add(
            Chain(
                "pool-1", comment: "default/web:http",
                rules: [
                    Rule([
                        .l4proto(.tcp),
                        .dnat(f, addressFrom: "affinity-1-8080", key: [.saddr(f)], port: 8080),
                    ]),
                    Rule([
                        .l4proto(.tcp),
                        .dnat(
                            f, addressAndPortFrom: "slots-2",
                            key: [.numgenIncremental(modulus: 3, offset: 4096)]),
                    ]),
                ]))
        table.add(
            Chain(
                "pool-2",
                rules: [
                    Rule([.l4proto(.tcp), .dnat(f, address: address(f, 9), port: 80)], comment: "only one")
                ]))
        table.add(
            Chain(
                "remember-1",
                rules: [
                    Rule([
                        .thDport(8080),
                        .update("affinity-1-8080", key: .saddr(f), data: .daddr(f), timeout: 10_800_000),
                    ])
                ]))
        table.add(
            Chain(
                "refuse",
                rules: [Rule([.l4proto(.tcp), .rejectTCPReset]), Rule([.rejectPortUnreachable(f)])]))
        table.add(
            Chain(
                "dispatch",
                rules: [
                    Rule([
                        .member(.l4proto, of: "protocols"),
                        .dnat(f, addressAndPortFrom: "direct", key: [.daddr(f), .l4proto, .thDport]),
                    ]),
                    Rule([.verdictMap([.daddr(f), .l4proto, .thDport], in: "services")]),
                    Rule([.member(.daddr(f), of: "cluster-ips"), .goto("refuse")]),
                    Rule([.member(.daddr(f), of: "service-cidrs"), .drop]),
                ]))
        let remember = [InternetProtocol.tcp, .udp, .sctp].map { number in
            Rule([
                .ctStatusDNAT, .ctProtocol(number),
                .verdictMap([.ctOriginalDaddr(f), .ctProtocol, .ctOriginalProtoDst], in: "remember"),
            ])
        }
        let hairpin = Rule([.ctStatusDNAT, .member([.saddr(f), .daddr(f)], of: "hairpin"), .masquerade])
        table.add(
            Chain(
                "prerouting", base: BaseChain(.nat, hook: .prerouting, priority: -100),
                rules: [Rule([.jump("dispatch")])]))
        table.add(
            Chain(
                "output", base: BaseChain(.nat, hook: .output, priority: -100),
                rules: [Rule([.jump("dispatch")])]))
        table.add(Chain("input", base: BaseChain(.nat, hook: .input, priority: 100), rules: remember))
        table.add(
            Chain(
                "postrouting", base: BaseChain(.nat, hook: .postrouting, priority: 99),
                rules: remember + [hairpin]))
        return table
    }

    private static func addSets(to table: inout Table) {
        let f = table.id.family
        let type: Datatype = f == .ip6 ? .ipv6Address : .ipv4Address
        let service = Shape(type, .internetProtocol, .internetService)
        let endpoint = Shape(type, .internetService)
        let vip = { (last: UInt8) in address(f, last, net: 96) }
        table.add(
            NamedSet("direct", key: service, data: .value(endpoint)),
            [
                Element(
                    Self.service(vip(9), .tcp, 80), data: .value(Self.endpoint(address(f, 1), 8080)),
                    comment: "default/one:http")
            ])
        table.add(
            NamedSet("services", key: service, data: .verdict, comment: "virtual addresses"),
            [
                Element(
                    Self.service(vip(10), .tcp, 80), data: .verdict(.goto("pool-1")),
                    comment: "default/web:http"),
                Element(Self.service(vip(11), .tcp, 80), data: .verdict(.goto("pool-2"))),
                Element(Self.service(vip(12), .udp, 53), data: .verdict(.goto("refuse"))),
            ])
        let slots = Shape(typeof: [.numgenIncremental(modulus: 2)])
        let slotData = Shape(typeof: [f == .ip6 ? .ip6Daddr : .ipDaddr, .thDport])
        for name in ["slots-2", "slots-10"] {
            table.add(
                NamedSet(name, key: slots, data: .value(slotData)),
                (0..<3).map { i in
                    Element(
                        RegisterValue(host: 4096 + UInt32(i)),
                        data: .value(Self.endpoint(address(f, 1 + i), 80)))
                })
        }
        table.add(
            NamedSet(
                "affinity-1-8080", key: Shape(type), data: .value(Shape(type)), flags: [.dynamic, .timeout],
                size: 65535), [])
        table.add(
            NamedSet("remember", key: service, data: .verdict),
            [Element(Self.service(vip(10), .tcp, 80), data: .verdict(.jump("remember-1")))])
        table.add(
            NamedSet("hairpin", key: Shape(type, type)),
            (1...2).map { Element(pair(address(f, $0), address(f, $0))) })
        table.add(NamedSet("cluster-ips", key: Shape(type)), [9, 10, 11, 12].map { Element(vip($0)) })
        table.add(
            NamedSet("service-cidrs", key: Shape(type), flags: .interval),
            Element.prefixes([(vip(0), f == .ip6 ? 112 : 16)]))
        table.add(
            NamedSet("protocols", key: Shape(.internetProtocol)),
            [InternetProtocol.tcp, .udp, .sctp].map { Element(RegisterValue([$0.rawValue])) })
    }
}

extension Table {
    mutating func add(_ set: NamedSet, _ elements: [Element]) {
        sets[set.name] = set
        self.elements[set.name] = elements
    }

    mutating func add(_ chain: Chain) { chains[chain.name] = chain }
}
