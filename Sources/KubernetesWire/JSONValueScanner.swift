/// Finds where a JSON value ends, while its bytes arrive.
///
/// It looks at quotes and brackets alone; whether the value is JSON, its decoder says.
struct JSONValueScanner: Sendable {
    private enum Form { case composite, string, scalar }

    enum End: Equatable {
        /// The value goes on in the next chunk.
        case open
        /// It ends before this index.
        case at(Int)
    }

    private var form: Form
    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    /// The deepest nesting so far.
    private(set) var deepest = 0

    /// A scanner for the value whose first byte is `first`; nil when no value begins so.
    init?(first: UInt8) {
        switch first {
        case UInt8(ascii: "{"), UInt8(ascii: "["): form = .composite
        case UInt8(ascii: "\""): form = .string
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"):
            form = .scalar
        default: return nil
        }
    }

    /// Reads on from `start`, which is the value's first byte the first time.
    mutating func scan(_ bytes: UnsafeRawBufferPointer, from start: Int) -> End {
        var index = start
        while index < bytes.count {
            let byte = bytes[index]
            if isInString {
                index += 1
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                    if form == .string { return .at(index) }
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""):
                if form == .scalar { return .at(index) }
                isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                if form == .scalar { return .at(index) }
                depth += 1
                deepest = max(deepest, depth)
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if form == .scalar { return .at(index) }
                depth -= 1
                if depth == 0 { return .at(index + 1) }
            case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x0a, 0x0d, 0x09:
                if form == .scalar { return .at(index) }
            default: break
            }
            index += 1
        }
        return .open
    }
}

/// One JSON value gathered from chunks, or passed over.
struct JSONValueCollector: Sendable {
    private var scanner: JSONValueScanner
    private let keeps: Bool
    private var pending: [UInt8] = []

    init?(first: UInt8, keeps: Bool) {
        guard let scanner = JSONValueScanner(first: first) else { return nil }
        self.scanner = scanner
        self.keeps = keeps
    }

    /// Bytes of the value in earlier chunks; 0 for one that is passed over.
    var pendingCount: Int { pending.count }

    /// Takes what of the value lies in `bytes` from `index` on, which moves behind it. When the value is
    /// complete, `body` gets its bytes (none when it is passed over), and the result is true.
    mutating func take<Failure: Error>(
        _ bytes: UnsafeRawBufferPointer, _ index: inout Int,
        _ body: (UnsafeRawBufferPointer, _ deepest: Int) throws(Failure) -> Void
    ) throws(Failure) -> Bool {
        let start = index
        switch scanner.scan(bytes, from: start) {
        case .open:
            index = bytes.count
            if keeps { pending.append(contentsOf: bytes[start...]) }
            return false
        case .at(let end):
            index = end
            let last = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            if !keeps {
                try body(UnsafeRawBufferPointer(start: nil, count: 0), scanner.deepest)
            } else if pending.isEmpty {
                try body(last, scanner.deepest)
            } else {
                pending.append(contentsOf: last)
                let deepest = scanner.deepest
                try pending.withBytes { bytes throws(Failure) in try body(bytes, deepest) }
            }
            return true
        }
    }
}
