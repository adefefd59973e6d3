public import NFTables

extension Feature {
    /// The table, sets and rules that a kernel must take to have the feature; nothing for owned tables, which are no
    /// operation of their own.
    ///
    /// - Parameter isHooked: rules are in base chains, as Sluice's are, so that the kernel also checks what a hook allows.
    public func operations(in table: TableID, isHooked: Bool) -> [Operation] {
        let parts = parts(table.family)
        let chains = parts.chains.map { isHooked ? $0 : Chain($0.name, rules: $0.rules) }
        return [.addTable(table, comment: nil)]
            + parts.sets.map { .addSet(table, $0) }
            + chains.map { .addChain(table, $0) }
            + chains.flatMap { chain in chain.rules.map { .addRule(table, chain: chain.name, $0) } }
            + parts.elements.map { .addElements(table, set: $0.set, $0.elements) }
            + parts.destroyed.map { .destroyElements(table, set: $0.set, $0.elements) }
    }

    /// What makes a feature, in the order in which it is made.
    private struct Parts {
        var sets: [NamedSet] = []
        var chains: [Chain] = []
        var elements: [(set: String, elements: [Element])] = []
        var destroyed: [(set: String, elements: [Element])] = []
    }

    private static func prerouting(_ rules: Rule...) -> Chain {
        Chain("prerouting", base: BaseChain(.nat, hook: .prerouting, priority: -100), rules: rules)
    }

    private static func postrouting(_ rules: Rule...) -> Chain {
        Chain("postrouting", base: BaseChain(.nat, hook: .postrouting, priority: 99), rules: rules)
    }

    private func parts(_ family: Family) -> Parts {
        let address: Datatype = family == .ip ? .ipv4Address : .ipv6Address
        let someAddress = RegisterValue(Array(repeating: 1, count: address.length))
        let tcp = Statement.l4proto(.tcp)
        switch self {
        case .natChains:
            return Parts(chains: [
                Self.prerouting(),
                Chain("input", base: BaseChain(.nat, hook: .input, priority: 100)),
                Chain("output", base: BaseChain(.nat, hook: .output, priority: -100)),
                Self.postrouting(),
            ])
        case .verdictMaps:
            let key = [Term.daddr(family), .l4proto, .thDport]
            return Parts(
                sets: [
                    NamedSet(
                        "services", key: Shape(address, .internetProtocol, .internetService), data: .verdict)
                ],
                chains: [
                    Chain("pool"), Self.prerouting(Rule([.verdictMap(key, in: "services")])),
                ],
                elements: [
                    (
                        "services",
                        [
                            Element(
                                Self.key(someAddress, transport: 6, port: 80), data: .verdict(.goto("pool")))
                        ]
                    )
                ])
        case .networkSets:
            return Parts(
                sets: [NamedSet("networks", key: Shape(address), flags: .interval)],
                chains: [Self.prerouting(Rule([.member(.daddr(family), of: "networks"), .drop]))],
                elements: [("networks", Element.prefixes([(someAddress, 8)]))])
        case .roundRobin:
            let daddr: SelectorExpression = family == .ip ? .ipDaddr : .ip6Daddr
            let counter = Term.numgenIncremental(modulus: 2, offset: 65_536)
            return Parts(
                sets: [
                    NamedSet(
                        "slots", key: Shape(typeof: .numgenIncremental(modulus: 2)),
                        data: .value(Shape(typeof: daddr, .thDport)))
                ],
                chains: [
                    Self.prerouting(Rule([tcp, .dnat(family, addressAndPortFrom: "slots", key: [counter])]))
                ],
                elements: [
                    (
                        "slots",
                        [
                            Element(
                                RegisterValue(host: 65_536),
                                data: .value(Self.target(someAddress, port: 8080)))
                        ]
                    )
                ])
        case .directMap:
            let key = [Term.daddr(family), .l4proto, .thDport]
            return Parts(
                sets: [
                    NamedSet("protocols", key: Shape(.internetProtocol)),
                    NamedSet(
                        "direct", key: Shape(address, .internetProtocol, .internetService),
                        data: .value(Shape(address, .internetService))),
                ],
                chains: [
                    Self.prerouting(
                        Rule([
                            .member(.l4proto, of: "protocols"),
                            .dnat(family, addressAndPortFrom: "direct", key: key),
                        ]),
                        Rule([tcp, .dnat(family, address: someAddress, port: 8080)]))
                ],
                elements: [
                    ("protocols", [Element(RegisterValue(CollectionOfOne(6)))]),
                    (
                        "direct",
                        [
                            Element(
                                Self.key(someAddress, transport: 6, port: 80),
                                data: .value(Self.target(someAddress, port: 8080)))
                        ]
                    ),
                ])
        case .masquerade:
            return Parts(chains: [Self.postrouting(Rule([.masquerade(flags: .fullyRandom)]))])
        case .reject:
            let rules = [Rule([tcp, .rejectTCPReset]), Rule([.rejectPortUnreachable(family)])]
            return Parts(chains: [
                Chain("refuse", rules: rules), Self.prerouting(Rule([.goto("refuse")])),
                Chain(
                    "output", base: BaseChain(.nat, hook: .output, priority: -100),
                    rules: [Rule([.goto("refuse")])]),
            ])
        case .originalDestination:
            return Parts(
                sets: [
                    NamedSet(
                        "addressed", key: Shape(address, .internetProtocol, .internetService), data: .verdict)
                ],
                chains: [
                    Self.postrouting(
                        Rule([
                            .ctStatusDNAT, .ctProtocol(.tcp),
                            .verdictMap(
                                [.ctOriginalDaddr(family), .ctProtocol, .ctOriginalProtoDst], in: "addressed"),
                        ]))
                ])
        case .affinity:
            let clients = NamedSet(
                "clients", key: Shape(address), data: .value(Shape(address)), flags: [.timeout, .dynamic],
                size: 1 << 18)
            return Parts(
                sets: [clients],
                chains: [
                    Self.prerouting(
                        Rule([
                            tcp, .dnat(family, addressFrom: "clients", key: [.saddr(family)], port: 8080),
                        ])),
                    Self.postrouting(
                        Rule(
                            [
                                .thDport(8080),
                                .update(
                                    "clients", key: .saddr(family), data: .daddr(family), timeout: 60_000),
                            ], sets: ["clients": clients])),
                ])
        case .localSource:
            // RTN_LOCAL.
            let isLocal = Statement.match(
                .fib(.addressType, .saddr), .equal, .value(RegisterValue(host: 2)))
            return Parts(chains: [Self.postrouting(Rule([isLocal, .accept]))])
        case .interfaceMarks:
            let bit: UInt32 = 1 << 14
            let foreign = Statement.match(
                .meta(.inputInterfaceName), .notEqual, .beginning(RegisterValue(Array("cni".utf8))))
            let marked = Term.bitwise(
                .meta(.mark), mask: RegisterValue(host: ~bit), xor: RegisterValue(host: bit))
            return Parts(chains: [Self.prerouting(Rule([foreign, .setMeta(.mark, marked)]))])
        case .destroyElements:
            return Parts(
                sets: [NamedSet("addresses", key: Shape(address))],
                destroyed: [("addresses", [Element(someAddress)])])
        case .ownedTables:
            return Parts()
        }
    }

    private static func key(_ address: RegisterValue, transport: UInt8, port: UInt16) -> RegisterValue {
        var key = address
        key.appendField(transport)
        key.appendField(bigEndian: port)
        return key
    }

    private static func target(_ address: RegisterValue, port: UInt16) -> RegisterValue {
        var target = address
        target.appendField(bigEndian: port)
        return target
    }
}
