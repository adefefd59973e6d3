import Documents
import Foundation
import Yams

extension KubeProxyConfiguration {
    /// The configuration as a file that reads back as the same value: all fields, sorted, as Kubernetes writes them.
    public func yaml() -> String {
        let text = try? Yams.serialize(node: tree.node, width: -1, allowUnicode: true, sortKeys: true)
        // A tree of strings, numbers and mappings is always YAML.
        return text ?? json()
    }

    /// The same as JSON on one line.
    public func json() -> String { tree.json }

    /// What `/configz` answers: the effective configuration under the name kube-proxy gives it.
    public func configz() -> String {
        ConfigurationTree.mapping([Self.apiVersion.split(separator: "/").first.map(String.init) ?? "": tree])
            .json
    }

    private var tree: ConfigurationTree {
        var root = ConfigurationTree.mapping([:])
        root.set(["apiVersion"], .string(Self.apiVersion))
        root.set(["kind"], .string(Self.kind))
        for field in ConfigurationField.all {
            let value = value(of: field)
            if field.isOmittedWhenEmpty, value.isEmpty { continue }
            let names = field.path.steps.compactMap { step in
                if case .key(let name) = step { name } else { nil }
            }
            root.set(names[...], value)
        }
        return root
    }

    private func value(of field: ConfigurationField) -> ConfigurationTree {
        switch field.access {
        case .string(let place): .string(self[keyPath: place])
        case .quantity(let place): .string(self[keyPath: place])
        case .bool(let place): .bool(self[keyPath: place])
        case .optionalBool(let place): self[keyPath: place].map { .bool($0) } ?? .null
        case .int32(let place): .integer(Int(self[keyPath: place]))
        case .optionalInt32(let place): self[keyPath: place].map { .integer(Int($0)) } ?? .null
        case .verbosity(let place): .integer(Int(self[keyPath: place]))
        case .number(let place): .number(self[keyPath: place])
        case .duration(let place), .durationOrNanoseconds(let place):
            .string(self[keyPath: place].description)
        case .optionalDuration(let place): self[keyPath: place].map { .string($0.description) } ?? .null
        case .strings(let place):
            self[keyPath: place].isEmpty ? .null : .list(self[keyPath: place].map { .string($0) })
        case .switches(let place): .mapping(self[keyPath: place].mapValues { .bool($0) })
        case .modules(let place):
            .list(
                self[keyPath: place].map {
                    .mapping([
                        "filePattern": .string($0.filePattern), "verbosity": .integer(Int($0.verbosity)),
                    ])
                })
        }
    }
}

/// JSON's values.
private indirect enum ConfigurationTree {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case list([ConfigurationTree])
    case mapping([String: ConfigurationTree])

    var isEmpty: Bool {
        switch self {
        case .null, .bool(false), .integer(0), .string(""): true
        case .list(let elements): elements.isEmpty
        case .mapping(let pairs): pairs.isEmpty
        default: false
        }
    }

    mutating func set(_ names: ArraySlice<String>, _ value: ConfigurationTree) {
        guard let name = names.first else {
            self = value
            return
        }
        guard case .mapping(var pairs) = self else { return }
        var child = pairs[name] ?? .mapping([:])
        child.set(names.dropFirst(), value)
        pairs[name] = child
        self = .mapping(pairs)
    }

    var node: Node {
        switch self {
        case .null: Node("null", Tag(.null))
        case .bool(let value): Node(String(value), Tag(.bool))
        case .integer(let value): Node(String(value), Tag(.int))
        case .number(let value): Node(Self.text(value), Tag(.float))
        case .string(let text):
            // What would be read as a number or as true must be quoted; the emitter sees to the rest.
            .scalar(
                Node.Scalar(text, Tag(.str), PlainScalar.json(text) == nil ? .plain : .doubleQuoted))
        case .list(let elements): .sequence(Node.Sequence(elements.map(\.node)))
        case .mapping(let pairs):
            .mapping(
                Node.Mapping(
                    pairs.map { (.scalar(Node.Scalar($0.key, Tag(.str))), $0.value.node) }))
        }
    }

    var json: String {
        switch self {
        case .null: "null"
        case .bool(let value): String(value)
        case .integer(let value): String(value)
        case .number(let value): Self.text(value)
        case .string(let text): Self.quoted(text)
        case .list(let elements): "[\(elements.map(\.json).joined(separator: ","))]"
        case .mapping(let pairs):
            "{"
                + pairs.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)):\($0.value.json)" }
                .joined(separator: ",") + "}"
        }
    }

    private static func text(_ value: Double) -> String {
        Int(exactly: value).map(String.init) ?? String(value)
    }

    private static func quoted(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        return (try? encoder.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
    }
}
