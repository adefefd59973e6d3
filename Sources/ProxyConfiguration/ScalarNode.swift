import Documents
import Yams

/// Nodes as Kubernetes reads them: a plain scalar is null, true, a number or text by its looks, a quoted one is text.
extension Node {
    /// The JSON token that a plain scalar stands for; nil for text, and for what is no scalar.
    private var token: String? {
        guard case .scalar(let scalar) = self, scalar.style == .plain,
            scalar.tag.description != Tag.Name.str.rawValue
        else { return nil }
        return PlainScalar.json(scalar.string)
    }

    var isNull: Bool { token == "null" }

    var text: String? { token == nil ? scalar?.string : nil }

    var bool: Bool? { token.flatMap { Bool($0) } }

    /// A whole number that fits, also written as 1e3 or 5.0.
    func integer<Number: FixedWidthInteger>() -> Number? {
        token.flatMap { Number($0) ?? Double($0).flatMap { Number(exactly: $0) } }
    }

    var number: Double? { token.flatMap { Double($0) } }

    var duration: GoDuration? { text.flatMap { GoDuration($0) } }

    /// For a message: what it is, fit to stand in one line.
    var shown: String {
        switch self {
        case .scalar(let scalar): token ?? Text.quoted(scalar.string)
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }
}
