/// Splits the JSON body of a list into its parts while it arrives.
///
/// Held is one item at most, and only when it doesn't lie whole in the chunk at hand.
struct JSONListSplitter: Sendable {
    enum Part: Sendable {
        /// `kind` of the list, a JSON string.
        case kind
        case metadata
        /// One element of `items`; nested deeper than allowed when `tooDeep`.
        case item(tooDeep: Bool)
    }

    private enum State {
        case start
        case keyOrEnd, key, inKey, colon
        case value, inValue, commaOrEnd
        case itemOrEnd, item, inItem, itemCommaOrEnd
        case end
    }

    private enum Field { case kind, metadata, items, other }

    private let listKind: String
    private var state = State.start
    private var field = Field.other
    private var collector: JSONValueCollector?
    /// Bytes consumed since the body's start.
    private var offset = 0
    /// Where the value at hand begins.
    private var valueStart = 0
    private var hasItems = false

    init(kind: String) { listKind = kind }

    /// `each` gets a part, its bytes, and where in the body they begin.
    mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ each: (Part, UnsafeRawBufferPointer, Int) throws(WireError) -> Void
    ) throws(WireError) {
        var index = 0
        let before = offset
        while index < bytes.count {
            offset = before + index
            let byte = bytes[index]
            if collector == nil, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
                index += 1
                continue
            }
            switch state {
            case .inKey, .inValue, .inItem:
                try collect(bytes, &index, each)
            case .key where byte == UInt8(ascii: "\""), .keyOrEnd where byte == UInt8(ascii: "\""):
                collector = JSONValueCollector(first: byte, keeps: true)
                state = .inKey
            case .value where field == .items && byte == UInt8(ascii: "["):
                guard !hasItems else { throw error("a second list of items") }
                hasItems = true
                state = .itemOrEnd
                index += 1
            case .value:
                if field == .items { hasItems = true }
                collector = JSONValueCollector(first: byte, keeps: field == .kind || field == .metadata)
                guard collector != nil else { throw error("not JSON") }
                valueStart = offset
                state = .inValue
            case .item, .itemOrEnd:
                if state == .itemOrEnd, byte == UInt8(ascii: "]") {
                    state = .commaOrEnd
                    index += 1
                    continue
                }
                collector = JSONValueCollector(first: byte, keeps: true)
                guard collector != nil else { throw error("not JSON") }
                valueStart = offset
                state = .inItem
            default:
                state = try next(byte)
                index += 1
            }
        }
        offset = before + bytes.count
    }

    /// What follows a byte of the list's own structure.
    private func next(_ byte: UInt8) throws(WireError) -> State {
        switch (state, byte) {
        case (.start, UInt8(ascii: "{")): return .keyOrEnd
        case (.colon, UInt8(ascii: ":")): return .value
        case (.commaOrEnd, UInt8(ascii: ",")): return .key
        case (.keyOrEnd, UInt8(ascii: "}")), (.commaOrEnd, UInt8(ascii: "}")): return .end
        case (.itemCommaOrEnd, UInt8(ascii: ",")): return .item
        case (.itemCommaOrEnd, UInt8(ascii: "]")): return .commaOrEnd
        case (.end, _): throw error("more than one value")
        default: throw error("not a list in JSON")
        }
    }

    private mutating func collect(
        _ bytes: UnsafeRawBufferPointer, _ index: inout Int,
        _ each: (Part, UnsafeRawBufferPointer, Int) throws(WireError) -> Void
    ) throws(WireError) {
        guard var collector else { return }
        // Moved out and back, so that what it holds isn't copied.
        self.collector = nil
        let isComplete: Bool
        let start = valueStart
        switch state {
        case .inKey:
            var field = Field.other
            isComplete = collector.take(bytes, &index) { key, _ in field = Self.field(key) }
            self.field = field
            if isComplete { state = .colon }
        case .inItem:
            isComplete = try collector.take(bytes, &index) { item, deepest throws(WireError) in
                try each(.item(tooDeep: deepest > depthLimit), item, start)
            }
            if isComplete { state = .itemCommaOrEnd }
        default:
            let part: Part? =
                switch field {
                case .kind: .kind
                case .metadata: .metadata
                case .items, .other: nil
                }
            isComplete = try collector.take(bytes, &index) { value, _ throws(WireError) in
                if let part { try each(part, value, start) }
            }
            if isComplete { state = .commaOrEnd }
        }
        if isComplete { return }
        guard collector.pendingCount <= objectSizeLimit else {
            throw error("more than the \(objectSizeLimit) bytes allowed in one object")
        }
        self.collector = collector
    }

    private static func field(_ key: UnsafeRawBufferPointer) -> Field {
        for (name, field) in fields where key.elementsEqual(name.utf8) { return field }
        return .other
    }

    private static let fields: [(String, Field)] = [
        ("\"kind\"", .kind), ("\"metadata\"", .metadata), ("\"items\"", .items),
    ]

    func finish() throws(WireError) {
        guard state == .end else { throw error("the body ends too early") }
        guard hasItems else { throw error("a body without items") }
    }

    private func error(_ message: String) -> WireError {
        WireError(kind: listKind, offset: offset, message: message)
    }
}
