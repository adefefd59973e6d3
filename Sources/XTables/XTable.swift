public import IPAddressing
public import Netlink

/// A table of legacy iptables or ip6tables as the kernel hands it out, in one piece
/// (`linux/netfilter/x_tables.h`, `linux/netfilter_ipv4/ip_tables.h`, `linux/netfilter_ipv6/ip6_tables.h`).
///
/// It is a run of rules, each as long as it says. First come the built-in chains, one behind the other: their first and
/// last rules are known by offset. Then come the chains that users made, each behind a rule with target `ERROR` that holds
/// its name; one more such rule is the end. A rule that leads to a chain holds the offset of the first rule in it.
public struct XTable: Sendable, Equatable {
    /// What of a rule is to be known; the rest is passed on as it is.
    public struct Rule: Sendable, Hashable {
        /// Where it begins, and how long it is.
        let offset: Int
        let size: Int
        /// The chain that it is in, or whose head it is.
        public let chain: String
        /// Holds the name of its chain.
        let isHead: Bool
        /// Where its standard target leads to, an offset; nil for a verdict or another target.
        let destination: Int?
        /// The place of that offset.
        let verdictOffset: Int
    }

    public let family: AddressFamily
    public let name: String
    /// The built-in chains that there are, a bit for each hook.
    let validHooks: UInt32
    /// Where each built-in chain begins.
    let hookEntries: [UInt32]
    /// Where the rule is that says what happens at its end.
    let underflows: [UInt32]
    let bytes: [UInt8]
    public let rules: [Rule]

    static let hooks = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]

    /// Reads what the kernel said. Everything is checked against the bytes that are there.
    ///
    /// - Throws: `KernelError.lost` when they aren't such a table.
    init(
        _ family: AddressFamily, _ name: String, validHooks: UInt32, hookEntries: [UInt32],
        underflows: [UInt32],
        bytes: [UInt8]
    ) throws(KernelError) {
        precondition(hookEntries.count == Self.hooks.count && underflows.count == Self.hooks.count)
        self.family = family
        self.name = name
        self.validHooks = validHooks
        self.hookEntries = hookEntries
        self.underflows = underflows
        self.bytes = bytes
        let reader = RuleReader(layout: Layout(family), bytes: bytes)
        var builtIn: [Int: String] = [:]
        for (hook, chain) in Self.hooks.enumerated() where validHooks & 1 << UInt32(hook) != 0 {
            builtIn[Int(hookEntries[hook])] = chain
        }
        var rules: [Rule] = []
        var (offset, chain) = (0, "")
        while offset < bytes.count {
            guard let raw = reader.rule(at: offset) else {
                throw .lost(
                    "legacy table \(family.tables) \(name): no rule at byte \(offset) of \(bytes.count)")
            }
            if let name = raw.heads { chain = name } else if let name = builtIn[offset] { chain = name }
            rules.append(
                Rule(
                    offset: offset, size: raw.size, chain: chain, isHead: raw.heads != nil,
                    destination: raw.destination, verdictOffset: raw.verdictOffset))
            offset += raw.size
        }
        self.rules = rules
        let starts = Set(rules.map(\.offset))
        let isWhole =
            rules.last?.isHead == true && builtIn.keys.allSatisfy(starts.contains)
            && rules.allSatisfy { $0.destination.map(starts.contains) ?? true }
        guard isWhole else {
            throw .lost("legacy table \(family.tables) \(name): it leads to where no rule is")
        }
    }

    /// The chains that users made.
    public var chains: [String] { rules.dropLast().filter(\.isHead).map(\.chain) }

    /// Of each rule that leads to a chain which a user made: its position among `rules`, its chain, and that one.
    public var links: [(rule: Int, chain: String, target: String)] {
        // Only a head lies directly before the first rule of such a chain, so no rule gets there by going on.
        var names: [Int: String] = [:]
        for (head, first) in zip(rules, rules.dropFirst()) where head.isHead {
            names[first.offset] = head.chain
        }
        return rules.enumerated().compactMap { index, rule in
            rule.destination.flatMap { names[$0] }.map { (index, rule.chain, $0) }
        }
    }

    /// Whether a packet that comes to the end of a built-in chain is dropped.
    public func drops(atTheEndOf chain: String) -> Bool {
        guard let hook = Self.hooks.firstIndex(of: chain), validHooks & 1 << UInt32(hook) != 0,
            let rule = rules.first(where: { $0.offset == underflows[hook] }),
            rule.offset + rule.verdictOffset + 4 <= bytes.count
        else { return false }
        // -NF_DROP - 1
        return bytes.withUnsafeBytes {
            $0.loadUnaligned(fromByteOffset: rule.offset + rule.verdictOffset, as: Int32.self) == -1
        }
    }

    /// The table without some chains and some other rules, and of which rule here each rule there is.
    ///
    /// No rule that stays may lead to a chain that goes.
    public func removing(
        chains: Set<String>, rules removed: Set<Int>
    ) throws(KernelError) -> (table: XTable, origins: [Int]) {
        let last = rules.count - 1
        let origins = rules.indices.filter { index in
            index == last || !(chains.contains(rules[index].chain) || removed.contains(index))
        }
        precondition(
            links.allSatisfy { link in
                !chains.contains(link.target) || chains.contains(link.chain) || removed.contains(link.rule)
            }, "a rule leads to a chain that goes")
        // Where a rule is that stays; for one that goes, where the next one is.
        var moved: [Int: Int] = [:]
        var size = 0
        var staying = Set(origins)
        for (index, rule) in rules.enumerated() {
            moved[rule.offset] = size
            if staying.remove(index) != nil { size += rule.size }
        }
        var result: [UInt8] = []
        result.reserveCapacity(size)
        for index in origins {
            let rule = rules[index]
            let start = result.count
            result += bytes[rule.offset..<rule.offset + rule.size]
            guard let destination = rule.destination.flatMap({ moved[$0] }) else { continue }
            withUnsafeBytes(of: Int32(destination)) { value in
                let place = start + rule.verdictOffset
                for (index, byte) in value.enumerated() { result[place + index] = byte }
            }
        }
        func move(_ offsets: [UInt32]) -> [UInt32] {
            offsets.enumerated().map { hook, offset in
                validHooks & 1 << UInt32(hook) == 0 ? offset : UInt32(moved[Int(offset)] ?? 0)
            }
        }
        let table = try XTable(
            family, name, validHooks: validHooks, hookEntries: move(hookEntries),
            underflows: move(underflows),
            bytes: result)
        return (table, origins)
    }
}

extension AddressFamily {
    /// As the family of a table is written.
    var tables: String { self == .ipv4 ? "ip" : "ip6" }
}

/// Where the parts of a rule are, `struct ipt_entry` and `struct ip6t_entry` of 64-bit machines: what a packet is matched
/// by (84 bytes, or 136), a number, two offsets of 16 bits, a number, and two counters of 64 bits, aligned.
struct Layout {
    let targetOffset: Int
    let nextOffset: Int
    let size: Int

    init(_ family: AddressFamily) {
        let match = family == .ipv4 ? 84 : 136
        targetOffset = match + 4
        nextOffset = match + 6
        size = (match + 12 + 7) & ~7 + 16
    }
}

/// Finds rules in bytes.
private struct RuleReader {
    let layout: Layout
    let bytes: [UInt8]

    /// `struct xt_entry_target`: 16 bits of length, 29 characters of name, a byte of revision; then what the target says.
    private static let (nameOffset, nameLength, targetHeader) = (2, 29, 32)
    /// `XT_FUNCTION_MAXNAMELEN`.
    private static let chainLength = 30

    struct Raw {
        let size: Int
        let heads: String?
        let destination: Int?
        /// From the rule's beginning.
        let verdictOffset: Int
    }

    func rule(at offset: Int) -> Raw? {
        guard let target = number(offset + layout.targetOffset),
            let size = number(offset + layout.nextOffset),
            target >= layout.size, size % 8 == 0, target + Self.targetHeader <= size,
            offset + size <= bytes.count,
            let targetSize = number(offset + target), targetSize >= Self.targetHeader,
            target + targetSize <= size
        else { return nil }
        let data = target + Self.targetHeader
        let room = targetSize - Self.targetHeader
        switch text(offset + target + Self.nameOffset, Self.nameLength) {
        case "":
            guard room >= 4 else { return nil }
            let verdict = bytes.withUnsafeBytes {
                $0.loadUnaligned(fromByteOffset: offset + data, as: Int32.self)
            }
            return Raw(
                size: size, heads: nil, destination: verdict < 0 ? nil : Int(verdict), verdictOffset: data)
        case "ERROR":
            guard room >= Self.chainLength else { return nil }
            return Raw(
                size: size, heads: text(offset + data, Self.chainLength), destination: nil,
                verdictOffset: data)
        default:
            return Raw(size: size, heads: nil, destination: nil, verdictOffset: data)
        }
    }

    /// 16 bits in the machine's byte order; nil beyond the end.
    private func number(_ offset: Int) -> Int? {
        guard offset >= 0, offset + 2 <= bytes.count else { return nil }
        return bytes.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: offset, as: UInt16.self)) }
    }

    /// Up to the first zero.
    private func text(_ offset: Int, _ length: Int) -> String {
        String(decoding: bytes[offset..<offset + length].prefix { $0 != 0 }, as: UTF8.self)
    }
}
