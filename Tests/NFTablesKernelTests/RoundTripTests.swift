import NFTables
import NFTablesKernel
import TestNetwork
import Testing

/// A table that is written by netlink and read back.
@Suite(
    "What is written to the kernel is read back as the same values",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
struct RoundTripTests {
    let namespace: Namespace
    let id = TableID(.ip, "trip")

    init() throws {
        namespace = try Namespace("trip")
    }

    private func connect() throws -> Connection { try namespace.run { try Connection() } }

    private func readBack(_ operations: [Operation]) throws -> Table {
        let connection = try connect()
        try connection.commit([.addTable(id, comment: nil)] + operations)
        return try #require(try connection.table(id))
    }

    @Test("a table keeps its comment, a missing table is nil")
    func tables() throws {
        let connection = try connect()
        #expect(try connection.table(id) == nil)
        try connection.commit([.addTable(id, comment: "für Leute")])
        #expect(try connection.table(id)?.comment == "für Leute")
        #expect(try connection.tables() == [id])
        try connection.commit([.deleteTable(id)])
        #expect(try connection.tables().isEmpty)
    }

    @Test("a comment that nft could not print is written as nft can, at most 128 bytes")
    func comments() throws {
        let long = String(repeating: "ü", count: 100)
        let chains = [Chain("long", comment: long), Chain("odd", comment: "a \"quoted\"\nline")]
        let table = try readBack(chains.map { .addChain(id, $0) })
        #expect(table.chains["long"]?.comment == String(repeating: "ü", count: 64))
        #expect(table.chains["odd"]?.comment == "a 'quoted' line")
        #expect(try namespace.command("nft", "list", "table", "ip", "trip").contains("a 'quoted' line"))
    }

    @Test("chains keep hook, priority, policy and comment")
    func chains() throws {
        let chains = [
            Chain("plain", comment: "no hook"),
            Chain("pre", base: BaseChain(.nat, hook: .prerouting, priority: -100)),
            Chain("in", base: BaseChain(.filter, hook: .input, priority: 7, policy: .drop), comment: "drops"),
            Chain("post", base: BaseChain(.nat, hook: .postrouting, priority: 99)),
        ]
        let table = try readBack(chains.map { .addChain(id, $0) })
        #expect(table.chains == Dictionary(uniqueKeysWithValues: chains.map { ($0.name, $0) }))
    }

    static let sets = [
        NamedSet("s1", key: Shape(.ipv4Address)),
        NamedSet("s2", key: Shape(.ipv4Address), flags: .interval, comment: "networks"),
        NamedSet("s3", key: Shape(.ipv6Address, .internetProtocol, .internetService)),
        NamedSet(
            "m1", key: Shape(.ipv4Address, .internetService),
            data: .value(Shape(.ipv4Address, .internetService))),
        NamedSet("m2", key: Shape(.ipv6Address), data: .verdict),
        NamedSet(
            "m3", key: Shape(typeof: .numgenIncremental(modulus: 2)),
            data: .value(Shape(typeof: .ip6Daddr, .thDport))),
        NamedSet(
            "m4", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address)), flags: [.timeout, .dynamic],
            timeout: 30_000, size: 1000),
        NamedSet("m5", key: Shape(typeof: .ipSaddr, .thSport), data: .value(Shape(typeof: .ip6Saddr))),
        NamedSet("s4", key: Shape(.interfaceName)),
        NamedSet("s5", key: Shape(.mark)),
    ]

    @Test(
        "sets keep key, data, flags, timeout, size, comment and what their types are called", arguments: sets)
    func set(_ set: NamedSet) throws {
        let table = try readBack([.addSet(id, set)])
        #expect(table.sets == [set.name: set])
    }

    @Test("nft lists each set with its type, as it was declared", arguments: sets)
    func listed(_ set: NamedSet) throws {
        var table = try readBack([.addSet(id, set)])
        table.elements = [:]
        let listed = try namespace.command("nft", "list", "table", "ip", "trip")
        #expect(listed.contains(set.isMap ? "map \(set.name) {" : "set \(set.name) {"))
        #expect(Self.lines(listed) == Self.lines(NFTText.text(of: table)))
    }

    private static func lines(_ text: String) -> [Substring] {
        text.split(separator: "\n").filter { !$0.allSatisfy(\.isWhitespace) }
    }

    /// A rule for each instruction, and for each way of writing it.
    static let rules: [Rule] = [
        Rule(expressions: [.verdict(.accept)], comment: "a comment"),
        Rule(expressions: [.verdict(.drop)]), Rule(expressions: [.verdict(.return)]),
        Rule(expressions: [.verdict(.jump("target"))]),
        Rule(expressions: [.verdict(.goto("target"))]), Rule(expressions: [.counter]),
        Rule(expressions: [.meta(.l4proto, into: 0), .compare(0, .equal, RegisterValue([6]))]),
        Rule(expressions: [
            .meta(.inputInterfaceName, into: 0), .compare(0, .notEqual, RegisterValue(Array("cni".utf8))),
        ]),
        Rule(expressions: [.meta(.mark, into: 0), .setMeta(.mark, from: 0)]),
        Rule(expressions: [.ipDaddr(into: 0), .thDport(into: 1), .lookup(set: "pairs", key: 0, .membership)]),
        Rule(expressions: [.ipSaddr(into: 3), .lookup(set: "single", key: 3, .absence)]),
        Rule(expressions: [.ipDaddr(into: 0), .lookup(set: "verdicts", key: 0, .verdict)]),
        Rule(expressions: [
            .meta(.l4proto, into: 0), .compare(0, .equal, RegisterValue([17])),
            .numgen(.incremental, modulus: 3, offset: 65536, into: 0),
            .lookup(set: "slots", key: 0, .data(0)),
            .nat(.destination, .ip, address: 0, port: 1, flags: []),
        ]),
        Rule(expressions: [
            .immediate(RegisterValue([10, 0, 0, 1]), into: 0), .immediate(RegisterValue([0, 80]), into: 4),
            .nat(.destination, .ip, address: 0, port: 4, flags: [.persistent, .random]),
        ]),
        Rule(expressions: [.numgen(.random, modulus: 7, offset: 0, into: 5)]),
        Rule(expressions: [
            .conntrack(.status, direction: nil, into: 0),
            .bitwise(
                from: 0, into: 0, mask: RegisterValue([0x20, 0, 0, 0]), xor: RegisterValue([0, 0, 0, 0])),
            .compare(0, .notEqual, RegisterValue([0, 0, 0, 0])),
        ]),
        Rule(expressions: [
            .conntrack(.destinationAddress4, direction: .original, into: 0),
            .conntrack(.protocolNumber, direction: nil, into: 1),
            .conntrack(.destinationPort, direction: .reply, into: 2),
        ]),
        Rule(expressions: [
            .fib(.addressType, .daddr, into: 0), .compare(0, .equal, RegisterValue([2, 0, 0, 0])),
        ]),
        Rule(expressions: [.reject(.unreachable(code: 3))]),
        Rule(expressions: [
            .meta(.l4proto, into: 0), .compare(0, .equal, RegisterValue([6])), .reject(.tcpReset),
        ]),
        Rule(expressions: [
            .ipSaddr(into: 0), .ipDaddr(into: 4),
            .dynamicSet(.update, set: "clients", key: 0, data: 4, timeout: 10_800_000),
        ]),
        Rule(expressions: [
            .ipSaddr(into: 0), .ipDaddr(into: 4),
            .dynamicSet(.add, set: "clients", key: 0, data: 4, timeout: nil),
        ]),
    ]

    private var surroundings: [Operation] {
        [
            .addSet(id, NamedSet("pairs", key: Shape(.ipv4Address, .internetService))),
            .addSet(id, NamedSet("single", key: Shape(.ipv4Address))),
            .addSet(id, NamedSet("verdicts", key: Shape(.ipv4Address), data: .verdict)),
            .addSet(
                id,
                NamedSet(
                    "slots", key: Shape(typeof: .numgenIncremental(modulus: 2)),
                    data: .value(Shape(typeof: .ipDaddr, .thDport)))),
            .addSet(
                id,
                NamedSet(
                    "clients", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address)),
                    flags: [.timeout, .dynamic], size: 65_536)),
            .addChain(id, Chain("target")), .addChain(id, Chain("rules")),
            .addChain(id, Chain("post", base: BaseChain(.nat, hook: .postrouting, priority: 100))),
        ]
    }

    @Test("every instruction comes back as it went")
    func instructions() throws {
        let table = try readBack(surroundings + Self.rules.map { .addRule(id, chain: "rules", $0) })
        let read = try #require(table.chains["rules"]).rules
        #expect(read.count == Self.rules.count)
        for (read, written) in zip(read, Self.rules) { #expect(read == written) }
        #expect(Set(read.map(\.handle)).count == Self.rules.count)
    }

    @Test("masquerade comes back with its flags")
    func masquerade() throws {
        let rules = [
            Rule(expressions: [.masquerade(flags: [])]),
            Rule(expressions: [.masquerade(flags: .fullyRandom)]),
        ]
        let table = try readBack(surroundings + rules.map { .addRule(id, chain: "post", $0) })
        #expect(table.chains["post"]?.rules == rules)
    }

    @Test("an instruction that has no value is told by its name, and can't be written")
    func unsupported() throws {
        try namespace.loadRules("table ip trip {\nchain c {\nlimit rate 5/second accept\n}\n}\n")
        let connection = try connect()
        let rule = try #require(try connection.table(id)?.chains["c"]?.rules.first)
        #expect(rule.expressions == [.unsupported("limit"), .verdict(.accept)])
        #expect(throws: KernelError.self) { try connection.commit([.addRule(id, chain: "c", rule)]) }
    }

    @Test("elements keep data, verdict, comment, timeout and interval ends")
    func elements() throws {
        let networks = NamedSet("networks", key: Shape(.ipv4Address), flags: .interval)
        let verdicts = NamedSet("verdicts", key: Shape(.ipv4Address), data: .verdict)
        let timed = NamedSet(
            "timed", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address)),
            flags: [.timeout, .dynamic], size: 9)
        let elements: [String: [Element]] = [
            "networks": [
                Element(RegisterValue([10, 0, 0, 0])),
                Element(RegisterValue([11, 0, 0, 0]), isIntervalEnd: true),
            ],
            "verdicts": [
                Element(
                    RegisterValue([1, 2, 3, 4]), data: .verdict(.goto("target")), comment: "default/web"),
                Element(RegisterValue([1, 2, 3, 5]), data: .verdict(.drop)),
            ],
        ]
        let client = Element(
            RegisterValue([1, 1, 1, 1]), data: .value(RegisterValue([2, 2, 2, 2])), timeout: 600_000,
            expiration: 500_000)
        let table = try readBack(
            [.addChain(id, Chain("target"))] + [networks, verdicts, timed].map { .addSet(id, $0) }
                + elements.map { .addElements(id, set: $0.key, $0.value) }
                + [.addElements(id, set: "timed", [client])])
        for (set, wanted) in elements { #expect(Set(table.elements[set] ?? []) == Set(wanted), "\(set)") }
        let read = try #require(table.elements["timed"]?.first)
        #expect(read.key == client.key && read.data == client.data && read.timeout == client.timeout)
        #expect((400_000...500_000).contains(read.expiration ?? 0))
    }

    @Test("a list of elements that fits no single message is split, and all of it arrives")
    func manyElements() throws {
        let set = NamedSet(
            "many", key: Shape(.ipv6Address, .internetService), data: .value(Shape(.ipv6Address)))
        let elements = (0..<5000).map { (number: Int) -> Element in
            var key = RegisterValue()
            key.appendField((0..<16).map { UInt8(truncatingIfNeeded: $0 < 8 ? number >> ($0 * 4) : $0) })
            key.appendField(bigEndian: UInt16(number))
            return Element(
                key, data: .value(RegisterValue((0..<16).map { _ in UInt8(7) })), comment: "number \(number)")
        }
        let connection = try connect()
        let summary = try connection.commit([
            .addTable(id, comment: nil), .addSet(id, set), .addElements(id, set: "many", elements),
        ])
        #expect(summary.messages > 6)
        // The kernel grows the map's hash table behind the transaction, in a work queue; a dump that meets it there can
        // pass over elements.
        var read: Set<Element> = []
        for _ in 0..<100 where read.count < elements.count {
            read = Set(try connection.elements(of: "many", in: id))
        }
        #expect(read == Set(elements))
    }

    @Test("what nft writes is read as the values that this library would write")
    func writtenByNFT() throws {
        try namespace.loadRules(
            """
            table ip trip {
            comment "by nft"
            map slots { typeof numgen inc mod 2 : ip daddr . th dport; elements = { 4096 : 10.1.1.1 . 80 }; }
            set networks { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
            chain pool { comment "a pool"
            meta l4proto tcp dnat ip to numgen inc mod 2 offset 4096 map @slots
            }
            }

            """)
        let table = try #require(try connect().table(id))
        #expect(table.comment == "by nft" && table.chains["pool"]?.comment == "a pool")
        #expect(
            table.sets["slots"]
                == NamedSet(
                    "slots", key: Shape(typeof: .numgenIncremental(modulus: 2)),
                    data: .value(Shape(typeof: .ipDaddr, .thDport))))
        #expect(
            table.chains["pool"]?.rules == [
                Rule([
                    .l4proto(.tcp),
                    .dnat(
                        .ip, addressAndPortFrom: "slots", key: [.numgenIncremental(modulus: 2, offset: 4096)]),
                ])
            ])
        #expect(table.elements["slots"]?.first?.key == RegisterValue(host: 4096))
    }
}
