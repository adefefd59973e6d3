/// Splits the JSON body of a watch into its events: objects, one after the other.
struct JSONStreamSplitter: Sendable {
    private let kind: String
    private var collector: JSONValueCollector?
    /// Bytes consumed since the body's start.
    private var offset = 0
    private var valueStart = 0

    init(kind: String) { self.kind = kind }

    var isAtFrameBoundary: Bool { collector == nil }

    /// `each` gets an object, whether it is nested deeper than allowed, and where in the body it begins.
    mutating func consume(
        _ bytes: UnsafeRawBufferPointer,
        _ each: (UnsafeRawBufferPointer, Bool, Int) throws(WireError) -> Void
    ) throws(WireError) {
        var index = 0
        let before = offset
        while index < bytes.count {
            offset = before + index
            guard var collector else {
                try begin(bytes[index])
                // The scanner takes the first byte of a value itself.
                if isAtFrameBoundary { index += 1 }
                continue
            }
            // Moved out and back, so that what it holds isn't copied.
            self.collector = nil
            let start = valueStart
            let isComplete = try collector.take(bytes, &index) { value, deepest throws(WireError) in
                try each(value, deepest > depthLimit, start)
            }
            if isComplete { continue }
            guard collector.pendingCount <= objectSizeLimit else {
                let message = "more than the \(objectSizeLimit) bytes allowed in one event"
                throw WireError(kind: kind, offset: start, message: message)
            }
            self.collector = collector
        }
        offset = before + bytes.count
    }

    /// Passes white space over, or starts an object.
    private mutating func begin(_ byte: UInt8) throws(WireError) {
        switch byte {
        case 0x20, 0x0a, 0x0d, 0x09: return
        case UInt8(ascii: "{"):
            collector = JSONValueCollector(first: byte, keeps: true)
            valueStart = offset
        default: throw WireError(kind: kind, offset: offset, message: "not a JSON object")
        }
    }
}
