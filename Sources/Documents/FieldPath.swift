/// The way from an object's root to one of its fields.
package struct FieldPath: Sendable, Hashable {
    package enum Step: Sendable, Hashable {
        case key(String)
        case index(Int)
    }

    package var steps: [Step] = []

    package init(steps: [Step] = []) { self.steps = steps }

    package static let root = FieldPath()
    package static let metadata = root["metadata"]
    package static let spec = root["spec"]

    package subscript(key: String) -> FieldPath { FieldPath(steps: steps + [.key(key)]) }
    package subscript(index: Int) -> FieldPath { FieldPath(steps: steps + [.index(index)]) }

    package static func + (a: Self, b: Self) -> Self { FieldPath(steps: a.steps + b.steps) }
}

extension FieldPath {
    /// The same with keys that are fit for a one-line message.
    package var plain: FieldPath {
        FieldPath(
            steps: steps.map { step in
                guard case .key(let key) = step, !Text.isPlain(key) else { return step }
                return .key(Text.quoted(key))
            })
    }
}

extension FieldPath: CustomStringConvertible {
    /// As in `kubectl explain`, with indices: `spec.ports[1].port`.
    package var description: String {
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
