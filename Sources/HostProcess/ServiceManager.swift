import Glibc

/// The service manager that started this process, if one wants to hear from it (sd_notify(3)).
///
/// The protocol is one datagram to the UNIX socket that `NOTIFY_SOCKET` names, a variable a line; it is plain enough
/// to do without libsystemd.
public struct ServiceManager: Sendable {
    private let socketPath: String

    /// Nil when no service manager asks for messages.
    ///
    /// - Parameter environment: where `NOTIFY_SOCKET` is looked up: a path, or a name of the abstract namespace
    ///   behind `@`.
    public init?(environment: [String: String]) {
        guard let path = environment["NOTIFY_SOCKET"], path.hasPrefix("/") || path.hasPrefix("@") else {
            return nil
        }
        socketPath = path
    }

    /// One thing to tell.
    public enum Message: Sendable, Equatable {
        /// It does what it is there for (`READY=1`).
        case ready
        /// It begins to end (`STOPPING=1`).
        case stopping
        /// What it does, in a line for people (`STATUS=`).
        case status(String)

        var line: String {
            switch self {
            case .ready: "READY=1"
            case .stopping: "STOPPING=1"
            case .status(let text): "STATUS=" + String(text.map { $0.isNewline ? " " : $0 })
            }
        }
    }

    /// Sends the messages in one datagram.
    ///
    /// - Throws: `HostProcessError` when the service manager's socket can't be reached.
    public func tell(_ messages: Message...) throws(HostProcessError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var path = Array(socketPath.utf8)
        // An abstract name begins with a zero byte and isn't ended by one (unix(7)).
        let isAbstract = path[0] == UInt8(ascii: "@")
        if isAbstract { path[0] = 0 }
        let room = MemoryLayout.size(ofValue: address.sun_path) - (isAbstract ? 0 : 1)
        guard path.count <= room else {
            throw HostProcessError(call: "NOTIFY_SOCKET \(socketPath)", errno: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let length = MemoryLayout<sa_family_t>.size + path.count + (isAbstract ? 0 : 1)

        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw HostProcessError(call: "socket", errno: errno) }
        defer { close(descriptor) }
        let text = Array(messages.map { $0.line + "\n" }.joined().utf8)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    descriptor, text, text.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT),
                    $0, socklen_t(length))
            }
        }
        guard sent == text.count else {
            throw HostProcessError(call: "send to \(socketPath)", errno: errno)
        }
    }
}
