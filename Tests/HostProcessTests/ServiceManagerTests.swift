import Foundation
import Glibc
import HostProcess
import Testing

/// What a service manager and the kernel are told of the process.
@Suite("The host process")
struct HostProcessTests {
    /// A datagram socket as systemd offers it.
    private final class Listener {
        let descriptor: Int32

        init(_ name: [UInt8]) throws {
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
            let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
            let status = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
            }
            try #require(status == 0, "bind: \(String(cString: strerror(errno)))")
        }

        deinit { close(descriptor) }

        func next() -> String {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }
    }

    @Test("a service manager hears that the process is ready, what it does, and that it ends")
    func path() throws {
        let path = NSTemporaryDirectory() + "notify-\(UUID())"
        defer { unlink(path) }
        let listener = try Listener(Array(path.utf8) + [0])
        let manager = try #require(ServiceManager(environment: ["NOTIFY_SOCKET": path]))
        try manager.tell(.ready, .status("serving\n2 Services"))
        #expect(listener.next() == "READY=1\nSTATUS=serving 2 Services\n")
        try manager.tell(.stopping)
        #expect(listener.next() == "STOPPING=1\n")
    }

    @Test("a socket in the abstract namespace is reached as well")
    func abstract() throws {
        let name = "sluice-test-\(UUID())"
        let listener = try Listener([0] + Array(name.utf8))
        try #require(ServiceManager(environment: ["NOTIFY_SOCKET": "@" + name])).tell(.ready)
        #expect(listener.next() == "READY=1\n")
    }

    @Test(
        "without a socket there is no service manager", arguments: [[:], ["NOTIFY_SOCKET": "vsock:2:1234"]])
    func none(environment: [String: String]) {
        #expect(ServiceManager(environment: environment) == nil)
    }

    @Test(
        "a socket that can't be reached is told by name",
        arguments: [
            ("/nowhere/notify", ENOENT), ("/" + String(repeating: "n", count: 200), ENAMETOOLONG),
        ])
    func unreachable(path: String, number: Int32) throws {
        let manager = try #require(ServiceManager(environment: ["NOTIFY_SOCKET": path]))
        #expect {
            try manager.tell(.ready)
        } throws: { error in
            guard let error = error as? HostProcessError else { return false }
            return error.errno == number && error.description.contains(path)
        }
    }

    @Test("the score is written, and one that no process can have is an error")
    func score() throws {
        let path = NSTemporaryDirectory() + "score-\(UUID())"
        defer { unlink(path) }
        try Data().write(to: URL(fileURLWithPath: path))
        try OutOfMemoryScore.adjust(-999, path: path)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "-999\n")
        #expect(throws: HostProcessError.self) { try OutOfMemoryScore.adjust(-1001, path: path) }
        #expect(throws: HostProcessError.self) { try OutOfMemoryScore.adjust(1, path: path + "/none") }
    }
}
