import Foundation
import NFTables
import SeededRandom
import Testing

/// The independent oracle: nft loads what we print, and lists it again.
@Suite(
    "nft reads what is printed",
    .enabled(if: ThrowawayNamespace.obstacle == nil, "\(ThrowawayNamespace.obstacle ?? "")"))
struct NFTLoadTests {
    /// nft's listing in our notation: one element a line; nft leaves out a match that a later statement implies,
    /// and writes `tcp dport` where it knows the protocol.
    static func normalized(_ listing: String) -> [String] {
        var lines: [String] = []
        var joined = ""
        for line in listing.split(separator: "\n") {
            joined += joined.isEmpty ? String(line) : " " + line.drop { $0 == "\t" || $0 == " " }
            if joined.contains("elements = {"), !line.hasSuffix("}") { continue }
            lines.append(joined)
            joined = ""
        }
        return lines.map { line in
            line.replacing(" packets 0 bytes 0", with: "").replacing(
                #/\b(tcp|udp|sctp) dport/#, with: "th dport"
            )
            .replacing("meta l4proto tcp reject with tcp reset", with: "reject with tcp reset")
        }
    }

    /// Sorted, since nft lists in the order of creation and elements in the order of the hash table.
    static func comparable(_ listing: String) -> [String] {
        normalized(listing).map { line in
            guard let open = line.range(of: "elements = { "), line.hasSuffix(" }") else { return line }
            let elements = line[open.upperBound...].dropLast(2).split(separator: ", ").map {
                $0.trimmingPrefix(while: \.isWhitespace)
            }
            return line[..<open.upperBound] + elements.sorted().joined(separator: ", ") + " }"
        }
    }

    @Test("a service table comes back from the kernel as it was printed", arguments: [Family.ip, .ip6])
    func serviceTable(family: Family) throws {
        let namespace = try ThrowawayNamespace()
        let text = NFTText.text(of: ServiceTable.make(family))
        try namespace.load(text)
        let listing = try namespace.nft("list", "ruleset")
        #expect(Self.comparable(listing) == Self.comparable(text))
    }

    @Test("loading a replacing script twice leaves one table; loading it without adds the rules again")
    func replacing() throws {
        let namespace = try ThrowawayNamespace()
        var table = Table(TableID(.ip, "t"))
        table.add(Chain("c", rules: [Rule([.drop])]))
        for _ in 1...2 { try namespace.load(NFTText.text(of: table, replacing: true)) }
        #expect(try namespace.nft("list", "ruleset").split(separator: "drop").count == 2)
        try namespace.load(NFTText.text(of: table))
        #expect(try namespace.nft("list", "ruleset").split(separator: "drop").count == 3)
        // A whole service table takes the place of another, maps that rules refer to included.
        let services = NFTText.text(of: ServiceTable.make(.ip), replacing: true)
        for _ in 1...2 { try namespace.load(services) }
    }

    @Test("comments of every kind are read back as they were sanitized")
    func comments() throws {
        let namespace = try ThrowawayNamespace()
        let hostile = [
            "a \"quoted\" } ; # $x @y \\", "new\nline", String(repeating: "ü", count: 100), "", "*",
            "\u{7f}\u{1}",
            String(repeating: "a", count: 128), String(repeating: "b", count: 129),
        ]
        for text in hostile {
            var table = Table(TableID(.ip, "t"), comment: text)
            table.add(
                NamedSet("s", key: Shape(.ipv4Address), comment: text),
                [Element(RegisterValue([1, 2, 3, 4]), comment: text)])
            table.add(Chain("c", comment: text, rules: [Rule([.accept], comment: text)]))
            try namespace.load("flush ruleset\n" + NFTText.text(of: table))
            let listing = try namespace.nft("list", "ruleset")
            let expected = "comment \"\(Comment.sanitized(text))\""
            #expect(
                listing.split(separator: expected, omittingEmptySubsequences: false).count == 6, "\(listing)")
        }
    }

    @Test("every feature of the printer passes nft's check", arguments: FeatureTable.all.map(\.id))
    func features(id: TableID) throws {
        let table = try #require(FeatureTable.all.first { $0.id == id })
        let namespace = try ThrowawayNamespace()
        let text = NFTText.text(of: table)
        do {
            try namespace.load(text)
        } catch {
            Issue.record("\(error)\n\(text)")
            return
        }
        let listing = try namespace.nft("list", "ruleset")
        #expect(Self.comparable(listing) == Self.comparable(text))
    }

    @Test("a hundred random tables load and come back")
    func random() throws {
        let namespace = try ThrowawayNamespace()
        let seed = UInt64.random(in: .min ... .max)
        print("random tables: seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for round in 0..<100 {
            let table = RandomTable.make(&generator)
            let text = NFTText.text(of: table)
            do {
                try namespace.load("flush ruleset\n" + text)
            } catch {
                Issue.record("seed \(seed), round \(round): \(error)\n\(text)")
                return
            }
            let listing = try namespace.nft("list", "ruleset")
            #expect(
                Self.comparable(listing).sorted() == Self.comparable(text).sorted(),
                "seed \(seed), round \(round):\n\(text)\n\(listing)")
        }
    }
}
