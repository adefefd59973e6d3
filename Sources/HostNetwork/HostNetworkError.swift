import Glibc

/// Why this host's addresses can't be told.
public enum HostNetworkError: Error, Sendable, Equatable {
    /// A call on a socket, or for what goes with it, failed.
    case call(String, errno: Int32)
    /// The kernel refused to tell `what`, such as `addresses`.
    case refused(what: String, errno: Int32)
    /// The list changed during each of so many attempts to read it.
    case unstable(attempts: Int)
}

extension HostNetworkError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .call(let call, let errno):
            "host addresses: \(call): \(String(cString: strerror(errno)))"
        case .refused(let what, let errno):
            "host addresses: the kernel doesn't tell the \(what): \(String(cString: strerror(errno)))"
        case .unstable(let attempts):
            "host addresses: they changed during each of \(attempts) attempts to read them"
        }
    }
}
