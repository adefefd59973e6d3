import Foundation

/// What the checks of a node came to.
public struct NodeReport: Sendable, Equatable {
    public let checks: [Check]

    public init(_ checks: [Check]) { self.checks = checks }

    /// Judges what was found, in the order in which it is told: the kernel, connection tracking, the network, others.
    public init(_ facts: NodeFacts) {
        self.init(
            facts.kernelChecks + facts.trials.checks(facts.rights, isReachable: facts.isReachable)
                + facts.conntrack.checks + facts.network.checks + facts.ruleChecks)
    }

    /// Whether Sluice can work here.
    public var isReady: Bool { !checks.contains { $0.state == .failure } }

    // MARK: For programs

    private struct Document: Encodable {
        struct Entry: Encodable {
            let check: String
            let state: String
            let found: String
            let advice: String?
        }

        let ready: Bool
        let checks: [Entry]
    }

    /// One object: `ready`, and `checks` in order, each with `check`, `state`, `found`, and `advice` where there is any.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let entries = checks.map {
            Document.Entry(check: $0.name, state: $0.state.rawValue, found: $0.found, advice: $0.advice)
        }
        return String(
            decoding: try encoder.encode(Document(ready: isReady, checks: entries)), as: UTF8.self)
    }

    // MARK: For people

    /// A line stays within so many characters where its words allow.
    private static let width = 110

    /// A table, what is to be done below what was found, and a last line that sums it up.
    public var text: String {
        let names = (checks.map(\.name.count).max() ?? 0) + 2
        let states = (Check.State.allCases.map(\.rawValue.count).max() ?? 0) + 2
        let indent = String(repeating: " ", count: names + states)
        var lines: [String] = []
        for check in checks {
            let head =
                check.name.padding(toLength: names, withPad: " ", startingAt: 0)
                + check.state.rawValue.padding(toLength: states, withPad: " ", startingAt: 0)
            for (index, line) in Self.wrapped(check.found, to: Self.width - indent.count).enumerated() {
                lines.append((index == 0 ? head : indent) + line)
            }
            guard let advice = check.advice else { continue }
            for (index, line) in Self.wrapped(advice, to: Self.width - indent.count - 2).enumerated() {
                lines.append(indent + (index == 0 ? "> " : "  ") + line)
            }
        }
        return (lines + ["", summary]).map { $0 + "\n" }.joined()
    }

    private var summary: String {
        let counts: [String] = [Check.State.failure, .warning, .note].compactMap { state in
            let count = checks.count { $0.state == state }
            return count == 0 ? nil : "\(count) \(state.rawValue)\(count == 1 ? "" : "s")"
        }
        return (isReady ? "ready" : "not ready")
            + (counts.isEmpty ? "" : ": \(counts.joined(separator: ", "))")
    }

    /// Breaks between words; a word that is longer than a line has one to itself.
    private static func wrapped(_ text: String, to width: Int) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ") {
            let last = lines[lines.count - 1]
            if last.isEmpty {
                lines[lines.count - 1] = String(word)
            } else if last.count + 1 + word.count <= width {
                lines[lines.count - 1] += " \(word)"
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}
