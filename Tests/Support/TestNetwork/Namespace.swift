import CTestNetwork
import Glibc
public import IPAddressing
import Synchronization

/// A network namespace of the test's own, named as `ip netns` names them; it is removed with the last
/// reference.
public final class Namespace: Sendable {
    /// The name under /run/netns: `slc-<process id>-<number>-<label>`. The process id lets a later run tell
    /// what a crashed one left behind.
    public let name: String
    private let removed = Mutex(false)

    private static let counter = Mutex(0)
    private static let prefix = "slc-"
    /// Done once in a process, before its first namespace.
    private static let sweptAtStart: Void = sweep()

    private init(name: String) { self.name = name }

    /// Makes a namespace with `lo` up. `label` ends its name, for whoever looks at `ip netns list`.
    ///
    /// Needs root and iproute2; throws `CommandError` or `SystemError`.
    public convenience init(_ label: String) throws {
        let made = Self.nextName(label)
        self.init(name: made)
        try Self.add([made])
    }

    /// Makes several at the cost of one `ip`.
    static func make(_ labels: [String]) throws -> [Namespace] {
        let all = labels.map { Namespace(name: nextName($0)) }
        try add(all.map(\.name))
        return all
    }

    deinit { remove() }

    private static func nextName(_ label: String) -> String {
        _ = sweptAtStart
        let number = counter.withLock { value in
            value += 1
            return value
        }
        return "\(prefix)\(getpid())-\(number)-\(label)"
    }

    private static func add(_ names: [String]) throws {
        let batch = names.map { "netns add \($0)\n" }.joined()
        try runCommand(["ip", "-batch", "-"], input: batch)
        for name in names { try runCommand(["ip", "-n", name, "link", "set", "lo", "up"]) }
    }

    /// Removes the namespace's name; the kernel drops the rest when the last socket in it is closed.
    public func remove() {
        removed.withLock { removed in
            guard !removed else { return }
            removed = true
            // A namespace that was never made, or that someone else removed, is as good as removed.
            _ = try? runCommand(["ip", "netns", "delete", name])
        }
    }

    /// True while the name exists under /run/netns.
    public var exists: Bool { access("/run/netns/\(name)", F_OK) == 0 }

    /// Removes the namespaces that test processes left behind which no longer run.
    static func sweep() {
        guard let directory = opendir("/run/netns") else { return }
        defer { closedir(directory) }
        var stale: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            let parts = name.split(separator: "-")
            guard name.hasPrefix(prefix), parts.count >= 4, let pid = pid_t(parts[1]) else { continue }
            if kill(pid, 0) != 0, errno == ESRCH { stale.append(name) }
        }
        for name in stale { _ = try? runCommand(["ip", "netns", "delete", name]) }
    }

    /// Runs `body` inside the namespace, on a thread made for it, and waits. A socket opened in there
    /// stays in the namespace and may be used from anywhere afterwards.
    public func run<T>(_ body: () throws -> T) throws -> T {
        try WorkerThread.run {
            let result = ctest_enter_network_namespace("/run/netns/\(name)")
            guard result == 0 else { throw SystemError("enter namespace \(name)", number: result) }
            return try body()
        }
    }

    /// Runs a command inside; returns its standard output.
    ///
    /// Throws `CommandError`, with what it wrote to standard error, when it ends with a status other
    /// than 0.
    @discardableResult
    public func command(_ arguments: String..., input: String = "") throws -> String {
        try run { try runCommand(arguments, input: input) }
    }

    /// Starts a command inside and leaves it running until it ends, is told to, or the last reference goes.
    public func start(_ arguments: [String], input: String = "") throws -> ChildProcess {
        try run { try ChildProcess(arguments, input: input) }
    }

    /// Loads a script as `nft -f` does.
    public func loadRules(_ script: String) throws {
        _ = try run { try runCommand(["nft", "-f", "-"], input: script) }
    }

    /// Sets sysctls of the namespace; a key is the path below /proc/sys/net with slashes.
    public func setSysctls(_ values: KeyValuePairs<String, String>) throws {
        try run {
            for (key, value) in values {
                let path = "/proc/sys/net/\(key)"
                try Descriptor(Glibc.open(path, O_WRONLY | O_CLOEXEC), "open \(path) in \(name)")
                    .write(all: Array(value.utf8))
            }
        }
    }

    /// Waits until the kernel receives at IPv6 addresses that were added (those of IPv4 need no wait): it makes the
    /// route that leads to an address in a work queue, on a busy machine some time after `ip` has come back. Until then
    /// answers to it are lost, over UDP for good.
    ///
    /// Throws `SystemError` (ETIMEDOUT) when one isn't received at within ten seconds.
    public func awaitReception(at addresses: [IPAddress]) throws {
        // As /proc/net/ipv6_route writes a single address.
        let wanted = addresses.filter { $0.family == .ipv6 }.map { address in
            address.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + " 80 "
        }
        guard !wanted.isEmpty else { return }
        try run {
            let deadline = ContinuousClock.now.advanced(by: .seconds(10))
            while true {
                let path = "/proc/thread-self/net/ipv6_route"
                let routes = try Descriptor(Glibc.open(path, O_RDONLY | O_CLOEXEC), "open \(path)").contents()
                let local = routes.split(separator: "\n").filter(Self.isLocalRoute)
                if wanted.allSatisfy({ text in local.contains { $0.hasPrefix(text) } }) { return }
                guard ContinuousClock.now < deadline else {
                    throw SystemError("receive at \(addresses) in \(name)", number: ETIMEDOUT)
                }
                usleep(1000)
            }
        }
    }

    /// RTF_LOCAL (`linux/ipv6_route.h`) among the flags, the last column but one.
    private static func isLocalRoute(_ line: Substring) -> Bool {
        let columns = line.split(separator: " ")
        guard columns.count == 10, let flags = UInt32(columns[8], radix: 16) else { return false }
        return flags & 0x8000_0000 != 0
    }

    /// Runs several `ip` commands inside, given one a line without the word `ip`; the first that fails
    /// ends it.
    public func ip(_ lines: [String]) throws {
        let batch = lines.map { $0 + "\n" }.joined()
        try runCommand(["ip", "-n", name, "-batch", "-"], input: batch)
    }
}
