import Glibc
package import IPAddressing
import Synchronization

/// A call that failed, with its errno's text.
package struct CallError: Error, CustomStringConvertible {
    package let description: String
    package let number: Int32

    package init(_ call: String, number: Int32? = nil) {
        let number = number ?? errno
        description = "\(call): \(String(cString: strerror(number)))"
        self.number = number
    }
}

/// A TCP socket over which tests speak HTTP byte by byte.
package final class RawClient {
    private let descriptor: Int32
    private var received: [UInt8] = []

    package struct Response: Equatable {
        /// `HTTP/1.1 200 OK`
        package var status: String
        /// By name, in small letters.
        package var fields: [String: String]
        package var body: String
    }

    package static let ipv4 = IPAddress(ipv4: 0x7f00_0001)
    package static let ipv6 = IPAddress(high: 0, low: 1)

    /// Connects; what is awaited longer than 10 s fails with EAGAIN.
    package init(_ port: UInt16, at address: IPAddress = RawClient.ipv4, receiveBuffer: Int32? = nil) throws {
        descriptor = try Self.socket(address.family)
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        if var receiveBuffer {
            setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        let descriptor = descriptor
        guard Self.withSocketAddress(address, port, { Glibc.connect(descriptor, $0, $1) }) == 0 else {
            throw CallError("connect")
        }
    }

    deinit { close(descriptor) }

    static func socket(_ family: AddressFamily) throws -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(family == .ipv4 ? AF_INET : AF_INET6, type, 0)
        guard descriptor >= 0 else { throw CallError("socket") }
        return descriptor
    }

    static func withSocketAddress<T>(
        _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T
    ) -> T {
        var storage = sockaddr_storage()
        return withUnsafeMutableBytes(of: &storage) { bytes in
            let isIPv4 = address.family == .ipv4
            let family = sa_family_t(isIPv4 ? AF_INET : AF_INET6)
            bytes.storeBytes(of: family, as: sa_family_t.self)
            bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            // sin_addr follows the port, sin6_addr the flow information.
            bytes[(isIPv4 ? 4 : 8)...].copyBytes(from: address.bytes)
            let length = isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
            return bytes.withMemoryRebound(to: sockaddr.self) { pointer in
                guard let base = pointer.baseAddress else { preconditionFailure("a variable has an address") }
                return body(base, socklen_t(length))
            }
        }
    }

    /// - Throws: `CallError`, with EPIPE or ECONNRESET when the server has closed.
    package func send(_ text: String, flags: Int32 = 0) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | flags)
            }
            guard count > 0 else { throw CallError("send") }
            rest = rest.dropFirst(count)
        }
    }

    /// Waits for the socket; true when there is something to read, the end included.
    package func isReadable(withinMilliseconds milliseconds: Int32) -> Bool {
        var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&item, 1, milliseconds) > 0
    }

    /// False at the end of the stream, a reset included.
    private func receive() throws -> Bool {
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        if count < 0, errno != ECONNRESET { throw CallError("receive") }
        received += bytes.prefix(max(0, count))
        return count > 0
    }

    /// What comes until the server closes.
    package func rest() throws -> String {
        while try receive() {}
        defer { received = [] }
        return String(decoding: received, as: UTF8.self)
    }

    package func response(hasBody: Bool = true) throws -> Response {
        var end: Int?
        while true {
            end = received.indices.first { received[$0...].starts(with: "\r\n\r\n".utf8) }
            if end != nil { break }
            guard try receive() else { throw CallError("a whole response", number: ECONNRESET) }
        }
        guard let head = end else { throw CallError("a whole head", number: EPROTO) }
        var lines = String(decoding: received[..<head], as: UTF8.self).split(separator: "\r\n")
        let status = String(lines.removeFirst())
        var fields: [String: String] = [:]
        for line in lines {
            let parts = line.split(separator: ":", maxSplits: 1)
            fields[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
        }
        received.removeFirst(head + 4)
        var length = 0
        if hasBody {
            guard let told = fields["content-length"].flatMap({ Int($0) }) else {
                throw CallError("a body's length", number: EPROTO)
            }
            length = told
        }
        while received.count < length {
            guard try receive() else { throw CallError("a whole body", number: ECONNRESET) }
        }
        defer { received.removeFirst(length) }
        return Response(
            status: status, fields: fields, body: String(decoding: received.prefix(length), as: UTF8.self))
    }

    package func get(_ path: String = "/") throws -> Response {
        try send("GET \(path) HTTP/1.1\r\nHost: node\r\n\r\n")
        return try response()
    }
}

/// A port that somebody listens on.
package final class HeldPort {
    private let descriptor: Int32

    /// - Parameter isListening: false holds it only against those that want it for themselves alone.
    package init(_ port: UInt16, isListening: Bool = true) throws {
        descriptor = try RawClient.socket(.ipv4)
        let descriptor = descriptor
        var reuse: Int32 = isListening ? 0 : 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        let bound = RawClient.withSocketAddress(IPAddress(ipv4: 0), port) {
            bind(descriptor, $0, $1) == 0 && (!isListening || listen(descriptor, 1) == 0)
        }
        guard bound else { throw CallError("bind") }
    }

    deinit { close(descriptor) }

    private static let next = Mutex(UInt16(20_000 + getpid() % 5_000))

    /// A port that nobody has, below those that the kernel gives to clients.
    package static func free() throws -> UInt16 {
        for _ in 0..<1_000 {
            let port = next.withLock { port in
                port += 1
                return port
            }
            if (try? HeldPort(port, isListening: false)) != nil { return port }
        }
        throw CallError("a free port", number: EADDRINUSE)
    }
}
