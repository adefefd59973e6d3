import Yams

/// A YAML value to look into and to compare whole, so that a field too many is seen as well as one that is missing.
public indirect enum YAMLValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int)
    case string(String)
    case list([YAMLValue])
    case object([String: YAMLValue])

    public struct NotUnderstood: Error, CustomStringConvertible {
        public let description: String
    }

    /// The documents of a text.
    ///
    /// - Throws: `YamlError`, or `NotUnderstood` for what manifests don't have.
    public static func documents(_ text: String) throws -> [YAMLValue] {
        try Yams.load_all(yaml: text).map { try YAMLValue($0) }.filter { $0 != .null }
    }

    private init(_ loaded: Any) throws {
        switch loaded {
        case let value as Bool: self = .bool(value)
        case let value as Int: self = .int(value)
        case let value as String: self = .string(value)
        case let value as [Any]: self = .list(try value.map { try YAMLValue($0) })
        case let value as [String: Any]: self = .object(try value.mapValues { try YAMLValue($0) })
        case Optional<Any>.none: self = .null
        default:
            guard "\(type(of: loaded))" == "NSNull" else {
                throw NotUnderstood(
                    description: "a \(type(of: loaded)) isn't expected in a manifest: \(loaded)")
            }
            self = .null
        }
    }

    /// Null where there is no such field.
    public subscript(_ path: String...) -> YAMLValue {
        path.reduce(self) { value, field in
            guard case .object(let fields) = value else { return .null }
            return fields[field] ?? .null
        }
    }

    /// The elements of a list; none of anything else.
    public var list: [YAMLValue] {
        guard case .list(let elements) = self else { return [] }
        return elements
    }

    /// The names of an object's fields, in order; none of anything else.
    public var fieldNames: [String] {
        guard case .object(let fields) = self else { return [] }
        return fields.keys.sorted()
    }

    public var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The texts of a list.
    public var texts: [String] { list.compactMap(\.text) }
}

extension YAMLValue: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int) { self = .int(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: YAMLValue...) { self = .list(elements) }
    public init(dictionaryLiteral elements: (String, YAMLValue)...) {
        self = .object(Dictionary(uniqueKeysWithValues: elements))
    }
}
