/// The fields of one protobuf message, read where they lie (protobuf's wire format).
///
/// For what has to be fast or can't wait for the message's end; swift-protobuf reads the rest.
struct ProtobufFields {
    struct Malformed: Error {}

    /// Field number and wire type, as they are on the wire.
    struct Tag: Equatable {
        enum WireType: UInt8 {
            case varint = 0
            case fixed64 = 1
            case lengthDelimited = 2
            case fixed32 = 5
        }

        let number: UInt32
        let type: WireType

        init(_ number: UInt32, _ type: WireType) {
            self.number = number
            self.type = type
        }

        /// Nil for field 0, and for wire types that are unknown or, like groups, in no Kubernetes type.
        init?(_ key: UInt64) {
            guard let key = UInt32(exactly: key), key >> 3 != 0,
                let type = WireType(rawValue: UInt8(key & 7))
            else { return nil }
            self.init(key >> 3, type)
        }

        static func bytes(_ number: UInt32) -> Tag { Tag(number, .lengthDelimited) }
        static func varint(_ number: UInt32) -> Tag { Tag(number, .varint) }
    }

    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The next field's tag; its value has to be read or skipped before the next one. Nil at the end.
    mutating func next() throws(Malformed) -> Tag? {
        if offset == bytes.count { return nil }
        guard let tag = Tag(try varint()) else { throw Malformed() }
        return tag
    }

    mutating func varint() throws(Malformed) -> UInt64 {
        guard offset < bytes.count else { throw Malformed() }
        let first = bytes[offset]
        offset += 1
        if first < 0x80 { return UInt64(first) }
        var value = UInt64(first & 0x7f)
        var shift: UInt64 = 7
        while offset < bytes.count, shift < 64 {
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw Malformed()
    }

    /// The value of a length-delimited field.
    mutating func lengthDelimited() throws(Malformed) -> UnsafeRawBufferPointer {
        let length = try varint()
        guard length <= UInt64(bytes.count - offset) else { throw Malformed() }
        let end = offset + Int(length)
        defer { offset = end }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
    }

    mutating func skip(_ tag: Tag) throws(Malformed) {
        switch tag.type {
        case .varint: _ = try varint()
        case .fixed64: try skip(bytes: 8)
        case .fixed32: try skip(bytes: 4)
        case .lengthDelimited: _ = try lengthDelimited()
        }
    }

    private mutating func skip(bytes count: Int) throws(Malformed) {
        guard bytes.count - offset >= count else { throw Malformed() }
        offset += count
    }

    /// The last length-delimited field of this number; nil when there is none.
    static func last(
        _ number: UInt32, in message: UnsafeRawBufferPointer
    ) throws(Malformed) -> UnsafeRawBufferPointer? {
        var fields = Self(message)
        var found: UnsafeRawBufferPointer?
        while let tag = try fields.next() {
            if tag == .bytes(number) { found = try fields.lengthDelimited() } else { try fields.skip(tag) }
        }
        return found
    }
}
