/// The kernel refuses what following files needs.
public struct FileWatchError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    /// - Parameters:
    ///   - call: the system call that failed.
    ///   - code: its errno.
    init(_ call: String, _ code: CInt) {
        description = "changes cannot be followed: \(call): \(FileFailure(code: code).text)"
    }
}
