import Glibc
import NIOCore

/// Holds a port of 127.0.0.1 for listeners with SO_REUSEADDR, whether or not one is there.
///
/// A server that is away would otherwise lose its port to any connection that begins meanwhile: the kernel gives out
/// free ports for those, but none that a socket is bound to.
final class PortReservation: Sendable {
    let port: Int
    private let socket: CInt

    /// - Parameter port: 0: a free one.
    init(port: Int = 0) throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        var yes: CInt = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<CInt>.size))
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = in_port_t(UInt16(port)).bigEndian
        name.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> CInt in
                bind(socket, address, length) == 0 ? getsockname(socket, address, &length) : -1
            }
        }
        guard result == 0 else {
            let error = IOError(errnoCode: errno, reason: "bind port \(port) of 127.0.0.1")
            close(socket)
            throw error
        }
        self.socket = socket
        self.port = Int(UInt16(bigEndian: name.sin_port))
    }

    deinit { close(socket) }
}
