import Glibc

/// A call that concerns the process itself failed.
public struct HostProcessError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was called, and on what: `write /proc/self/oom_score_adj`.
    public let call: String
    public let errno: Int32

    public var description: String { "\(call): \(String(cString: strerror(errno)))" }
}
