import Dispatch
import Glibc
import Synchronization

/// That one program alone does something in a network namespace: a name among its abstract UNIX sockets (unix(7)), which
/// the kernel gives back when the process ends, however that is. Containers that share the namespace share the names.
public final class RunLock: Sendable {
    /// Who has the name.
    public struct Holder: Sendable, Equatable {
        /// 0 where it is of a PID namespace that can't be seen from here.
        public let processID: Int32
    }

    private let name: String
    private let source = Mutex<DispatchSource?>(nil)

    /// - Parameter name: at most 100 bytes.
    public init(_ name: String) {
        precondition(name.utf8.count <= 100)
        self.name = name
    }

    deinit { source.withLock { $0?.cancel() } }

    /// Takes the name, until the end of this process or of this value.
    ///
    /// - Returns: nil when it is held now, or when it can't be: for want of a socket, or since somebody with fewer rights
    ///   than this program sits on it, who shall not keep it from running. Otherwise the other program that has it.
    public func take() -> Holder? {
        source.withLock { source in
            // Between the refusal and the question who it is, it may have ended.
            for attempt in 0..<Self.attempts where source == nil {
                if attempt > 0 { usleep(5000) }
                guard let file = Self.socket() else { return nil }
                if withAddress({ bind(file, $0, $1) }) == 0, listen(file, 128) == 0 {
                    source = Self.answering(file)
                    return nil
                }
                let isTaken = errno == EADDRINUSE
                close(file)
                guard isTaken else { return nil }
                switch holder() {
                case .program(let holder): return holder
                case .nobody: continue
                case .unimportant: return nil
                }
            }
            return nil
        }
    }

    private static let attempts = 20

    private enum Answer {
        case program(Holder)
        /// Nobody is there to be asked.
        case nobody
        /// Somebody who doesn't count.
        case unimportant
    }

    /// Whoever has the name.
    private func holder() -> Answer {
        guard let file = Self.socket() else { return .unimportant }
        defer { close(file) }
        var isConnected = false
        // Whoever doesn't answer many others for so long isn't at work.
        for _ in 0..<50 where !isConnected {
            isConnected = withAddress { connect(file, $0, $1) } == 0
            if !isConnected {
                guard errno == EAGAIN else { return .nobody }
                usleep(10_000)
            }
        }
        guard isConnected else { return .unimportant }
        // `struct ucred`, which glibc hides behind _GNU_SOURCE: process, user and group.
        var peer: [UInt32] = [0, 0, 0]
        var length = socklen_t(peer.count * MemoryLayout<UInt32>.size)
        guard getsockopt(file, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0,
            peer[1] == 0 || peer[1] == geteuid()
        else { return .unimportant }
        return .program(Holder(processID: Int32(bitPattern: peer[0])))
    }

    private static func socket() -> Int32? {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let file = Glibc.socket(AF_UNIX, type, 0)
        return file >= 0 ? file : nil
    }

    /// Lets those who ask go on: what they want to know, the kernel tells them.
    private static func answering(_ file: Int32) -> DispatchSource? {
        let queue = DispatchQueue(label: "run lock")
        let source = DispatchSource.makeReadSource(fileDescriptor: file, queue: queue) as? DispatchSource
        source?.setEventHandler {
            while true {
                let asking = accept(file, nil, nil)
                guard asking >= 0 else { return }
                close(asking)
            }
        }
        source?.setCancelHandler { close(file) }
        source?.activate()
        return source
    }

    /// The address: a zero byte, and the name.
    private func withAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            for (index, byte) in name.utf8.enumerated() { path[index + 1] = byte }
        }
        let length = MemoryLayout.offset(of: \sockaddr_un.sun_path).map { $0 + 1 + name.utf8.count } ?? 0
        return withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }
}
