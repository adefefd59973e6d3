/// Bytes of protobuf's wire format: tags, varints and length-delimited fields, as much as Kubernetes' messages use.
///
/// Its own, and not the product's: a server that shared the decoder's tables would share their mistakes.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// An int32, int64 or bool field. Negative numbers take ten bytes, of int32 as well.
    mutating func integer(_ field: Int, _ value: Int64) {
        varint(UInt64(field) << 3)
        varint(UInt64(bitPattern: value))
    }

    /// A string, bytes or message field.
    mutating func delimited(_ field: Int, _ content: some Collection<UInt8>) {
        varint(UInt64(field) << 3 | 2)
        varint(UInt64(content.count))
        bytes += content
    }
}
