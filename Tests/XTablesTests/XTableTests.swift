import IPAddressing
import Netlink
import SeededRandom
import TestNetwork
import Testing

@testable import XTables

/// Tables of legacy iptables, as bytes.
@Suite struct XTableTests {
    /// What a rule does.
    enum Target {
        case verdict(Int32)
        case head(String)
        case other(String, Int)
    }

    /// Writes rules as the kernel hands them out, and knows where each begins.
    struct Writer {
        let family: AddressFamily
        var bytes: [UInt8] = []
        var offsets: [UInt32] = []

        init(_ family: AddressFamily) { self.family = family }

        /// - Parameter match: bytes of matches between the rule's beginning and its target.
        mutating func add(_ target: Target, match: Int = 0) {
            let start = bytes.count
            offsets.append(UInt32(start))
            let layout = Layout(family)
            var data: [UInt8]
            var name = ""
            switch target {
            case .verdict(let verdict): data = withUnsafeBytes(of: verdict) { Array($0) } + [0, 0, 0, 0]
            case .head(let chain):
                (data, name) = (Array(chain.utf8), "ERROR")
                data += [UInt8](repeating: 0, count: 32 - data.count)
            case .other(let other, let size): (data, name) = ([UInt8](repeating: 0xaa, count: size), other)
            }
            let targetOffset = layout.size + match
            let size = targetOffset + 32 + data.count
            bytes += [UInt8](repeating: UInt8(offsets.count), count: layout.size)
            bytes += [UInt8](repeating: 0xbb, count: match)
            put(UInt16(targetOffset), at: start + layout.targetOffset)
            put(UInt16(size), at: start + layout.nextOffset)
            let header = bytes.count
            bytes += [UInt8](repeating: 0, count: 32) + data
            put(UInt16(32 + data.count), at: header)
            for (index, byte) in name.utf8.enumerated() { bytes[header + 2 + index] = byte }
        }

        mutating func put(_ value: UInt16, at offset: Int) {
            withUnsafeBytes(of: value) {
                for (index, byte) in $0.enumerated() { bytes[offset + index] = byte }
            }
        }

        /// With built-in chains at PREROUTING, OUTPUT and POSTROUTING, where these rules begin and end them.
        func table(_ entries: [Int], _ underflows: [Int]) throws -> XTable {
            func spread(_ rules: [Int]) -> [UInt32] {
                [offsets[rules[0]], 0, 0, offsets[rules[1]], offsets[rules[2]]]
            }
            return try XTable(
                family, "nat", validHooks: 0b11001, hookEntries: spread(entries),
                underflows: spread(underflows),
                bytes: bytes)
        }
    }

    /// PREROUTING jumps to A and has a rule of its own; OUTPUT jumps to A; A jumps to B; MINE goes on, and ends.
    private func sample(_ family: AddressFamily) throws -> XTable {
        // Rules are as long whichever offset they hold: once to see where they are, and once more.
        var offsets = [UInt32](repeating: 0, count: 16)
        var writer = Writer(family)
        for _ in 0..<2 {
            writer = Writer(family)
            writer.add(.verdict(Int32(offsets[8])), match: 8)  // 0 PREROUTING -> A
            writer.add(.other("MARK", 8))  // 1
            writer.add(.verdict(-2))  // 2 its end: accepted
            writer.add(.verdict(Int32(offsets[8])))  // 3 OUTPUT -> A
            writer.add(.verdict(-1))  // 4 its end: dropped
            writer.add(.verdict(Int32(offsets[6])), match: 16)  // 5 POSTROUTING goes on
            writer.add(.verdict(-2))  // 6 its end
            writer.add(.head("A"))  // 7
            writer.add(.verdict(Int32(offsets[11])))  // 8 A -> B
            writer.add(.verdict(-5))  // 9 its end
            writer.add(.head("B"))  // 10
            writer.add(.other("DNAT", 24))  // 11
            writer.add(.verdict(-5))  // 12
            writer.add(.head("MINE"))  // 13
            writer.add(.verdict(-5))  // 14
            writer.add(.head("ERROR"))  // 15
            offsets = writer.offsets
        }
        return try writer.table([0, 3, 5], [2, 4, 6])
    }

    @Test("chains, and what leads to them, are read", arguments: AddressFamily.allCases)
    func reading(family: AddressFamily) throws {
        let table = try sample(family)
        #expect(table.chains == ["A", "B", "MINE"])
        #expect(
            table.links.map { "\($0.rule) \($0.chain) \($0.target)" } == [
                "0 PREROUTING A", "3 OUTPUT A", "8 A B",
            ])
        #expect(
            table.rules.map(\.chain).prefix(8)
                == [
                    "PREROUTING", "PREROUTING", "PREROUTING", "OUTPUT", "OUTPUT", "POSTROUTING",
                    "POSTROUTING", "A",
                ])
        #expect(table.drops(atTheEndOf: "OUTPUT"))
        #expect(!table.drops(atTheEndOf: "PREROUTING"))
        #expect(!table.drops(atTheEndOf: "FORWARD"))
    }

    @Test("nothing removed is the same table", arguments: AddressFamily.allCases)
    func identity(family: AddressFamily) throws {
        let table = try sample(family)
        let (same, origins) = try table.removing(chains: [], rules: [])
        #expect(same == table)
        #expect(origins == Array(table.rules.indices))
    }

    @Test(
        "what stays leads to where its chain is now, and is else as it was", arguments: AddressFamily.allCases
    )
    func removing(family: AddressFamily) throws {
        let table = try sample(family)
        let (left, origins) = try table.removing(chains: ["A"], rules: [0, 3])
        #expect(left.chains == ["B", "MINE"])
        #expect(left.links.isEmpty)
        #expect(origins == [1, 2, 4, 5, 6, 10, 11, 12, 13, 14, 15])
        // The first rule of each built-in chain that is left, and its end.
        let starts = left.rules.map { UInt32($0.offset) }
        #expect(left.hookEntries == [starts[0], 0, 0, starts[2], starts[3]])
        #expect(left.underflows == [starts[1], 0, 0, starts[2], starts[4]])
        // A rule without a target goes on with the next one.
        #expect(left.rules[3].destination == left.rules[4].offset)
        for (rule, origin) in zip(left.rules, origins) where rule.destination == nil {
            let before = table.rules[origin]
            #expect(
                left.bytes[rule.offset..<rule.offset + rule.size]
                    .elementsEqual(table.bytes[before.offset..<before.offset + before.size]))
        }
        let (withA, _) = try table.removing(chains: ["MINE"], rules: [])
        #expect(withA.links.map(\.target) == ["A", "A", "B"])
    }

    @Test("bytes that are no table are an error")
    func damaged() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("damage seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var refused = 0
        for family in AddressFamily.allCases {
            let table = try sample(family)
            for _ in 0..<5000 {
                var bytes = table.bytes
                for _ in 0..<random.number(1...4) {
                    bytes[random.number(0...bytes.count - 1)] = UInt8.random(in: 0...255, using: &random)
                }
                if random.once(in: 3) { bytes.removeLast(random.number(0...bytes.count)) }
                var entries = table.hookEntries
                if random.once(in: 3) {
                    entries[random.number(0...4)] = UInt32.random(in: 0...4000, using: &random)
                }
                do {
                    let read = try XTable(
                        family, "nat", validHooks: table.validHooks, hookEntries: entries,
                        underflows: table.underflows, bytes: bytes)
                    _ = read.drops(atTheEndOf: "OUTPUT")
                    // Without any chain that users made, and all that leads to one.
                    _ = try read.removing(chains: Set(read.chains), rules: Set(read.links.map(\.rule)))
                } catch {
                    guard case .lost = error else {
                        Issue.record("seed \(seed): \(error)")
                        return
                    }
                    refused += 1
                }
            }
        }
        #expect(refused > 0)
    }
}

/// The same from the kernel, and back.
@Suite(.enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
struct XTablesSocketTests {
    private static let rules = """
        *filter
        :INPUT ACCEPT [0:0]
        :FORWARD DROP [0:0]
        :OUTPUT ACCEPT [0:0]
        :LAST - [0:0]
        :MINE - [0:0]
        -A INPUT -i lo -j MINE
        -A INPUT -p tcp -m multiport --dports 22,80 -m comment --comment "kept as it is"
        -A FORWARD -g LAST
        -A MINE -m limit --limit 5/min -j LAST
        -A MINE -j RETURN
        -A LAST -p udp -m udp --dport 53 -j DROP
        COMMIT

        """

    private func command(_ family: AddressFamily, _ verb: String) -> String {
        "\(family == .ipv4 ? "iptables" : "ip6tables")-legacy-\(verb)"
    }

    private func save(_ namespace: Namespace, _ family: AddressFamily) throws -> [String] {
        try namespace.command(command(family, "save")).split(separator: "\n").filter { !$0.hasPrefix("#") }
            .map {
                String($0.prefix { $0 != "[" })
            }
    }

    @Test("a table is read, and put back without a chain", arguments: AddressFamily.allCases)
    func roundTrip(family: AddressFamily) throws {
        let namespace = try Namespace("xtables")
        #expect(try namespace.run { XTablesSocket.names(family) } == [])
        try namespace.command(command(family, "restore"), input: Self.rules)
        try namespace.run {
            #expect(XTablesSocket.names(family) == ["filter"])
            let socket = try XTablesSocket(family)
            let table = try socket.table("filter")
            #expect(Set(table.chains) == ["LAST", "MINE"])
            #expect(
                Set(table.links.map { "\($0.chain) \($0.target)" })
                    == ["INPUT MINE", "FORWARD LAST", "MINE LAST"])
            #expect(table.drops(atTheEndOf: "FORWARD"))
        }
        let before = try save(namespace, family)
        try namespace.run {
            let socket = try XTablesSocket(family)
            let table = try socket.table("filter")
            let (same, origins) = try table.removing(chains: [], rules: [])
            try socket.replace(table, by: same, origins: origins)
        }
        #expect(try save(namespace, family) == before)
        try namespace.run {
            let socket = try XTablesSocket(family)
            let table = try socket.table("filter")
            let jumps = table.links.filter { $0.target == "MINE" }.map(\.rule)
            let (less, origins) = try table.removing(chains: ["MINE"], rules: Set(jumps))
            try socket.replace(table, by: less, origins: origins)
            // The table that was read isn't the one that is there any more.
            #expect(throws: KernelError.self) { try socket.replace(table, by: less, origins: origins) }
        }
        #expect(try save(namespace, family) == before.filter { !$0.contains("MINE") })
    }
}
