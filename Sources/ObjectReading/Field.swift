import Documents

/// A field as it was found, before any check.
///
/// Decoding one never fails, so that one field of a wrong type spoils nothing beside it.
package enum Field<Value: Decodable & Sendable>: Sendable {
    case absent
    case null
    case value(Value)
    /// It has another type than asked for; what it is instead, fit for a message: `"eighty"`, `a list`.
    case wrong(String)

    /// The value, nil when there is none or it is of a wrong type.
    package var ifValid: Value? {
        if case .value(let value) = self { value } else { nil }
    }
}

extension Field {
    package var isAbsent: Bool {
        if case .absent = self { true } else { false }
    }
}

extension Field: Equatable where Value: Equatable {}

extension Field: Decodable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
            return
        }
        do {
            self = .value(try container.decode(Value.self))
        } catch {
            self = .wrong(describe(decoder))
        }
    }
}

extension KeyedDecodingContainer {
    /// Chosen by synthesized `init(from:)`s too, whose plain `decode` would fail on a missing key.
    package func decode<V>(_: Field<V>.Type, forKey key: Key) throws -> Field<V> {
        guard contains(key) else { return .absent }
        if try decodeNil(forKey: key) { return .null }
        do {
            return .value(try decode(V.self, forKey: key))
        } catch {
            return .wrong(describe(try superDecoder(forKey: key)))
        }
    }
}

private func describe(_ decoder: any Decoder) -> String {
    if let container = try? decoder.singleValueContainer() {
        if let string = try? container.decode(String.self) { return Text.quoted(string) }
        if let flag = try? container.decode(Bool.self) { return String(flag) }
        if let number = try? container.decode(Int.self) { return String(number) }
        if let number = try? container.decode(Double.self) { return String(number) }
    }
    if (try? decoder.unkeyedContainer()) != nil { return "a list" }
    if (try? decoder.container(keyedBy: AnyKey.self)) != nil { return "a mapping" }
    return "this value"
}

private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
