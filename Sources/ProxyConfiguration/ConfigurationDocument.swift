import Documents
import Yams

/// The YAML (or JSON, which is YAML) of a configuration file, with the keys that stand twice in a mapping told apart.
struct ConfigurationDocument {
    /// Nil for a file without content.
    let root: Node?
    /// What the earlier one of two equal keys was renamed to, and from what.
    let duplicates: [String: String]

    /// More duplicates than this are told with the next attempt; fewer of a large text, which is read anew for each.
    private static func duplicateLimit(_ text: String) -> Int {
        min(100, max(1, (1 << 19) / max(1, text.utf8.count)))
    }

    /// - Throws: what makes the text unreadable as a whole.
    init(_ text: String) throws(ConfigurationProblem) {
        do throws(YAMLKeys.Refusal) {
            try YAMLKeys.check(text)
        } catch {
            throw ConfigurationProblem(line: error.line, message: error.message)
        }
        var text = text
        let limit = Self.duplicateLimit(text)
        var duplicates: [String: String] = [:]
        while true {
            do {
                root = try Self.parse(text)
                self.duplicates = duplicates
                return
            } catch let error as YamlError {
                // The parser refuses the whole text for one key that is there twice. Under another name, the rest
                // is read, and the key keeps its line and its place.
                let name = "duplicate-\(duplicates.count + 1)-of-a-key"
                guard case .duplicatedKeysInMapping(let keys, let context) = error, let key = keys.first,
                    duplicates.count < limit,
                    let renamed = Self.renaming(text, at: context.mark, to: name)
                else { throw Self.problem(error, in: text) }
                duplicates[name] = key
                text = renamed
            } catch let problem as ConfigurationProblem {
                throw problem
            } catch {
                throw ConfigurationProblem(message: "not YAML")
            }
        }
    }

    private static func parse(_ text: String) throws -> Node? {
        let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
        var root: Node?
        while let node = try parser.nextRoot() {
            if case .scalar(let scalar) = node, scalar.string.isEmpty, scalar.style == .plain { continue }
            guard root == nil else {
                throw ConfigurationProblem(
                    line: node.mark?.line, message: "a second document; one configuration is read")
            }
            root = node
        }
        return root
    }

    /// The text with the key that begins at `mark` renamed.
    private static func renaming(_ text: String, at mark: Mark, to name: String) -> String? {
        var scalars = text.unicodeScalars
        var start = scalars.startIndex
        for _ in 1..<max(mark.line, 1) {
            guard let end = scalars[start...].firstIndex(of: "\n") else { return nil }
            start = scalars.index(after: end)
        }
        guard
            var index = scalars.index(start, offsetBy: mark.column - 1, limitedBy: scalars.endIndex),
            index < scalars.endIndex
        else { return nil }
        if scalars[index] == "\"" || scalars[index] == "'" { index = scalars.index(after: index) }
        // What is left of the old name stays behind the new one, so that nothing else moves.
        guard let key = scalars[index...].firstIndex(where: { ":\"'\n ".unicodeScalars.contains($0) }) else {
            return nil
        }
        scalars.replaceSubrange(index..<key, with: name.unicodeScalars)
        return String(scalars)
    }

    private static func problem(_ error: YamlError, in text: String) -> ConfigurationProblem {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return ConfigurationProblem(line: mark.line, message: "not YAML: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.prefix(3).map(Text.quoted).joined(separator: ", ")
            return ConfigurationProblem(line: context.mark.line, message: "twice in one mapping: \(names)")
        default:
            return ConfigurationProblem(message: "not YAML")
        }
    }
}
