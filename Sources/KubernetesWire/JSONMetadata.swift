import ObjectReading

/// Name and resource version of a JSON object that doesn't decode, as far as they can be told.
///
/// Read without its decoder, which takes an object as a whole or not at all.
enum JSONMetadata {
    /// - Parameter object: may be nested to any depth, or no object.
    static func metadata(of object: UnsafeRawBufferPointer) -> RawMetadata {
        var result = RawMetadata()
        guard let meta = member("metadata", of: object) else { return result }
        result.name = text("name", of: meta)
        result.namespace = text("namespace", of: meta)
        result.resourceVersion = text("resourceVersion", of: meta)
        return result
    }

    static func text(_ name: String, of object: UnsafeRawBufferPointer) -> Field<String> {
        guard let value = member(name, of: object), let text = try? decodeJSON(String.self, value) else {
            return .absent
        }
        return .value(text)
    }

    /// The value of an object's first member of this name; what is behind it may be broken.
    static func member(_ name: String, of object: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var rest = Cursor(object)
        guard rest.pass(UInt8(ascii: "{")) else { return nil }
        while let key = rest.value(), rest.pass(UInt8(ascii: ":")), let value = rest.value() {
            if (try? decodeJSON(String.self, key)) == name { return value }
            guard rest.pass(UInt8(ascii: ",")) else { return nil }
        }
        return nil
    }

    private struct Cursor {
        private let bytes: UnsafeRawBufferPointer
        private var index = 0

        init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

        private mutating func next() -> UInt8? {
            while index < bytes.count {
                switch bytes[index] {
                case 0x20, 0x0a, 0x0d, 0x09: index += 1
                default: return bytes[index]
                }
            }
            return nil
        }

        mutating func pass(_ byte: UInt8) -> Bool {
            guard next() == byte else { return false }
            index += 1
            return true
        }

        /// The value that begins here; nil without one, or when it doesn't end.
        mutating func value() -> UnsafeRawBufferPointer? {
            guard let first = next(), var scanner = JSONValueScanner(first: first),
                case .at(let end) = scanner.scan(bytes, from: index)
            else { return nil }
            defer { index = end }
            return UnsafeRawBufferPointer(rebasing: bytes[index..<end])
        }
    }
}
