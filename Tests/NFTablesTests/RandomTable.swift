import NFTables
import SeededRandom

enum RandomTable {
    /// nft asks /etc/protocols, which may have names for other numbers.
    private static let protocols: [UInt8] = [1, 6, 17, 58, 132, 200]

    /// A table of one to four sets and chains whose rules use them.
    static func make(_ random: inout SeededGenerator) -> Table {
        let family: Family = Bool.random(using: &random) ? .ip : .ip6
        var table = Table(TableID(family, "t\(UInt8.random(in: 0...255, using: &random))"))
        if Bool.random(using: &random) { table.comment = comment(&random) }
        let chains = (1...4).map { "chain-\($0)" }
        for index in 1...Int.random(in: 1...4, using: &random) {
            addSet("set-\(index)", chains: chains, to: &table, &random)
        }
        for name in chains {
            let rules = (0..<Int.random(in: 0...5, using: &random)).map { _ in rule(of: table, &random) }
            table.add(
                Chain(name, comment: Bool.random(using: &random) ? comment(&random) : nil, rules: rules))
        }
        return table
    }

    private static func comment(_ random: inout SeededGenerator) -> String {
        let count = Int.random(in: 1...140, using: &random)
        return String(
            String.UnicodeScalarView(
                (0..<count).map { _ in
                    Unicode.Scalar(UInt8.random(in: 1...126, using: &random))
                }
            ).map(Character.init).filter { $0 != "," })
    }

    private static func bytes(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    private static func address(_ family: Family, _ random: inout SeededGenerator) -> [UInt8] {
        family == .ip6 ? [0xfd] + bytes(15, &random) : bytes(4, &random)
    }

    private static func addSet(
        _ name: String, chains: [String], to table: inout Table, _ random: inout SeededGenerator
    ) {
        let family = table.id.family
        let type: Datatype = family == .ip6 ? .ipv6Address : .ipv4Address
        let choices: [[Datatype]] = [
            [type], [.internetProtocol], [.internetService], [type, .internetService], [type, type],
            [type, .internetProtocol, .internetService], [.mark], [.interfaceName],
        ]
        let types = choices[Int.random(in: 0..<choices.count, using: &random)]
        let isMap = Bool.random(using: &random)
        let isVerdict = Bool.random(using: &random)
        let data: NamedSet.MapData? =
            isMap ? (isVerdict ? .verdict : .value(Shape(type, .internetService))) : nil
        let isInterval = !isMap && types.count == 1 && (types[0] == type || types[0] == .internetService)
        if isInterval {
            let count = types[0].length
            var borders = Set<[UInt8]>()
            while borders.count < 6 { borders.insert(bytes(count, &random)) }
            let sorted = borders.map { RegisterValue($0) }.sorted()
            let ranges = stride(from: 0, to: 6, by: 2).map { (sorted[$0], sorted[$0 + 1]) }
            table.add(
                NamedSet(name, key: Shape(types: types), flags: .interval), Element.intervals(ranges))
            return
        }
        var elements: [RegisterValue: Element] = [:]
        for _ in 0..<Int.random(in: 0...20, using: &random) {
            var key = RegisterValue()
            for type in types {
                let field =
                    switch type {
                    case .ipv4Address, .ipv6Address: address(family, &random)
                    case .interfaceName: Array("eth\(UInt8.random(in: 0...255, using: &random))".utf8)
                    case .internetProtocol: [protocols[Int.random(in: 0..<6, using: &random)]]
                    default: bytes(type.length, &random)
                    }
                for byte in field { key.append(byte) }
                while types.count > 1 ? key.count % 4 != 0 : key.count < type.length { key.append(0) }
            }
            var element = Element(key)
            if isMap {
                var value = RegisterValue(address(family, &random))
                value.appendField(bigEndian: UInt16.random(in: 0...65535, using: &random))
                element.data =
                    isVerdict ? .verdict(.goto(chains[Int.random(in: 2..<4, using: &random)])) : .value(value)
            }
            if Bool.random(using: &random) { element.comment = comment(&random) }
            elements[key] = element
        }
        table.add(NamedSet(name, key: Shape(types: types), data: data), Array(elements.values))
    }

    private static func rule(of table: Table, _ random: inout SeededGenerator) -> Rule {
        let family = table.id.family
        var statements: [Statement] = []
        let address = RegisterValue(address(family, &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: statements.append(.l4proto([.tcp, .udp, .sctp][Int.random(in: 0..<3, using: &random)]))
        case 1: statements.append(.match(.daddr(family), .equal, .value(address)))
        case 2:
            let bits = Int.random(in: 1..<address.count * 8, using: &random)
            let kept = RegisterValue(
                address.bytes.enumerated().map { index, byte in
                    byte & UInt8(truncatingIfNeeded: 0xff00 >> max(0, min(8, bits - index * 8)))
                })
            let comparison: Expression.Comparison = Bool.random(using: &random) ? .equal : .notEqual
            statements.append(.match(.saddr(family), comparison, .prefix(kept, bits: bits)))
        case 3: statements.append(.thDport(UInt16.random(in: 0...65535, using: &random)))
        case 4: statements.append(.ctStatusDNAT)
        default:
            for set in table.sets.values where set.key == Shape(family == .ip6 ? .ipv6Address : .ipv4Address)
            {
                switch set.data {
                case nil: statements.append(.member(.daddr(family), of: set.name))
                case .verdict?: statements.append(.verdictMap(.daddr(family), name: set.name))
                case .value?: break
                }
            }
        }
        if Bool.random(using: &random) { statements.append(.counter) }
        let isTerminal = statements.contains {
            if case .verdictMap = $0 { true } else { false }
        }
        if !isTerminal { statements.append(Bool.random(using: &random) ? .drop : .return) }
        return Rule(
            statements, sets: table.sets, comment: Bool.random(using: &random) ? comment(&random) : nil)
    }
}
