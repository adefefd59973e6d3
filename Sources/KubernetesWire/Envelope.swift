/// An object as Kubernetes writes it in protobuf: `k8s\0`, then `runtime.Unknown`.
struct Envelope {
    struct Unreadable: Error {}

    /// `kind`; empty when it isn't said.
    let kind: String
    /// The object's message.
    let object: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) throws(Unreadable) {
        do {
            guard bytes.starts(with: protobufMagic) else { throw Unreadable() }
            let unknown = UnsafeRawBufferPointer(rebasing: bytes[protobufMagic.count...])
            var fields = ProtobufFields(unknown)
            var type: UnsafeRawBufferPointer?
            var raw: UnsafeRawBufferPointer?
            while let tag = try fields.next() {
                switch tag {
                case .bytes(1): type = try fields.lengthDelimited()
                case .bytes(2): raw = try fields.lengthDelimited()
                case .bytes(3):
                    // Kubernetes has had the field since its first days and never encodes anything.
                    guard try fields.lengthDelimited().isEmpty else { throw Unreadable() }
                default: try fields.skip(tag)
                }
            }
            object = raw ?? UnsafeRawBufferPointer(start: nil, count: 0)
            kind = try type.map { try decodeProtobuf(ProtoTypeMeta.self, $0).kind } ?? ""
        } catch {
            throw Unreadable()
        }
    }
}
