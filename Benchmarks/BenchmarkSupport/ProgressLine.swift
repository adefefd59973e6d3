import Foundation

/// One line on standard error that tells what is being done, when somebody is there to see it.
public struct ProgressLine: Sendable {
    private let isVisible = isatty(STDERR_FILENO) == 1

    public init() {}

    public func show(_ what: String, _ index: Int? = nil, of count: Int = 0) {
        let position = index.map { " \($0 + 1)/\(count)" } ?? ""
        put("\r\u{1b}[K\(what)\(position)")
    }

    public func clear() { put("\r\u{1b}[K") }

    private func put(_ text: String) {
        guard isVisible else { return }
        // A terminal that is gone is no reason to stop measuring.
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
