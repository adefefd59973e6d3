import Glibc
import NFTables

extension ContractCase {
    static let all = tables + chains + rules + sets + elements + intervals + verdicts + validation + messages

    private static let id = TableID(.ip, "contract")
    private static let table = Operation.addTable(id, comment: nil)
    private static let prerouting = BaseChain(.nat, hook: .prerouting, priority: -100)
    private static let postrouting = BaseChain(.nat, hook: .postrouting, priority: 99)

    private static func chain(_ name: String, _ base: BaseChain? = nil) -> Operation {
        .addChain(id, Chain(name, base: base))
    }
    private static func rule(_ chain: String, _ statements: Statement...) -> Operation {
        .addRule(id, chain: chain, Rule(statements))
    }
    private static func add(_ set: String, _ elements: Element...) -> Operation {
        .addElements(id, set: set, elements)
    }
    private static func delete(_ set: String, _ elements: Element...) -> Operation {
        .deleteElements(id, set: set, elements)
    }
    private static func address(_ last: UInt8) -> RegisterValue { RegisterValue([10, 0, 0, last]) }
    private static func entry(_ key: UInt8, _ data: UInt8) -> Element {
        Element(address(key), data: .value(address(data)))
    }
    private static func entry(_ key: UInt8, _ verdict: Verdict) -> Element {
        Element(address(key), data: .verdict(verdict))
    }

    private static let set = Operation.addSet(id, NamedSet("set", key: Shape(.ipv4Address)))
    private static let map = Operation.addSet(
        id, NamedSet("map", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address))))
    private static let verdictMap = Operation.addSet(
        id, NamedSet("verdicts", key: Shape(.ipv4Address), data: .verdict))
    private static let clients = Operation.addSet(
        id,
        NamedSet(
            "clients", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address)),
            flags: [.timeout, .dynamic], size: 2))
    private static let networks = Operation.addSet(
        id, NamedSet("networks", key: Shape(.ipv4Address), flags: .interval))

    private static let tables = [
        Self("a table can be added twice", after: [table], do: [table]),
        Self("a table that isn't there can't be deleted", do: [.deleteTable(id)], refused: [0: ENOENT]),
        Self(
            "a table goes with all that is in it",
            after: [table, chain("a"), map, add("map", entry(1, 2)), rule("a", .drop)],
            do: [.deleteTable(id)]),
        Self(
            "a table can be deleted and made anew in one transaction",
            after: [table, chain("a"), chain("base", prerouting), rule("base", .jump("a"))],
            do: [.deleteTable(id), table, chain("b"), chain("base", prerouting), rule("base", .jump("b"))]),
        Self(
            "nothing can be put into a table that isn't there",
            do: [chain("a"), rule("a", .drop), set, add("set", Element(address(1)))],
            refused: [0: ENOENT, 1: ENOENT, 2: ENOENT, 3: ENOENT]),
        Self(
            "nothing is in force when the last of many operations is refused", after: [table],
            do: [chain("a"), map, add("map", entry(1, 2)), delete("map", entry(3, 3))], refused: [3: ENOENT]),
        Self(
            "a name of 255 bytes is taken", after: [table],
            do: [chain(String(repeating: "c", count: 255)), chain(String(repeating: "d", count: 256))],
            refused: [1: ERANGE]),
    ]

    private static let chains = [
        Self("a chain can be added twice", after: [table, chain("a")], do: [chain("a")]),
        Self(
            "a base chain can be added twice", after: [table, chain("a", prerouting)],
            do: [chain("a", prerouting)]),
        Self(
            "a base chain can't be moved to another hook", after: [table, chain("a", prerouting)],
            do: [chain("a", postrouting)], refused: [0: EOPNOTSUPP]),
        Self(
            "a base chain can't be given another priority", after: [table, chain("a", prerouting)],
            do: [chain("a", BaseChain(.nat, hook: .prerouting, priority: -101))], refused: [0: EOPNOTSUPP]),
        Self(
            "a base chain can't be given another type", after: [table, chain("a", prerouting)],
            do: [chain("a", BaseChain(.filter, hook: .prerouting, priority: -100))], refused: [0: EEXIST]),
        Self(
            "a base chain can be given another policy", after: [table, chain("a", prerouting)],
            do: [chain("a", BaseChain(.nat, hook: .prerouting, priority: -100, policy: .drop))]),
        Self(
            "a chain can't become a base chain", after: [table, chain("a")], do: [chain("a", prerouting)],
            refused: [0: EOPNOTSUPP]),
        Self(
            "a chain that isn't there can't be deleted or flushed", after: [table],
            do: [.deleteChain(id, chain: "a"), .flushChain(id, chain: "a")], refused: [0: ENOENT, 1: ENOENT]),
        Self(
            "a chain goes with its rules", after: [table, chain("a"), rule("a", .drop)],
            do: [.deleteChain(id, chain: "a")]),
        Self(
            "a chain that a rule jumps to can't be deleted",
            after: [table, chain("a"), chain("b"), rule("b", .jump("a"))],
            do: [.deleteChain(id, chain: "a")], refused: [0: EBUSY]),
        Self(
            "a chain can be deleted behind the rule that jumped to it",
            after: [table, chain("a"), chain("b"), rule("b", .jump("a"))],
            do: [.flushChain(id, chain: "b"), .deleteChain(id, chain: "a")]),
        Self(
            "a chain that a verdict leads to can't be deleted",
            after: [table, chain("a"), verdictMap, add("verdicts", entry(1, .goto("a")))],
            do: [.deleteChain(id, chain: "a")], refused: [0: EBUSY]),
        Self(
            "a chain can be deleted behind the verdict that led to it",
            after: [table, chain("a"), verdictMap, add("verdicts", entry(1, .goto("a")))],
            do: [delete("verdicts", entry(1, .goto("a"))), .deleteChain(id, chain: "a")]),
        Self(
            "a chain can be deleted behind the map of verdicts that led to it",
            after: [table, chain("a"), verdictMap, add("verdicts", entry(1, .goto("a")))],
            do: [.deleteSet(id, set: "verdicts"), .deleteChain(id, chain: "a")]),
        Self(
            "a chain can't be deleted ahead of the map of verdicts that leads to it",
            after: [table, chain("a"), verdictMap, add("verdicts", entry(1, .goto("a")))],
            do: [.deleteChain(id, chain: "a"), .deleteSet(id, set: "verdicts")], refused: [0: EBUSY]),
    ]

    private static let rules = [
        Self(
            "a rule can't jump to a chain that isn't there", after: [table, chain("a")],
            do: [rule("a", .jump("b"))], refused: [0: ENOENT]),
        Self(
            "a rule can't jump to a base chain", after: [table, chain("a"), chain("base", prerouting)],
            do: [rule("a", .jump("base"))], refused: [0: EOPNOTSUPP]),
        Self(
            "a rule can't ask a set that isn't there", after: [table, chain("a")],
            do: [rule("a", .member(.ipDaddr, of: "set"), .drop)], refused: [0: ENOENT]),
        Self(
            "a rule can't take data from a set", after: [table, chain("a"), set],
            do: [rule("a", .dnat(.ip, addressFrom: "set", key: [.ipSaddr], port: 80))], refused: [0: EINVAL]),
        Self(
            "a rule can't take data from a map of verdicts", after: [table, chain("a"), verdictMap],
            do: [rule("a", .dnat(.ip, addressFrom: "verdicts", key: [.ipSaddr], port: 80))],
            refused: [0: EINVAL]),
        Self(
            "a rule can't take a verdict from a map of data", after: [table, chain("a"), map],
            do: [rule("a", .verdictMap(.ipSaddr, name: "map"))], refused: [0: EINVAL]),
        Self(
            "a rule can ask whether a map has a key", after: [table, chain("a"), map],
            do: [rule("a", .member(.ipDaddr, of: "map"), .drop)]),
        Self(
            "a rule can't update with a timeout a set that has none", after: [table, chain("a"), map],
            do: [rule("a", .update("map", key: .ipSaddr, data: .ipDaddr, timeout: 1000))],
            refused: [0: EOPNOTSUPP]),
        Self(
            "a rule can't update a map without data", after: [table, chain("a"), clients],
            do: [rule("a", .update("clients", key: .ipSaddr, data: nil, timeout: 1000))],
            refused: [0: EINVAL]),
        Self(
            "a rule can update a dynamic map", after: [table, chain("a"), clients],
            do: [rule("a", .update("clients", key: .ipSaddr, data: .ipDaddr, timeout: 1000))]),
        Self(
            "a rule of a number that isn't there can't be deleted", after: [table, chain("a")],
            do: [.deleteRule(id, chain: "a", handle: 77)], refused: [0: ENOENT]),
        Self(
            "a comment is cut at 128 bytes", after: [table, chain("a")],
            do: [
                .addRule(id, chain: "a", Rule([.drop], comment: String(repeating: "ä", count: 100))),
                map,
                add(
                    "map",
                    Element(
                        address(1), data: .value(address(2)), comment: String(repeating: "c", count: 143))),
            ]),
    ]

    private static let sets = [
        Self("a set can be added twice", after: [table, set], do: [set]),
        Self(
            "a set can't be given another key", after: [table, set],
            do: [.addSet(id, NamedSet("set", key: Shape(.ipv6Address)))], refused: [0: EEXIST]),
        Self(
            "a set can't be given other flags", after: [table, set],
            do: [.addSet(id, NamedSet("set", key: Shape(.ipv4Address), flags: .timeout))],
            refused: [0: EEXIST]),
        Self(
            "a set can't become a map", after: [table, set],
            do: [
                .addSet(
                    id, NamedSet("set", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address))))
            ], refused: [0: EEXIST]),
        Self(
            "a set that isn't there can't be deleted or flushed", after: [table],
            do: [.deleteSet(id, set: "set"), .flushSet(id, set: "set")], refused: [0: ENOENT, 1: ENOENT]),
        Self(
            "a set that a rule asks can't be deleted",
            after: [table, set, chain("a"), rule("a", .member(.ipDaddr, of: "set"), .drop)],
            do: [.deleteSet(id, set: "set")], refused: [0: EBUSY]),
        Self(
            "a set can be deleted behind the rule that asked it",
            after: [table, set, chain("a"), rule("a", .member(.ipDaddr, of: "set"), .drop)],
            do: [.flushChain(id, chain: "a"), .deleteSet(id, set: "set")]),
        Self(
            "a set can be deleted behind the chain whose rule asked it",
            after: [table, set, chain("a"), rule("a", .member(.ipDaddr, of: "set"), .drop)],
            do: [.deleteChain(id, chain: "a"), .deleteSet(id, set: "set")]),
        Self(
            "a set goes with its elements", after: [table, set, add("set", Element(address(1)))],
            do: [.deleteSet(id, set: "set")]),
    ]

    private static let elements = [
        Self(
            "an element can be added twice with the same data", after: [table, map, add("map", entry(1, 2))],
            do: [add("map", entry(1, 2), entry(3, 4))]),
        Self(
            "an element can't be added with other data", after: [table, map, add("map", entry(1, 2))],
            do: [add("map", entry(1, 3))], refused: [0: EEXIST]),
        Self(
            "an element can change its data when it is deleted first",
            after: [table, map, add("map", entry(1, 2))],
            do: [delete("map", entry(1, 2)), add("map", entry(1, 3))]),
        Self(
            "an element that isn't there can't be deleted", after: [table, map, add("map", entry(1, 2))],
            do: [delete("map", entry(1, 2), entry(2, 2))], refused: [0: ENOENT]),
        Self(
            "an element is deleted by its key, whatever its data",
            after: [table, map, add("map", entry(1, 2))],
            do: [delete("map", entry(1, 9))]),
        Self(
            "an element that isn't there can be destroyed", after: [table, map, add("map", entry(1, 2))],
            do: [.destroyElements(id, set: "map", [entry(1, 2), entry(2, 2)])]),
        Self(
            "elements can't go into a set that isn't there", after: [table], do: [add("map", entry(1, 2))],
            refused: [0: ENOENT]),
        Self("no elements at all are no operation", after: [table], do: [table, add("map")]),
        Self("a transaction of nothing sends nothing", after: [table], do: [add("map")]),
        Self(
            "a key must be as long as the set's", after: [table, set],
            do: [add("set", Element(RegisterValue([10, 0, 0, 1, 0, 0, 0, 0])))], refused: [0: EINVAL]),
        Self(
            "data must be as long as the map's", after: [table, map],
            do: [add("map", Element(address(1), data: .value(RegisterValue([1, 2]))))], refused: [0: EINVAL]),
        Self(
            "a map's element must have data", after: [table, map], do: [add("map", Element(address(1)))],
            refused: [0: EINVAL]),
        Self(
            "a set's element must not have data", after: [table, set], do: [add("set", entry(1, 2))],
            refused: [0: EINVAL]),
        Self(
            "a map of data takes no verdict", after: [table, map], do: [add("map", entry(1, .drop))],
            refused: [0: EINVAL]),
        Self(
            "a map of verdicts takes no data", after: [table, verdictMap], do: [add("verdicts", entry(1, 2))],
            refused: [0: EINVAL]),
        Self(
            "a timeout needs a set with timeouts", after: [table, map],
            do: [add("map", Element(address(1), data: .value(address(2)), timeout: 1000))],
            refused: [0: EINVAL]),
        Self(
            "an element comes back with the time it has left", after: [table, clients],
            do: [
                add(
                    "clients",
                    Element(
                        address(1), data: .value(address(2)), timeout: 100_000_000, expiration: 90_000_000))
            ]),
        Self(
            "a map holds as many elements as its size says", after: [table, clients],
            do: [add("clients", entry(1, 2), entry(2, 2), entry(3, 3))], refused: [0: ENFILE]),
        Self(
            "a full map is emptied and filled in one transaction",
            after: [table, clients, add("clients", entry(1, 2), entry(2, 2))],
            do: [.flushSet(id, set: "clients"), add("clients", entry(3, 2), entry(4, 2))]),
        Self(
            "a set is emptied and filled in one transaction", after: [table, map, add("map", entry(1, 2))],
            do: [.flushSet(id, set: "map"), add("map", entry(1, 3), entry(2, 3))]),
    ]

    private static let intervals = [
        Self(
            "intervals side by side", after: [table, networks],
            do: [
                add(
                    "networks", Element(address(0)), Element(address(8), isIntervalEnd: true),
                    Element(address(16)), Element(address(32), isIntervalEnd: true))
            ]),
        Self(
            "an interval without end reaches to the last address", after: [table, networks],
            do: [add("networks", Element(RegisterValue([240, 0, 0, 0])))]),
        Self(
            "an interval can't begin in another",
            after: [
                table, networks,
                add("networks", Element(address(0)), Element(address(8), isIntervalEnd: true)),
            ],
            do: [add("networks", Element(address(4)), Element(address(12), isIntervalEnd: true))],
            refused: [0: EEXIST]),
        Self(
            "an interval can't hold another",
            after: [
                table, networks,
                add("networks", Element(address(4)), Element(address(8), isIntervalEnd: true)),
            ],
            do: [add("networks", Element(address(0)), Element(address(12), isIntervalEnd: true))],
            refused: [0: EEXIST]),
        Self(
            "an interval set is emptied and filled in one transaction",
            after: [
                table, networks,
                add("networks", Element(address(4)), Element(address(8), isIntervalEnd: true)),
            ],
            do: [
                .flushSet(id, set: "networks"),
                add("networks", Element(address(0)), Element(address(12), isIntervalEnd: true)),
            ]),
        Self(
            "only an interval set knows ends", after: [table, set],
            do: [add("set", Element(address(1), isIntervalEnd: true))], refused: [0: EINVAL]),
    ]

    private static let verdicts = [
        Self(
            "a verdict can't lead to a chain that isn't there", after: [table, verdictMap],
            do: [add("verdicts", entry(1, .goto("a")))], refused: [0: ENOENT]),
        Self(
            "a verdict can't lead to a base chain", after: [table, verdictMap, chain("base", prerouting)],
            do: [add("verdicts", entry(1, .jump("base")))], refused: [0: EOPNOTSUPP]),
        Self(
            "a verdict can lead to a chain of the same transaction", after: [table, verdictMap],
            do: [chain("a"), add("verdicts", entry(1, .goto("a")), entry(2, .drop))]),
        Self(
            "all that a refused chain was needed for is named",
            after: [table, verdictMap, chain("a", prerouting)],
            do: [chain("a", postrouting), chain("b"), add("verdicts", entry(1, .goto("c")))],
            refused: [0: EOPNOTSUPP, 2: ENOENT]),
    ]

    private static let validation = [
        Self(
            "chains can't jump in a circle",
            after: [table, chain("base", prerouting), chain("a"), chain("b")],
            do: [rule("base", .jump("a")), rule("a", .jump("b")), rule("b", .jump("a"))],
            refused: [2: EMLINK]),
        Self(
            "chains can't jump in a circle through a map",
            after: [
                table, chain("base", prerouting), chain("a"), verdictMap, rule("base", .jump("a")),
                rule("a", .verdictMap(.ipDaddr, name: "verdicts")),
            ], do: [add("verdicts", entry(1, .jump("a")))], refused: [0: EMLINK]),
        Self(
            "chains are 16 jumps deep at most",
            after: [table, chain("base", prerouting)] + (1...16).map { chain("c\($0)") },
            do: [rule("base", .jump("c1"))] + (1...15).map { rule("c\($0)", .jump("c\($0 + 1)")) },
            refused: [15: EMLINK]),
        Self(
            "masquerading is for postrouting",
            after: [table, chain("pre", prerouting), chain("post", postrouting), chain("a")],
            do: [rule("post", .masquerade), rule("a", .masquerade), rule("pre", .jump("a"))],
            refused: [2: EOPNOTSUPP]),
        Self(
            "dnat is not for postrouting", after: [table, chain("post", postrouting)],
            do: [rule("post", .dnat(.ip, address: address(1), port: 80))], refused: [0: EOPNOTSUPP]),
        Self(
            "dnat behind a verdict is not for postrouting",
            after: [
                table, chain("post", postrouting), chain("a"), verdictMap,
                rule("post", .verdictMap(.ipDaddr, name: "verdicts")),
                rule("a", .dnat(.ip, address: address(1), port: 80)),
            ], do: [add("verdicts", entry(1, .goto("a")))], refused: [0: EOPNOTSUPP]),
        Self(
            "dnat needs a chain of type nat",
            after: [table, chain("pre", BaseChain(.filter, hook: .prerouting, priority: 0))],
            do: [rule("pre", .dnat(.ip, address: address(1), port: 80))], refused: [0: EOPNOTSUPP]),
        Self(
            "reject is not for postrouting", after: [table, chain("post", postrouting)],
            do: [rule("post", .rejectPortUnreachable(.ip))], refused: [0: EOPNOTSUPP]),
        Self(
            "what no base chain leads to is not looked at", after: [table, chain("a"), chain("b")],
            do: [rule("a", .masquerade), rule("a", .dnat(.ip, address: address(1), port: 80))]),
        Self(
            "what is wrong in between and right in the end is taken",
            after: [
                table, chain("pre", prerouting), chain("a"), chain("b"), rule("pre", .jump("a")),
                rule("a", .goto("b")),
            ],
            do: [
                rule("b", .goto("a")), .flushChain(id, chain: "a"),
            ]),
    ]

    private static let messages = [
        Self(
            "many elements take several messages", after: [table, map],
            do: [
                .addElements(
                    id, set: "map",
                    (0..<5000).map {
                        Element(
                            RegisterValue(host: $0), data: .value(address(1)),
                            comment: String(repeating: "x", count: Int($0 % 40)))
                    })
            ]),
        Self(
            "many verdicts take several messages", after: [table, verdictMap, chain("chain-of-some-length")],
            do: [
                .addElements(
                    id, set: "verdicts",
                    (0..<3000).map {
                        Element(RegisterValue(host: $0), data: .verdict(.goto("chain-of-some-length")))
                    })
            ]),
        Self(
            "many keys take several messages",
            after: [table, map, .addElements(id, set: "map", (0..<9000).map { many($0) })],
            do: [.deleteElements(id, set: "map", (0..<9000).map { many($0) })]),
    ]

    private static func many(_ number: UInt32) -> Element {
        Element(RegisterValue(host: number), data: .value(address(1)))
    }
}
