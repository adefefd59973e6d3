import Glibc
import NFTables

/// What the kernel says to elements, and to chains that they and rules lead to.
extension ContractCase {
    static let elements = [
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

    static let intervals = [
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

    static let verdicts = [
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

    static let validation = [
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

    static let messages = [
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

    static func many(_ number: UInt32) -> Element {
        Element(RegisterValue(host: number), data: .value(address(1)))
    }
}
