import Documents
import FileWatching
public import Foundation
import Yams

extension KubeProxyConfiguration {
    /// A configuration file as it was read.
    public struct File: Sendable, Equatable {
        /// As it stands in the file; without defaults.
        public var configuration: KubeProxyConfiguration
        /// The bytes it was read from: what `ConfigurationWatcher` compares with.
        public var contents: Data
    }

    /// Larger files are no configuration: a full one has 2 KB.
    public static let sizeLimit = 1 << 20

    /// Reads and checks a configuration file, YAML or JSON.
    ///
    /// Stricter than kube-proxy, which passes over unknown and duplicate fields with a warning.
    ///
    /// - Throws: `ConfigurationError` with all that is wrong.
    public static func read(file path: String) throws(ConfigurationError) -> File {
        func refused(_ message: String) -> ConfigurationError {
            ConfigurationError([ConfigurationProblem(file: path, message: message)])
        }
        let data: Data?
        do throws(FileFailure) {
            data = try RegularFile.contents(path, limit: sizeLimit)
        } catch {
            throw refused("cannot be read: \(error.text)")
        }
        guard let data else { throw refused("larger than the \(sizeLimit >> 20) MiB allowed") }
        guard let text = String(validating: data, as: UTF8.self) else { throw refused("not UTF-8 text") }
        return File(configuration: try parse(text, file: path), contents: data)
    }

    /// Reads and checks the text of a configuration file.
    ///
    /// - Parameter file: its name, for messages.
    /// - Throws: `ConfigurationError` with all that is wrong.
    public static func parse(_ text: String, file: String) throws(ConfigurationError)
        -> KubeProxyConfiguration
    {
        var reader = ConfigurationReader(file: file)
        reader.read(text)
        guard reader.problems.isEmpty else {
            throw ConfigurationError(reader.problems.sorted { ($0.line ?? 0) < ($1.line ?? 0) })
        }
        return reader.configuration
    }
}

/// Reads a configuration from YAML nodes, strictly, and notes all that is wrong.
private struct ConfigurationReader {
    private(set) var configuration = KubeProxyConfiguration()
    private(set) var problems: [ConfigurationProblem] = []
    private let file: String
    private var lines: [FieldPath: Int] = [:]
    private var duplicates: [String: String] = [:]

    init(file: String) { self.file = file }

    mutating func read(_ text: String) {
        do throws(ConfigurationProblem) {
            let document = try ConfigurationDocument(text)
            duplicates = document.duplicates
            guard let root = document.root else {
                note(.root, nil, "empty, not a \(KubeProxyConfiguration.kind)")
                return
            }
            guard case .mapping(let mapping) = root else {
                note(.root, root.mark?.line, "\(root.shown), not a \(KubeProxyConfiguration.kind)")
                return
            }
            read(mapping, at: .root)
            checkType(mapping)
        } catch {
            var problem = error
            problem.file = file
            problems.append(problem)
            return
        }
        // A field that couldn't be read has its default here, so nothing is told of it twice.
        for (path, message) in ConfigurationValidation.findings(in: configuration.withDefaults()) {
            note(path, line(of: path), message)
        }
    }

    /// The path is from the file: only what is fit for a message is told.
    private mutating func note(_ path: FieldPath, _ line: Int?, _ message: String) {
        let field = path.plain.description
        problems.append(
            ConfigurationProblem(
                file: file, line: line, field: field.isEmpty ? nil : field, message: message))
    }

    /// The line of the field, or of the nearest thing around it.
    private func line(of path: FieldPath) -> Int? {
        var steps = path.steps
        while !steps.isEmpty {
            if let line = lines[FieldPath(steps: steps)] { return line }
            steps.removeLast()
        }
        return nil
    }

    private mutating func checkType(_ mapping: Node.Mapping) {
        let wanted = [
            ("apiVersion", KubeProxyConfiguration.apiVersion), ("kind", KubeProxyConfiguration.kind),
        ]
        for (name, value) in wanted {
            let path = FieldPath.root[name]
            if let node = mapping[name] {
                if node.scalar?.string != value {
                    note(path, line(of: path), "\(node.shown) is not \(value)")
                }
            } else {
                note(path, mapping.mark?.line, "missing; it must be \(value)")
            }
        }
    }

    // MARK: Mappings

    private mutating func read(_ mapping: Node.Mapping, at parent: FieldPath) {
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else {
                note(parent, key.mark?.line, "a key that is \(key.shown)")
                continue
            }
            if let name = duplicates[scalar.string] {
                note(parent[name], key.mark?.line, "twice in one mapping")
                continue
            }
            let path = parent[scalar.string]
            lines[path] = key.mark?.line
            if let field = ConfigurationField.byPath[path] {
                read(value, into: field)
            } else if ConfigurationField.children[path] != nil {
                read(section: value, at: path)
            } else if parent != .root || !["apiVersion", "kind"].contains(scalar.string) {
                noteUnknown(path, scalar.string, in: parent, line: key.mark?.line)
            }
        }
    }

    private mutating func read(section: Node, at path: FieldPath) {
        switch section {
        case .mapping(let mapping): read(mapping, at: path)
        case let node where node.isNull: break
        default: note(path, line(of: path), "\(section.shown) is not a mapping")
        }
    }

    private mutating func noteUnknown(_ path: FieldPath, _ name: String, in parent: FieldPath, line: Int?) {
        let near = ConfigurationField.children[parent]?.first { $0.lowercased() == name.lowercased() }
        note(path, line, near.map { "unknown field; is \($0) meant?" } ?? "unknown field")
    }

    // MARK: Values

    private mutating func read(_ node: Node, into field: ConfigurationField) {
        if node.isNull { return }
        switch field.access {
        case .string(let place): set(place, field, node, node.text, "a string")
        case .bool(let place): set(place, field, node, node.bool, "true or false")
        case .optionalBool(let place): set(place, field, node, node.bool.map { .some($0) }, "true or false")
        case .int32(let place): set(place, field, node, node.integer(), "a whole number of 32 bits")
        case .optionalInt32(let place):
            let number: Int32? = node.integer()
            set(place, field, node, number.map { .some($0) }, "a whole number of 32 bits")
        case .verbosity(let place): set(place, field, node, node.integer(), "a whole number from 0")
        case .number(let place): set(place, field, node, node.number, "a number")
        case .duration(let place): set(place, field, node, node.duration, Self.durationKind)
        case .optionalDuration(let place):
            set(place, field, node, node.duration.map { .some($0) }, Self.durationKind)
        case .durationOrNanoseconds(let place):
            let value = node.duration ?? node.integer().map { GoDuration(nanoseconds: $0) }
            set(place, field, node, value, "\(Self.durationKind), or a number of nanoseconds")
        case .quantity(let place):
            let value = node.text ?? (node.number == nil ? nil : node.scalar?.string)
            set(place, field, node, value, "a quantity such as 64Ki")
        case .strings(let place):
            guard let nodes = list(node, field.path) else { return }
            configuration[keyPath: place] = nodes.enumerated().compactMap { index, element in
                let text = element.text
                if text == nil {
                    note(field.path[index], element.mark?.line, "\(element.shown) is not a string")
                }
                return text
            }
        case .switches(let place): configuration[keyPath: place] = switches(node, field.path)
        case .modules(let place):
            guard let nodes = list(node, field.path) else { return }
            configuration[keyPath: place] = nodes.enumerated().compactMap { index, element in
                module(element, field.path[index])
            }
        }
    }

    private static let durationKind = "a duration such as 1h0m0s"

    /// - Parameter value: nil when the node is none of the `kind`.
    private mutating func set<Value>(
        _ place: WritableKeyPath<KubeProxyConfiguration, Value>, _ field: ConfigurationField, _ node: Node,
        _ value: Value?, _ kind: String
    ) {
        if let value {
            configuration[keyPath: place] = value
        } else {
            note(field.path, line(of: field.path), "\(node.shown) is not \(kind)")
        }
    }

    private mutating func list(_ node: Node, _ path: FieldPath) -> [Node]? {
        if case .sequence(let sequence) = node {
            for (index, element) in sequence.enumerated() { lines[path[index]] = element.mark?.line }
            return Array(sequence)
        }
        note(path, line(of: path), "\(node.shown) is not a list")
        return nil
    }

    private mutating func switches(_ node: Node, _ path: FieldPath) -> [String: Bool] {
        guard case .mapping(let mapping) = node else {
            note(path, line(of: path), "\(node.shown) is not a mapping")
            return [:]
        }
        var result: [String: Bool] = [:]
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            if let twice = duplicates[name] {
                note(path[twice], key.mark?.line, "twice in one mapping")
            } else if let flag = value.bool {
                result[name] = flag
            } else {
                note(path[name], key.mark?.line, "\(value.shown) is not true or false")
            }
        }
        return result
    }

    private mutating func module(
        _ node: Node, _ path: FieldPath
    ) -> KubeProxyConfiguration.Logging.ModuleVerbosity? {
        guard case .mapping(let mapping) = node else {
            note(path, node.mark?.line, "\(node.shown) is not a mapping")
            return nil
        }
        var result = KubeProxyConfiguration.Logging.ModuleVerbosity(filePattern: "", verbosity: 0)
        for (key, value) in mapping {
            switch key.scalar?.string {
            case "filePattern":
                guard let text = value.text, !text.isEmpty else {
                    note(path["filePattern"], key.mark?.line, "\(value.shown) is not a pattern")
                    continue
                }
                result.filePattern = text
            case "verbosity":
                guard let number: UInt32 = value.integer() else {
                    note(path["verbosity"], key.mark?.line, "\(value.shown) is not a whole number from 0")
                    continue
                }
                result.verbosity = number
            case let name:
                if let twice = duplicates[name ?? ""] {
                    note(path[twice], key.mark?.line, "twice in one mapping")
                } else {
                    note(path[name ?? ""], key.mark?.line, "unknown field")
                }
            }
        }
        return result
    }
}
