import Glibc
import NFTables

extension ContractCase {
    static let all = tables + chains + rules + sets + elements + intervals + verdicts + validation + messages

    static let id = TableID(.ip, "contract")
    static let table = Operation.addTable(id, comment: nil)
    static let prerouting = BaseChain(.nat, hook: .prerouting, priority: -100)
    static let postrouting = BaseChain(.nat, hook: .postrouting, priority: 99)

    static func chain(_ name: String, _ base: BaseChain? = nil) -> Operation {
        .addChain(id, Chain(name, base: base))
    }
    static func rule(_ chain: String, _ statements: Statement...) -> Operation {
        .addRule(id, chain: chain, Rule(statements))
    }
    static func add(_ set: String, _ elements: Element...) -> Operation {
        .addElements(id, set: set, elements)
    }
    static func delete(_ set: String, _ elements: Element...) -> Operation {
        .deleteElements(id, set: set, elements)
    }
    static func address(_ last: UInt8) -> RegisterValue { RegisterValue([10, 0, 0, last]) }
    static func entry(_ key: UInt8, _ data: UInt8) -> Element {
        Element(address(key), data: .value(address(data)))
    }
    static func entry(_ key: UInt8, _ verdict: Verdict) -> Element {
        Element(address(key), data: .verdict(verdict))
    }

    static let set = Operation.addSet(id, NamedSet("set", key: Shape(.ipv4Address)))
    static let map = Operation.addSet(
        id, NamedSet("map", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address))))
    static let verdictMap = Operation.addSet(
        id, NamedSet("verdicts", key: Shape(.ipv4Address), data: .verdict))
    static let clients = Operation.addSet(
        id,
        NamedSet(
            "clients", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address)),
            flags: [.timeout, .dynamic], size: 2))
    static let networks = Operation.addSet(
        id, NamedSet("networks", key: Shape(.ipv4Address), flags: .interval))

    static let tables = [
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

    static let chains = [
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

    static let rules = [
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

    static let sets = [
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
}
