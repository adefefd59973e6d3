import CTestNetwork
import Glibc

/// A file descriptor that closes itself with its last user.
final class Descriptor: Sendable {
    let raw: Int32

    /// Takes the result of a system call; throws `SystemError` naming `operation` when that is negative.
    init(_ raw: Int32, _ operation: @autoclosure () -> String) throws {
        guard raw >= 0 else { throw SystemError(operation()) }
        self.raw = raw
    }

    deinit { close(raw) }

    /// A pipe whose ends close on exec.
    static func pipe() throws -> (read: Descriptor, write: Descriptor) {
        var ends: [Int32] = [-1, -1]
        guard ctest_pipe(&ends) == 0 else { throw SystemError("pipe") }
        return (try Descriptor(ends[0], "pipe"), try Descriptor(ends[1], "pipe"))
    }

    /// A nameless file in memory, open for reading and writing.
    static func memoryFile() throws -> Descriptor { try Descriptor(ctest_memory_file(), "memfd_create") }

    func write(all bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(raw, $0.baseAddress, $0.count) }
            guard written > 0 else { throw SystemError("write") }
            rest = rest.dropFirst(written)
        }
    }

    /// All of a regular file from its start, as UTF-8 text; the file position stays.
    func contents() throws -> String {
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = pread(raw, &buffer, buffer.count, result.count)
            guard count >= 0 else { throw SystemError("read") }
            if count == 0 { return String(decoding: result, as: UTF8.self) }
            result += buffer.prefix(count)
        }
    }
}
