import IPAddressing
import NFTables
import PacketSimulator

/// A service proxy's table in small: `web` (three endpoints in turn, or by client address), `one` (a constant),
/// `direct` (a data map), a refused service, and the range that services lie in.
struct ProxyTable {
    let family: AddressFamily

    private var nft: Family { family == .ipv4 ? .ip : .ip6 }
    private var type: Datatype { family == .ipv4 ? .ipv4Address : .ipv6Address }

    /// `10.<net>.0.<last>` or `fd<net>::<last>`
    func address(_ net: UInt8, _ last: UInt8) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: 10 << 24 | UInt32(net) << 16 | UInt32(last))
        case .ipv6: IPAddress(high: 0xfd << 56 | UInt64(net) << 48, low: UInt64(last))
        }
    }

    func pod(_ last: UInt8, _ port: UInt16 = 8080) -> AddressPort { AddressPort(address(1, last), port) }
    func service(_ last: UInt8, _ port: UInt16 = 80) -> AddressPort { AddressPort(address(96, last), port) }
    func client(_ last: UInt8, _ port: UInt16 = 40000) -> AddressPort { AddressPort(address(50, last), port) }
    var nodeAddress: IPAddress { address(200, 1) }
    var node: Node {
        var networks: [IPNetwork] = []
        if let pods = IPNetwork(address(1, 0), prefixLength: family == .ipv4 ? 16 : 32) {
            networks.append(pods)
        }
        return Node(
            addresses: [nodeAddress],
            interfaces: [Node.Interface("eth0", []), Node.Interface("cni0", networks)])
    }

    static let web: UInt8 = 10
    static let one: UInt8 = 11
    static let direct: UInt8 = 12
    static let refused: UInt8 = 13

    private func key(_ service: AddressPort, _ number: TransportProtocol) -> RegisterValue {
        var key = RegisterValue(service.address.bytes)
        key.appendField([number.rawValue])
        key.appendField(bigEndian: service.port)
        return key
    }

    private func data(_ endpoint: AddressPort) -> RegisterValue {
        var data = RegisterValue(endpoint.address.bytes)
        data.appendField(bigEndian: endpoint.port)
        return data
    }

    /// - Parameters:
    ///   - affinity: milliseconds that `web` keeps a client at its endpoint; nil: not at all.
    ///   - endpoints: of `web`.
    ///   - affinitySize: the most clients that are remembered.
    func make(affinity: UInt64? = nil, endpoints: [UInt8] = [1, 2, 3], affinitySize: UInt32 = 65535) -> Table
    {
        var table = Table(TableID(nft, "proxy"))
        addSets(to: &table, endpoints: endpoints, affinity: affinity, affinitySize: affinitySize)
        let f = nft
        var web: [Rule] = []
        if affinity != nil {
            web.append(
                Rule([.l4proto(.tcp), .dnat(f, addressFrom: "affinity", key: [.saddr(f)], port: 8080)]))
        }
        web.append(
            Rule([
                .l4proto(.tcp),
                .dnat(
                    f, addressAndPortFrom: "slots",
                    key: [.numgenIncremental(modulus: UInt32(endpoints.count), offset: 4096)]),
            ]))
        table.add(Chain("web", rules: web))
        let constant = Statement.dnat(f, address: RegisterValue(pod(9).address.bytes), port: 8080)
        table.add(Chain("one", rules: [Rule([.l4proto(.tcp), constant])]))
        table.add(
            Chain(
                "remember",
                rules: affinity.map {
                    [
                        Rule([
                            .thDport(8080), .update("affinity", key: .saddr(f), data: .daddr(f), timeout: $0),
                        ])
                    ]
                } ?? []))
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
        let remember = Rule([
            .ctStatusDNAT, .ctProtocol(.tcp),
            .verdictMap([.ctOriginalDaddr(f), .ctProtocol, .ctOriginalProtoDst], in: "remember"),
        ])
        let hairpin = Rule([.ctStatusDNAT, .member([.saddr(f), .daddr(f)], of: "hairpin"), .masquerade])
        for (name, hook) in [("prerouting", BaseChain.Hook.prerouting), ("output", .output)] {
            table.add(
                Chain(
                    name, base: BaseChain(.nat, hook: hook, priority: -100),
                    rules: [Rule([.jump("dispatch")])]))
        }
        table.add(Chain("input", base: BaseChain(.nat, hook: .input, priority: 100), rules: [remember]))
        table.add(
            Chain(
                "postrouting", base: BaseChain(.nat, hook: .postrouting, priority: 100),
                rules: [remember, hairpin]))
        return table
    }

    private func addSets(to table: inout Table, endpoints: [UInt8], affinity: UInt64?, affinitySize: UInt32) {
        let serviceKey = Shape(type, .internetProtocol, .internetService)
        let endpoint = Shape(type, .internetService)
        table.add(
            NamedSet("direct", key: serviceKey, data: .value(endpoint)),
            [Element(key(service(Self.direct), .tcp), data: .value(data(pod(7))))])
        table.add(
            NamedSet("services", key: serviceKey, data: .verdict),
            [
                Element(key(service(Self.web), .tcp), data: .verdict(.goto("web"))),
                Element(key(service(Self.one), .tcp), data: .verdict(.goto("one"))),
                Element(key(service(Self.refused), .udp), data: .verdict(.goto("refuse"))),
            ])
        table.add(
            NamedSet("slots", key: Shape(.integer), data: .value(endpoint)),
            endpoints.enumerated().map {
                Element(RegisterValue(host: 4096 + UInt32($0)), data: .value(data(pod($1))))
            })
        table.add(
            NamedSet(
                "affinity", key: Shape(type), data: .value(Shape(type)), flags: [.dynamic, .timeout],
                size: affinitySize), [])
        let remembered =
            affinity == nil ? [] : [Element(key(service(Self.web), .tcp), data: .verdict(.jump("remember")))]
        table.add(NamedSet("remember", key: serviceKey, data: .verdict), remembered)
        table.add(
            NamedSet("hairpin", key: Shape(type, type)),
            (endpoints + [7, 9]).map { Element(RegisterValue(pod($0).address.bytes + pod($0).address.bytes)) }
        )
        table.add(
            NamedSet("cluster-ips", key: Shape(type)),
            [Self.web, Self.one, Self.direct, Self.refused].map {
                Element(RegisterValue(service($0).address.bytes))
            })
        let cidr = RegisterValue(address(96, 0).bytes)
        table.add(
            NamedSet("service-cidrs", key: Shape(type), flags: .interval),
            Element.prefixes([(cidr, family == .ipv4 ? 16 : 112)]))
        table.add(
            NamedSet("protocols", key: Shape(.internetProtocol)),
            TransportProtocol.allCases.map { Element(RegisterValue([$0.rawValue])) })
    }
}

extension Table {
    mutating func add(_ set: NamedSet, _ elements: [Element]) {
        sets[set.name] = set
        self.elements[set.name] = elements
    }

    mutating func add(_ chain: Chain) { chains[chain.name] = chain }
}
