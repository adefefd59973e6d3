import Synchronization

/// The end of what a program writes, however much that is.
final class LastLines: Sendable {
    /// Bytes that are kept.
    static let limit = 4 << 10
    private static let lineLimit = 3
    /// Of a log's line, in characters.
    private static let lengthLimit = 300

    private let kept = Mutex<[UInt8]>([])

    func add(_ bytes: UnsafeRawBufferPointer) {
        kept.withLock { kept in
            kept += bytes.suffix(Self.limit)
            if kept.count > Self.limit { kept.removeFirst(kept.count - Self.limit) }
        }
    }

    /// The last lines with something in them, as one; nil when there are none.
    var line: String? {
        let text = String(decoding: kept.withLock { $0 }, as: UTF8.self)
        let lines = text.split(whereSeparator: \.isNewline)
            .map { $0.drop(while: \.isWhitespace) }.filter { !$0.isEmpty }
        guard !lines.isEmpty else { return nil }
        let line = lines.suffix(Self.lineLimit).joined(separator: " | ")
        // The end says most: there a program says why it ended.
        let isLonger = line.count > Self.lengthLimit
        return RequestFailure.oneLine(isLonger ? "..." + line.suffix(Self.lengthLimit - 3) : line)
    }
}
