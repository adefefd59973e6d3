/// Splits the protobuf body of a list into its parts while it arrives.
///
/// The body is `k8s\0` and a `runtime.Unknown`, whose `raw` is the list: `metadata` and `items`. Held
/// is one part at most, and only when it doesn't lie whole in the chunk at hand.
struct ProtobufListSplitter: Sendable {
    enum Part: Sendable {
        /// `runtime.TypeMeta` of the list.
        case typeMeta
        case contentEncoding
        /// `meta/v1 ListMeta`
        case metadata
        case item
    }

    private enum State {
        case magic
        case tag
        /// The value of a field that is passed over.
        case varint
        case length(field: UInt32)
        case skipping(left: Int)
        case collecting(Part, length: Int)
    }

    private let kind: String
    private var state = State.magic
    /// Bytes consumed since the body's start.
    private var offset = 0
    /// Where `raw` ends, while inside of it.
    private var listEnd: Int?
    private var hasList = false
    private var number = PartialVarint()
    private var pending: [UInt8] = []

    init(kind: String) { self.kind = kind }

    /// `each` gets a part, its bytes, and where in the body they begin.
    mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ each: (Part, UnsafeRawBufferPointer, Int) throws(WireError) -> Void
    ) throws(WireError) {
        var bytes = bytes
        while !bytes.isEmpty {
            if case .tag = state, number.isEmpty, offset == listEnd { listEnd = nil }
            switch state {
            case .magic:
                guard bytes[0] == protobufMagic[offset] else {
                    throw error("doesn't begin with k8s\\0, as a protobuf body does")
                }
                advance(1, &bytes)
                if offset == protobufMagic.count { state = .tag }
            case .tag:
                guard let key = try takeVarint(&bytes) else { continue }
                guard let tag = ProtobufFields.Tag(key) else { throw error("not a protobuf field") }
                try begin(tag)
            case .varint:
                if try takeVarint(&bytes) != nil { state = .tag }
            case .length(let field):
                guard let length = try takeVarint(&bytes) else { continue }
                try begin(field, length: length, each)
            case .skipping(let left):
                let count = min(left, bytes.count)
                advance(count, &bytes)
                state = count == left ? .tag : .skipping(left: left - count)
            case .collecting(let part, let length):
                try collect(part, length: length, &bytes, each)
            }
        }
    }

    func finish() throws(WireError) {
        guard case .tag = state, number.isEmpty, listEnd == nil || listEnd == offset else {
            throw error("the body ends too early")
        }
        guard hasList else { throw error("a body without a list") }
    }

    private mutating func advance(_ count: Int, _ bytes: inout UnsafeRawBufferPointer) {
        bytes = UnsafeRawBufferPointer(rebasing: bytes[count...])
        offset += count
    }

    private mutating func takeVarint(_ bytes: inout UnsafeRawBufferPointer) throws(WireError) -> UInt64? {
        guard offset != listEnd else { throw error("a field goes beyond the list's end") }
        let byte = bytes[0]
        advance(1, &bytes)
        switch number.take(byte) {
        case .more: return nil
        case .value(let value): return value
        case .tooLong: throw error("a number of more than 64 bits")
        }
    }

    private mutating func begin(_ tag: ProtobufFields.Tag) throws(WireError) {
        switch tag.type {
        case .varint: state = .varint
        case .fixed64: try skip(8)
        case .fixed32: try skip(4)
        case .lengthDelimited: state = .length(field: tag.number)
        }
    }

    private mutating func skip(_ count: Int) throws(WireError) {
        try checkEnd(count)
        state = count == 0 ? .tag : .skipping(left: count)
    }

    private func checkEnd(_ length: Int) throws(WireError) {
        guard let listEnd else { return }
        guard length <= listEnd - offset else { throw error("a field goes beyond the list's end") }
    }

    private mutating func begin(
        _ field: UInt32, length: UInt64, _ each: (Part, UnsafeRawBufferPointer, Int) throws(WireError) -> Void
    ) throws(WireError) {
        // The body's length is known to nobody, but no offset in it is beyond this.
        guard length <= UInt64(Int32.max) else { throw error("a field of \(length) bytes") }
        let length = Int(length)
        try checkEnd(length)
        let part: Part
        switch (listEnd == nil, field) {
        case (true, 1): part = .typeMeta
        case (true, 2):
            guard !hasList else { throw error("a second list") }
            hasList = true
            listEnd = offset + length
            state = .tag
            return
        case (true, 3): part = .contentEncoding
        case (false, 1): part = .metadata
        case (false, 2): part = .item
        default:
            try skip(length)
            return
        }
        guard length <= objectSizeLimit else {
            throw error("\(length) bytes in one object, more than the \(objectSizeLimit) allowed")
        }
        if length == 0 {
            state = .tag
            try each(part, UnsafeRawBufferPointer(start: nil, count: 0), offset)
        } else {
            state = .collecting(part, length: length)
        }
    }

    private mutating func collect(
        _ part: Part, length: Int, _ bytes: inout UnsafeRawBufferPointer,
        _ each: (Part, UnsafeRawBufferPointer, Int) throws(WireError) -> Void
    ) throws(WireError) {
        let count = min(length - pending.count, bytes.count)
        let taken = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        advance(count, &bytes)
        if count == length {
            state = .tag
            try each(part, taken, offset - length)
            return
        }
        pending.append(contentsOf: taken)
        guard pending.count == length else { return }
        state = .tag
        let start = offset - length
        try pending.withBytes { bytes throws(WireError) in try each(part, bytes, start) }
        pending.clear()
    }

    private func error(_ message: String) -> WireError {
        WireError(kind: kind, offset: offset, message: message)
    }
}

/// A varint of which not all bytes are there yet.
private struct PartialVarint: Sendable {
    enum Progress {
        case more
        case value(UInt64)
        case tooLong
    }

    private var value: UInt64 = 0
    private var shift: UInt64 = 0

    var isEmpty: Bool { shift == 0 }

    mutating func take(_ byte: UInt8) -> Progress {
        guard shift < 64 else { return .tooLong }
        value |= UInt64(byte & 0x7f) << shift
        shift += 7
        guard byte < 0x80 else { return .more }
        defer { self = PartialVarint() }
        return .value(value)
    }
}
