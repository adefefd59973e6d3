import CPacketLoad
import Glibc

/// A system call of the load that failed.
struct LoadError: Error, CustomStringConvertible {
    let operation: String
    let number: Int32

    init(_ operation: String, number: Int32 = errno) {
        self.operation = operation
        self.number = number
    }

    var description: String { "\(operation): \(String(cString: strerror(number)))" }
}

/// Bare socket calls over IPv4, as cheap as they can be: what is measured is the kernel.
enum Sockets {
    static let stream = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    static let datagram = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)

    /// Nothing waits longer than this for a packet that doesn't come.
    static let patience = timeval(tv_sec: 1, tv_usec: 0)

    static func make(_ type: Int32) throws -> Int32 {
        let socket = Glibc.socket(AF_INET, type, 0)
        guard socket >= 0 else { throw LoadError("socket") }
        return socket
    }

    @inline(__always)
    static func set<T>(_ socket: Int32, _ option: Int32, _ value: T) {
        withUnsafeBytes(of: value) {
            _ = setsockopt(socket, SOL_SOCKET, option, $0.baseAddress, socklen_t($0.count))
        }
    }

    @inline(__always)
    static func bind(_ socket: Int32, _ address: sockaddr_in) -> Bool {
        withAddress(address) { Glibc.bind(socket, $0, $1) } == 0
    }

    @inline(__always)
    static func connect(_ socket: Int32, _ address: sockaddr_in) -> Bool {
        withAddress(address) { Glibc.connect(socket, $0, $1) } == 0
    }

    @inline(__always)
    private static func withAddress<T>(
        _ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T
    ) -> T {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

/// The servers' side: one TCP socket that listens and one for datagrams, at any address of the endpoints.
final class ServerEnds: Sendable {
    let listener: Int32
    let datagrams: Int32

    /// To be made in the servers' namespace.
    init(port: UInt16) throws {
        listener = try Sockets.make(Sockets.stream)
        datagrams = try Sockets.make(Sockets.datagram)
        for socket in [listener, datagrams] {
            Sockets.set(socket, SO_RCVTIMEO, Sockets.patience)
            guard Sockets.bind(socket, socketAddress(0, port)) else {
                throw LoadError("bind to port \(port)")
            }
        }
        guard packet_load_prepare(datagrams) == 0 else { throw LoadError("setsockopt IP_PKTINFO") }
        guard listen(listener, 1_024) == 0 else { throw LoadError("listen") }
    }

    deinit {
        close(listener)
        close(datagrams)
    }

    /// Takes away what a measurement before left behind.
    func drain() {
        var byte: UInt8 = 0
        while recv(datagrams, &byte, 1, Int32(MSG_DONTWAIT)) >= 0 {}
    }
}
