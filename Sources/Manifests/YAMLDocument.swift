import Documents
import Yams

/// One document of a YAML stream: its JSON form, and the lines its fields stand on.
///
/// Converting to JSON first is how Kubernetes' own tools read YAML; so the two formats share their
/// types, their defaults and their checks.
struct YAMLDocument {
    /// What makes a document unusable as a whole, though it is YAML.
    struct Refusal: Error {
        var line: Int?
        var message: String
    }

    let root: Node

    /// True for a document that holds nothing but comments.
    var isEmpty: Bool {
        guard case .scalar(let scalar) = root else { return false }
        return scalar.string.isEmpty && scalar.style == .plain
    }

    /// The line of the field at `path`, counted from 1; of its nearest parent when it isn't there.
    func line(of path: FieldPath) -> Int? {
        var node = root
        var line = root.mark?.line
        for step in path.steps {
            switch (step, node) {
            case (.key(let key), .mapping(let mapping)):
                guard let pair = Self.pair(key, in: mapping, depth: 0) else { return line }
                node = pair.value
                line = pair.key.mark?.line
            case (.index(let index), .sequence(let sequence)):
                guard sequence.indices.contains(index) else { return line }
                node = sequence[index]
                line = node.mark?.line
            default:
                return line
            }
        }
        return line
    }

    private static func pair(
        _ key: String, in mapping: Node.Mapping, depth: Int
    ) -> (key: Node, value: Node)? {
        if let own = mapping.first(where: { $0.key.scalar?.string == key }) { return own }
        guard depth < JSONWriter.depthLimit else { return nil }
        for pair in mapping where pair.key.isMergeKey {
            for merged in pair.value.mergedMappings {
                if let found = self.pair(key, in: merged, depth: depth + 1) { return found }
            }
        }
        return nil
    }

    /// The document as JSON, of no more than `limit` nodes, and about 16 bytes of text for each.
    ///
    /// The limit is what stops aliases of aliases: ten lines of them can stand for gigabytes.
    func json(nodeLimit: Int) throws(Refusal) -> [UInt8] {
        var writer = JSONWriter(nodesLeft: nodeLimit)
        try writer.write(root, depth: 0)
        return writer.bytes
    }
}

extension Node {
    fileprivate var isMergeKey: Bool {
        guard case .scalar(let scalar) = self else { return false }
        return scalar.string == "<<" && scalar.style == .plain
    }

    /// The mappings that a merge key brings in: one, or a list of them.
    fileprivate var mergedMappings: [Node.Mapping] {
        switch self {
        case .mapping(let mapping): [mapping]
        case .sequence(let sequence): sequence.compactMap(\.mapping)
        default: []
        }
    }
}

private struct JSONWriter {
    /// Kubernetes objects are about 15 deep; beyond this the recursion here is at risk.
    static let depthLimit = 100

    var bytes: [UInt8] = []
    var nodesLeft: Int

    init(nodesLeft: Int) { self.nodesLeft = nodesLeft }

    mutating func write(_ node: Node, depth: Int) throws(YAMLDocument.Refusal) {
        nodesLeft -= 1
        guard depth < Self.depthLimit else {
            throw refusal(node, "nested deeper than \(Self.depthLimit) levels")
        }
        switch node {
        case .scalar(let scalar):
            write(scalar)
        case .sequence(let sequence):
            bytes.append(UInt8(ascii: "["))
            var isFirst = true
            for element in sequence {
                if !isFirst { bytes.append(UInt8(ascii: ",")) }
                isFirst = false
                try write(element, depth: depth + 1)
            }
            bytes.append(UInt8(ascii: "]"))
        case .mapping(let mapping):
            bytes.append(UInt8(ascii: "{"))
            var keys: Set<String> = []
            try write(mapping, keys: &keys, depth: depth)
            bytes.append(UInt8(ascii: "}"))
        case .alias:
            throw refusal(node, "an alias to nothing")
        }
        guard nodesLeft > 0 else {
            throw refusal(node, "aliases make the document too large")
        }
    }

    /// The pairs of a mapping, then those that merge keys add: what stands in it itself wins.
    private mutating func write(
        _ mapping: Node.Mapping, keys: inout Set<String>, depth: Int
    ) throws(YAMLDocument.Refusal) {
        nodesLeft -= 1
        guard depth < Self.depthLimit, nodesLeft > 0 else {
            throw YAMLDocument.Refusal(
                line: mapping.mark?.line, message: "aliases make the document too large")
        }
        for (key, value) in mapping where !key.isMergeKey {
            guard case .scalar(let scalar) = key else {
                throw refusal(key, "a key that is a list or a mapping")
            }
            guard keys.insert(scalar.string).inserted else { continue }
            if keys.count > 1 { bytes.append(UInt8(ascii: ",")) }
            write(string: scalar.string)
            bytes.append(UInt8(ascii: ":"))
            try write(value, depth: depth + 1)
        }
        for (key, value) in mapping where key.isMergeKey {
            for merged in value.mergedMappings { try write(merged, keys: &keys, depth: depth + 1) }
        }
    }

    private func refusal(_ node: Node, _ what: String) -> YAMLDocument.Refusal {
        YAMLDocument.Refusal(line: node.mark?.line, message: what)
    }

    private mutating func write(_ scalar: Node.Scalar) {
        let tag = scalar.tag.description
        // A plain scalar without tag (or with a core one) is resolved; all others are strings.
        let isPlain = scalar.style == .plain && (tag.isEmpty || Self.resolvedTags.contains(tag))
        if isPlain, let token = PlainScalar.json(scalar.string) {
            bytes += token.utf8
        } else {
            write(string: scalar.string)
        }
    }

    private static let resolvedTags: Set<String> = [
        Tag.Name.int.rawValue, Tag.Name.bool.rawValue, Tag.Name.null.rawValue, Tag.Name.float.rawValue,
    ]

    private mutating func write(string: String) {
        // A long text with many aliases costs as much as many nodes. A text without aliases stays below its own bytes.
        nodesLeft -= string.utf8.count / 16
        let hex = Array("0123456789abcdef".utf8)
        bytes.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0..<0x20:
                bytes += [UInt8(ascii: "\\"), UInt8(ascii: "u"), UInt8(ascii: "0"), UInt8(ascii: "0")]
                bytes.append(hex[Int(byte >> 4)])
                bytes.append(hex[Int(byte & 15)])
            default:
                bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
