/// Splits the protobuf body of a watch into its frames: 4 bytes of length in network byte order, then as
/// many bytes (`k8s.io/apimachinery/pkg/util/framer`).
struct FrameSplitter: Sendable {
    private let kind: String
    /// Bytes consumed since the body's start.
    private var offset = 0
    private var headerCount = 0
    private var length = 0
    private var pending: [UInt8] = []

    init(kind: String) { self.kind = kind }

    var isAtFrameBoundary: Bool { headerCount == 0 }

    /// `each` gets a frame, and where in the body it begins.
    mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ each: (UnsafeRawBufferPointer, Int) throws(WireError) -> Void
    ) throws(WireError) {
        var index = 0
        let before = offset
        while index < bytes.count {
            if headerCount < 4 {
                length = length << 8 | Int(bytes[index])
                headerCount += 1
                index += 1
                offset = before + index
                guard length <= objectSizeLimit else {
                    let message = "a frame of more than the \(objectSizeLimit) bytes allowed"
                    throw WireError(kind: kind, offset: offset - headerCount, message: message)
                }
                if headerCount < 4 || length > 0 { continue }
            }
            let count = min(length - pending.count, bytes.count - index)
            let taken = UnsafeRawBufferPointer(rebasing: bytes[index..<index + count])
            index += count
            offset = before + index
            let start = offset - length
            if count == length {
                try each(taken, start)
            } else {
                pending.append(contentsOf: taken)
                guard pending.count == length else { continue }
                try pending.withBytes { bytes throws(WireError) in try each(bytes, start) }
                pending.clear()
            }
            headerCount = 0
            length = 0
        }
    }
}
