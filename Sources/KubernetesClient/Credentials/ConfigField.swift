import Documents
import Foundation
import Yams

/// A mapping in a configuration file, with the way to it for messages.
///
/// Fields that nobody asks for are left alone, as in client-go: tools keep their own in kubeconfig files.
struct ConfigField {
    private let mapping: Node.Mapping
    let file: String
    /// Empty at the root.
    let path: String

    private init(_ mapping: Node.Mapping, file: String, path: String) {
        self.mapping = mapping
        self.file = file
        self.path = path
    }

    /// The root of a file in YAML or JSON.
    static func root(of text: String, file: String) throws(CredentialError) -> ConfigField {
        do throws(YAMLKeys.Refusal) {
            try YAMLKeys.check(text)
        } catch {
            throw CredentialError(file: file, message: "line \(error.line): \(error.message)")
        }
        let node: Node?
        do {
            node = try Yams.compose(yaml: text, .default, .default, .utf8)
        } catch let error as YamlError {
            throw CredentialError(file: file, message: "not YAML: \(Self.oneLine(error))")
        } catch {
            throw CredentialError(file: file, message: "not YAML")
        }
        guard let node, node.null == nil else {
            throw CredentialError(file: file, message: "the file is empty")
        }
        guard case .mapping(let mapping) = node else {
            throw CredentialError(file: file, message: "not a mapping of fields")
        }
        return ConfigField(mapping, file: file, path: "")
    }

    /// Where and why; never the text itself, which may hold a secret.
    private static func oneLine(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "line \(mark.line): \(problem)"
        case .duplicatedKeysInMapping: "a key stands twice in a mapping"
        default: "it can't be read"
        }
    }

    func error(_ key: String? = nil, _ message: String) -> CredentialError {
        CredentialError(
            file: file, field: key.map(path(to:)) ?? (path.isEmpty ? nil : path), message: message)
    }

    func path(to key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func node(_ key: String) -> Node? {
        guard let node = mapping[key], node.null == nil else { return nil }
        return node
    }

    /// Whether the field is there and not null.
    func has(_ key: String) -> Bool { node(key) != nil }

    /// A text; nil when the field is absent, null or empty.
    func text(_ key: String) throws(CredentialError) -> String? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let scalar) = node else { throw error(key, "not a text") }
        return scalar.string.isEmpty ? nil : scalar.string
    }

    /// A text that must be there.
    func requiredText(_ key: String) throws(CredentialError) -> String {
        guard let text = try text(key) else { throw error(key, "is missing or empty") }
        return text
    }

    func flag(_ key: String) throws(CredentialError) -> Bool {
        guard let node = node(key) else { return false }
        guard let flag = node.bool else { throw error(key, "neither true nor false") }
        return flag
    }

    /// Bytes in base64 (RFC 4648), line breaks allowed.
    func data(_ key: String) throws(CredentialError) -> [UInt8]? {
        guard let text = try text(key) else { return nil }
        guard let data = Data(base64Encoded: text.filter { !$0.isWhitespace }), !data.isEmpty else {
            throw error(key, "not base64")
        }
        return [UInt8](data)
    }

    func field(_ key: String) throws(CredentialError) -> ConfigField? {
        guard let node = node(key) else { return nil }
        guard case .mapping(let mapping) = node else { throw error(key, "not a mapping of fields") }
        return ConfigField(mapping, file: file, path: path(to: key))
    }

    func texts(_ key: String) throws(CredentialError) -> [String] {
        guard let node = node(key) else { return [] }
        guard case .sequence(let sequence) = node else { throw error(key, "not a list") }
        var texts: [String] = []
        for (index, element) in sequence.enumerated() {
            guard case .scalar(let scalar) = element else { throw error("\(key)[\(index)]", "not a text") }
            texts.append(scalar.string)
        }
        return texts
    }

    func fields(_ key: String) throws(CredentialError) -> [ConfigField] {
        guard let node = node(key) else { return [] }
        guard case .sequence(let sequence) = node else { throw error(key, "not a list") }
        var fields: [ConfigField] = []
        for (index, element) in sequence.enumerated() {
            guard case .mapping(let mapping) = element else {
                throw error("\(key)[\(index)]", "not a mapping of fields")
            }
            fields.append(ConfigField(mapping, file: file, path: path(to: "\(key)[\(index)]")))
        }
        return fields
    }

    /// The first element of the list `key` whose `name` is this, and its field `member`.
    func named(_ name: String, in key: String, _ member: String) throws(CredentialError) -> ConfigField? {
        for element in try fields(key) where try element.text("name") == name {
            guard let found = try element.field(member) else {
                throw element.error(member, "is missing or empty")
            }
            return found
        }
        return nil
    }

    /// A field's value as JSON, whatever it is; nil when absent.
    func json(_ key: String) throws(CredentialError) -> JSONValue? {
        guard let node = node(key) else { return nil }
        var nodesLeft = JSONValue.nodeLimit
        guard let value = JSONValue(node, depth: 0, nodesLeft: &nodesLeft) else {
            throw error(key, "can't be written as JSON")
        }
        return value
    }
}

/// A JSON value as it is handed on.
indirect enum JSONValue: Sendable, Hashable, Encodable {
    case null
    case flag(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    /// What a plugin is told of its cluster is small; aliases of aliases could make it gigabytes.
    static let nodeLimit = 10_000

    /// - Returns: nil for what is nested too deep or too large, and for keys that aren't texts.
    init?(_ node: Node, depth: Int, nodesLeft: inout Int) {
        nodesLeft -= 1
        guard depth < 50, nodesLeft >= 0 else { return nil }
        switch node {
        case .scalar(let scalar):
            if scalar.style != .plain {
                self = .text(scalar.string)
            } else if node.null != nil {
                self = .null
            } else if let flag = node.bool {
                self = .flag(flag)
            } else if let integer = node.int {
                self = .integer(integer)
            } else if let number = node.float {
                self = .number(number)
            } else {
                self = .text(scalar.string)
            }
        case .sequence(let sequence):
            var list: [JSONValue] = []
            for element in sequence {
                guard let value = JSONValue(element, depth: depth + 1, nodesLeft: &nodesLeft) else {
                    return nil
                }
                list.append(value)
            }
            self = .list(list)
        case .mapping(let mapping):
            var object: [String: JSONValue] = [:]
            for (key, value) in mapping {
                guard let key = key.scalar?.string,
                    let value = JSONValue(value, depth: depth + 1, nodesLeft: &nodesLeft)
                else {
                    return nil
                }
                object[key] = value
            }
            self = .object(object)
        case .alias: return nil
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .flag(let flag): try container.encode(flag)
        case .integer(let integer): try container.encode(integer)
        case .number(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        case .list(let list): try container.encode(list)
        case .object(let object): try container.encode(object)
        }
    }
}
