/// The way from an object's root to one of its fields.
struct FieldPath: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        case key(String)
        case index(Int)
    }

    var steps: [Step] = []

    static let root = FieldPath()
    static let metadata = root["metadata"]
    static let spec = root["spec"]

    subscript(key: String) -> FieldPath { FieldPath(steps: steps + [.key(key)]) }
    subscript(index: Int) -> FieldPath { FieldPath(steps: steps + [.index(index)]) }

    static func + (a: Self, b: Self) -> Self { FieldPath(steps: a.steps + b.steps) }
}

extension FieldPath: CustomStringConvertible {
    /// As in `kubectl explain`, with indices: `spec.ports[1].port`.
    var description: String {
        var text = ""
        for step in steps {
            switch step {
            case .key(let key):
                if !text.isEmpty { text += "." }
                // Label keys have dots and slashes of their own.
                text += key.contains(".") ? "'\(key)'" : key
            case .index(let index):
                text += "[\(index)]"
            }
        }
        return text
    }
}
