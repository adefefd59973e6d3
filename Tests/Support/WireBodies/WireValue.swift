/// One field of a Kubernetes message: its number in protobuf and its name in JSON.
public struct WireField: Sendable {
    public var number: Int
    public var name: String
    public var value: WireValue

    public init(_ number: Int, _ name: String, _ value: WireValue) {
        self.number = number
        self.name = name
        self.value = value
    }
}

/// A value that is written out in either encoding, so that a test says it once.
///
/// Apart from the product's code on purpose: the two can't share a mistake.
public enum WireValue: Sendable {
    case text(String)
    case number(Int64)
    case flag(Bool)
    case message([WireField])
    case repeated([WireValue])
    /// `map<string, string>`
    case map([(key: String, value: String)])
    /// `meta/v1 Time`: seconds since 1970, and the same as RFC 3339.
    case time(Int64, String)
    /// Bytes of a length-delimited field, and JSON, both as they are.
    case verbatim([UInt8], json: String)
}

extension WireValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral
{
    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int64) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .flag(value) }
    public init(arrayLiteral elements: WireValue...) { self = .repeated(elements) }
}

// MARK: Protobuf

extension [WireField] {
    /// The message's bytes in protobuf.
    public var protobuf: [UInt8] {
        var bytes: [UInt8] = []
        for field in self { field.value.append(number: field.number, to: &bytes) }
        return bytes
    }
}

extension WireValue {
    fileprivate func append(number: Int, to bytes: inout [UInt8]) {
        func delimited(_ content: some Collection<UInt8>) {
            bytes.appendVarint(UInt64(number) << 3 | 2)
            bytes.appendVarint(UInt64(content.count))
            bytes += content
        }
        func varint(_ value: Int64) {
            bytes.appendVarint(UInt64(number) << 3)
            bytes.appendVarint(UInt64(bitPattern: value))
        }
        switch self {
        case .text(let text): delimited(text.utf8)
        case .number(let value): varint(value)
        case .flag(let flag): varint(flag ? 1 : 0)
        case .message(let fields): delimited(fields.protobuf)
        case .repeated(let values): for value in values { value.append(number: number, to: &bytes) }
        case .map(let pairs):
            for (key, value) in pairs {
                delimited([WireField(1, "key", .text(key)), WireField(2, "value", .text(value))].protobuf)
            }
        case .time(let seconds, _):
            delimited([WireField(1, "seconds", .number(seconds)), WireField(2, "nanos", 0)].protobuf)
        case .verbatim(let content, _): delimited(content)
        }
    }
}

extension [UInt8] {
    public mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }
}

// MARK: JSON

extension [WireField] {
    /// The message in JSON, in one line.
    public var json: String {
        "{" + map { "\(quoted($0.name)):\($0.value.json)" }.joined(separator: ",") + "}"
    }
}

extension WireValue {
    public var json: String {
        switch self {
        case .text(let text): quoted(text)
        case .number(let value): String(value)
        case .flag(let flag): String(flag)
        case .message(let fields): fields.json
        case .repeated(let values): "[" + values.map(\.json).joined(separator: ",") + "]"
        case .map(let pairs):
            "{" + pairs.map { "\(quoted($0.key)):\(quoted($0.value))" }.joined(separator: ",") + "}"
        case .time(_, let text): quoted(text)
        case .verbatim(_, let json): json
        }
    }
}

private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += "\\\(scalar)"
        case "\u{0}"..<" ":
            result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
