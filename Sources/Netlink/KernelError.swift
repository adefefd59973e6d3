import Glibc

/// Why the kernel or the way to it said no. Every case names the operation, its object and the errno.
public enum KernelError: Error, Sendable, Equatable {
    /// One operation of a transaction that the kernel refused.
    public struct Refusal: Sendable, Equatable {
        /// Operation and object, as `add rule ip sluice pool-1`.
        public let operation: String
        public let errno: Int32
        /// The kernel's own words (extended acknowledgement), where it had any.
        public let detail: String?

        public init(operation: String, errno: Int32, detail: String? = nil) {
            self.operation = operation
            self.errno = errno
            self.detail = detail
        }
    }

    /// A call on the netlink socket itself failed.
    case socket(call: String, errno: Int32)
    /// The transaction was refused as a whole; nothing of it is in force.
    case refused([Refusal])
    /// Reading objects failed.
    case read(object: String, errno: Int32)
    /// The kernel's answer couldn't be understood or was lost: what is in force is unknown, read it back.
    case lost(String)
    /// The object belongs to another program, which runs: only that one can change it.
    case owned(object: String, by: String)
    /// Others changed the ruleset each time it was read.
    case unstable(object: String, attempts: Int)
    /// A value that no message can carry, found before anything was sent.
    case unencodable(String)

    /// The first errno in it, where there is one.
    public var errno: Int32? {
        switch self {
        case .socket(_, let errno), .read(_, let errno): errno
        case .refused(let refusals): refusals.first?.errno
        case .owned: EPERM
        case .lost, .unstable, .unencodable: nil
        }
    }
}

extension KernelError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .socket(let call, let errno):
            "netlink \(call): \(Self.text(errno))"
        case .refused(let refusals):
            refusals.prefix(3).map { refusal in
                "\(refusal.operation): \(Self.text(refusal.errno))"
                    + (refusal.detail.map { " (\($0))" } ?? "")
            }.joined(separator: "; ") + (refusals.count > 3 ? "; and \(refusals.count - 3) more" : "")
        case .read(let object, let errno):
            "read \(object): \(Self.text(errno))"
        case .lost(let what):
            what
        case .owned(let object, let owner):
            "\(object) belongs to \(owner), which runs: end that first"
        case .unstable(let object, let attempts):
            "read \(object): it changed during each of \(attempts) attempts"
        case .unencodable(let what):
            what
        }
    }

    /// `EPERM (Operation not permitted)`
    package static func text(_ errno: Int32) -> String {
        let words = String(cString: strerror(errno))
        return names[errno].map { "\($0) (\(words))" } ?? "errno \(errno) (\(words))"
    }

    private static let names: [Int32: String] = [
        EPERM: "EPERM", ENOENT: "ENOENT", EINTR: "EINTR", EIO: "EIO", E2BIG: "E2BIG", EAGAIN: "EAGAIN",
        ENOMEM: "ENOMEM", EACCES: "EACCES", EFAULT: "EFAULT", EBUSY: "EBUSY", EEXIST: "EEXIST",
        EINVAL: "EINVAL", ENFILE: "ENFILE", EMFILE: "EMFILE", ENOSPC: "ENOSPC", ERANGE: "ERANGE",
        EMLINK: "EMLINK", ELOOP: "ELOOP", ENOSYS: "ENOSYS", EPROTONOSUPPORT: "EPROTONOSUPPORT",
        EOPNOTSUPP: "EOPNOTSUPP", EAFNOSUPPORT: "EAFNOSUPPORT", ENOBUFS: "ENOBUFS", EMSGSIZE: "EMSGSIZE",
        ETIMEDOUT: "ETIMEDOUT", EOVERFLOW: "EOVERFLOW", ENAMETOOLONG: "ENAMETOOLONG",
    ]
}
