/// A `labelSelector` parameter: requirements that an object's labels all meet.
///
/// The grammar of `k8s.io/apimachinery/pkg/labels`: `key`, `!key`, `key=value`, `key==value`, `key!=value`,
/// `key in (a,b)`, `key notin (a,b)`, with commas between them.
struct LabelSelector: Sendable, Hashable {
    enum Requirement: Sendable, Hashable {
        case exists(String)
        case isAbsent(String)
        case isOneOf(String, [String])
        /// Met by an object without the label, too.
        case isNoneOf(String, [String])
    }

    var requirements: [Requirement] = []

    /// Everything.
    init() {}

    /// nil when it isn't a selector.
    init?(_ text: String) {
        for part in Self.split(text) {
            guard let requirement = Self.requirement(part) else { return nil }
            requirements.append(requirement)
        }
    }

    func matches(_ labels: [String: String]) -> Bool {
        requirements.allSatisfy { requirement in
            switch requirement {
            case .exists(let key): labels[key] != nil
            case .isAbsent(let key): labels[key] == nil
            case .isOneOf(let key, let values): labels[key].map(values.contains) ?? false
            case .isNoneOf(let key, let values): !(labels[key].map(values.contains) ?? false)
            }
        }
    }

    /// At the commas that aren't in parentheses.
    private static func split(_ text: String) -> [String] {
        var parts = [""]
        var depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts == [""] ? [] : parts
    }

    private static func requirement(_ part: String) -> Requirement? {
        let words = part.split(separator: " ").map(String.init)
        if words.count >= 3, ["in", "notin"].contains(words[1]) {
            let list = words[2...].joined()
            guard list.hasPrefix("("), list.hasSuffix(")") else { return nil }
            let values = list.dropFirst().dropLast().split(separator: ",").map(String.init)
            return words[1] == "in" ? .isOneOf(words[0], values) : .isNoneOf(words[0], values)
        }
        let text = words.joined()
        for (sign, isEqual) in [("!=", false), ("==", true), ("=", true)] {
            guard let place = text.firstRange(of: sign) else { continue }
            let key = String(text[..<place.lowerBound])
            let value = String(text[place.upperBound...])
            guard !key.isEmpty else { return nil }
            return isEqual ? .isOneOf(key, [value]) : .isNoneOf(key, [value])
        }
        if text.hasPrefix("!") { return text.count > 1 ? .isAbsent(String(text.dropFirst())) : nil }
        return text.isEmpty ? nil : .exists(text)
    }
}

/// What of a resource a list or watch asks for.
struct ObjectSelection: Sendable, Hashable {
    var labels = LabelSelector()
    var namespace: String?
    /// `fieldSelector=metadata.name=…`, or the name of an object in a path.
    var name: String?

    /// `fieldSelector=spec.clusterIP!=None`
    var leavesOutHeadless = false

    /// Whether it leaves objects out; then a list doesn't say how many more there are.
    var isFiltered: Bool { !labels.requirements.isEmpty || name != nil || leavesOutHeadless }

    func contains(_ version: StoredVersion) -> Bool {
        (name == nil || name == version.object.key.name)
            && (namespace == nil || namespace == version.object.key.namespace)
            && !(leavesOutHeadless && version.object.isHeadless)
            && labels.matches(version.labels)
    }
}
