public import Foundation

/// A message of Kubernetes' API as a tree of fields; protobuf and JSON are two printers of it.
///
/// Field numbers are those of `generated.proto` in k8s.io/api and k8s.io/apimachinery.
public struct APIMessage: Sendable, Equatable {
    public indirect enum Value: Sendable, Equatable {
        case string(String)
        /// int32 and int64.
        case integer(Int64)
        case boolean(Bool)
        case message(APIMessage)
        /// A repeated field; an empty one isn't written at all.
        case list([Value])
        /// `map<string, string>`.
        case map([String: String])
        /// `meta/v1.Time`, seconds since 1970.
        case time(Int64)
        /// `meta/v1.MicroTime`, in microseconds since 1970.
        case microTime(Int64)
        /// `util/intstr.IntOrString` with a number.
        case number(Int32)
        /// `util/intstr.IntOrString` with a name.
        case portName(String)
        /// `meta/v1.FieldsV1`: a JSON text that protobuf carries as bytes.
        case json(String)
        /// Bytes where protobuf has a message, whether or not they are one; a string in JSON.
        case raw([UInt8])
    }

    public struct Field: Sendable, Equatable {
        /// nil: not in protobuf, such as `kind` inside an object.
        var number: Int?
        /// nil: not in JSON, such as empty strings, which Kubernetes writes in protobuf only.
        var name: String?
        var value: Value
    }

    public private(set) var fields: [Field] = []

    public init() {}

    /// - Parameter value: nil leaves the field out.
    public mutating func add(_ number: Int?, _ name: String?, _ value: Value?) {
        guard let value else { return }
        if case .list(let values) = value, values.isEmpty { return }
        if case .map(let entries) = value, entries.isEmpty { return }
        fields.append(Field(number: number, name: name, value: value))
    }

    /// A field that Kubernetes' Go types hold by value: protobuf has it always, JSON only when it isn't empty.
    mutating func addPlain(_ number: Int, _ name: String, _ value: Value) {
        let isEmpty =
            switch value {
            case .string(""), .integer(0), .boolean(false): true
            case .message(let message): message.fields.isEmpty
            default: false
            }
        add(number, isEmpty ? nil : name, value)
    }

    /// Adds to the message at `name`, or makes it as `number`.
    mutating func extend(_ number: Int, _ name: String, with added: [Field]) {
        guard !added.isEmpty else { return }
        let index = fields.firstIndex { $0.number == number }
        guard let index, case .message(var inner) = fields[index].value else {
            var inner = APIMessage()
            inner.fields = added
            return add(number, name, .message(inner))
        }
        inner.fields += added
        fields[index].value = .message(inner)
        // It may have been empty until now.
        fields[index].name = name
    }
}

extension APIMessage: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: Field...) { fields = elements }
}

extension APIMessage.Value {
    static func strings(_ values: [String]) -> Self { .list(values.map { .string($0) }) }
}

// MARK: - Protobuf

extension APIMessage {
    public var protobuf: [UInt8] {
        var writer = ProtobufWriter()
        for field in fields {
            if let number = field.number { Self.write(field.value, as: number, to: &writer) }
        }
        return writer.bytes
    }

    private static func write(_ value: Value, as number: Int, to writer: inout ProtobufWriter) {
        switch value {
        case .string(let text): writer.delimited(number, text.utf8)
        case .integer(let value): writer.integer(number, value)
        case .boolean(let value): writer.integer(number, value ? 1 : 0)
        case .message(let message): writer.delimited(number, message.protobuf)
        case .list(let values): for value in values { write(value, as: number, to: &writer) }
        case .map(let entries):
            for (key, value) in entries.sorted(by: { $0.key < $1.key }) {
                var entry = ProtobufWriter()
                entry.delimited(1, key.utf8)
                entry.delimited(2, value.utf8)
                writer.delimited(number, entry.bytes)
            }
        case .time(let seconds):
            var time = ProtobufWriter()
            time.integer(1, seconds)
            time.integer(2, 0)
            writer.delimited(number, time.bytes)
        case .microTime(let micros):
            var time = ProtobufWriter()
            time.integer(1, micros / 1_000_000)
            time.integer(2, micros % 1_000_000 * 1_000)
            writer.delimited(number, time.bytes)
        case .number(let port):
            var either = ProtobufWriter()
            either.integer(1, 0)
            either.integer(2, Int64(port))
            either.delimited(3, [])
            writer.delimited(number, either.bytes)
        case .portName(let name):
            var either = ProtobufWriter()
            either.integer(1, 1)
            either.integer(2, 0)
            either.delimited(3, name.utf8)
            writer.delimited(number, either.bytes)
        case .json(let text):
            var fields = ProtobufWriter()
            fields.delimited(1, text.utf8)
            writer.delimited(number, fields.bytes)
        case .raw(let bytes): writer.delimited(number, bytes)
        }
    }
}

// MARK: - JSON

extension APIMessage {
    public var json: Data {
        // Only what `jsonObject` makes goes in: strings, numbers, booleans, and arrays and dictionaries of those.
        (try? JSONSerialization.data(
            withJSONObject: jsonObject, options: [.sortedKeys, .withoutEscapingSlashes]))
            ?? Data()
    }

    private var jsonObject: [String: Any] {
        var result: [String: Any] = [:]
        for field in fields {
            if let name = field.name { result[name] = Self.jsonValue(field.value) }
        }
        return result
    }

    private static func jsonValue(_ value: Value) -> Any {
        switch value {
        case .string(let text), .portName(let text): text
        case .integer(let value): value
        case .boolean(let value): value
        case .message(let message): message.jsonObject
        case .list(let values): values.map(jsonValue)
        case .map(let entries): entries
        case .time(let seconds):
            Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
        case .microTime(let micros): microTimeText(micros)
        case .number(let port): Int(port)
        case .json(let text):
            (try? JSONSerialization.jsonObject(with: Data(text.utf8))) ?? NSNull()
        case .raw(let bytes): String(decoding: bytes, as: UTF8.self)
        }
    }

    /// `2006-01-02T15:04:05.000000Z`
    private static func microTimeText(_ micros: Int64) -> String {
        let text = Date(timeIntervalSince1970: TimeInterval(micros / 1_000_000)).formatted(.iso8601)
        let fraction = String(1_000_000 + micros % 1_000_000).dropFirst()
        return "\(text.dropLast()).\(fraction)Z"
    }
}
