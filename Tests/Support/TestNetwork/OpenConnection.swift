import Glibc
public import IPAddressing
import Synchronization

/// A client's connection that stays open, to show that it survives what happens meanwhile.
public final class OpenConnection: Sendable {
    /// The name of the server that accepted it.
    public let server: String
    /// The client as the server saw it.
    public let seenSource: AddressPort
    private let transport: TransportProtocol
    private let socket: Mutex<Descriptor?>

    init(_ socket: Descriptor, _ transport: TransportProtocol, server: String, seenSource: AddressPort) {
        self.server = server
        self.seenSource = seenSource
        self.transport = transport
        self.socket = Mutex(socket)
    }

    /// Sends a line and returns the server's answer without its line end: `<server name> <line>`, over UDP
    /// `<server name> <client address>:<client port>`.
    ///
    /// Throws `SystemError`: ECONNRESET or EPIPE when the connection is cut off, ETIMEDOUT when no answer
    /// comes in time.
    public func exchange(_ line: String, timeout: Duration = .seconds(1)) throws -> String {
        guard let socket = socket.withLock({ $0 }) else { throw SystemError("exchange", number: EBADF) }
        let bytes = Array("\(line)\n".utf8)
        guard send(socket.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw SystemError("send")
        }
        switch try socket.readLine(until: .now.advanced(by: timeout)) {
        case .line(let answer): return answer
        case .end: throw SystemError("receive: the server closed", number: ECONNRESET)
        case .failed(let number): throw SystemError("receive", number: number)
        case .timedOut: throw SystemError("receive", number: ETIMEDOUT)
        }
    }

    /// True while the server still answers.
    public func isAlive(timeout: Duration = .seconds(1)) -> Bool {
        guard let answer = try? exchange("ping", timeout: timeout) else { return false }
        return answer.hasPrefix("\(server) ")
    }

    /// Closes it, over TCP by a reset.
    public func close() { socket.withLock { $0 = nil } }
}

/// What `Descriptor.readLine` met.
enum ReadResult {
    case line(String)
    case end
    case failed(Int32)
    case timedOut
}

extension Descriptor {
    /// Reads up to the next line end, at most 8 KiB; a datagram is a line. A stream's peer sends no second
    /// line before it was asked, so nothing is read beyond.
    func readLine(until deadline: ContinuousClock.Instant) throws -> ReadResult {
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while received.count < 8192 {
            guard try wait(for: POLLIN, until: deadline) else { return .timedOut }
            let count = recv(raw, &buffer, buffer.count, 0)
            if count < 0, errno == EAGAIN || errno == EINTR { continue }
            if count < 0 { return .failed(errno) }
            if count == 0 { return .end }
            received += buffer.prefix(count)
            if received.last == UInt8(ascii: "\n") {
                return .line(String(decoding: received.dropLast(), as: UTF8.self))
            }
        }
        return .end
    }
}
