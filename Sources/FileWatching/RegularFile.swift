package import Foundation
import Glibc

/// An error number of a system call, at a path.
package struct FileFailure: Error, Sendable, Equatable {
    package var code: CInt
    package var text: String { String(cString: strerror(code)) }

    package init(code: CInt) { self.code = code }
}

/// Reads files whole, up to a limit.
package enum RegularFile {
    /// The bytes of a file; nil when there are more than `limit`.
    ///
    /// - Throws: `FileFailure`; EINVAL for what isn't a regular file.
    package static func contents(_ path: String, limit: Int) throws(FileFailure) -> Data? {
        // Without O_NONBLOCK, a FIFO that took the file's place would hold up all others.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileFailure(code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileFailure(code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileFailure(code: EINVAL) }
        return try contents(of: descriptor, limit: limit, sizeHint: Int(status.st_size))
    }

    /// What an open file still holds; nil when that is more than `limit`.
    package static func contents(
        of descriptor: CInt, limit: Int, sizeHint: Int = 0
    ) throws(FileFailure) -> Data? {
        guard sizeHint <= limit else { return nil }
        var data = Data()
        data.reserveCapacity(sizeHint)
        var buffer = [UInt8](repeating: 0, count: min(limit + 1, 1 << 20))
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw FileFailure(code: errno)
            }
            if count == 0 { return data }
            guard data.count + count <= limit else { return nil }
            data.append(contentsOf: buffer[..<count])
        }
    }
}
