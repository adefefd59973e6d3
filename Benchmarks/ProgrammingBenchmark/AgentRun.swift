import BenchmarkSupport
import ClusterGenerator
import Foundation
import TestNetwork

/// `sluice run` and a cluster's API server, two processes in a namespace of their own, until both have ended.
final class AgentRun {
    /// What one run took. Seconds and bytes.
    struct Figures {
        /// From the start of the process until its first rules were in force.
        var start = 0.0
        /// The most memory that was resident until then.
        var peak = 0
        /// When it had settled: all of it, and what of it is its own rather than a file's.
        var resident = 0
        var anonymous = 0
        /// CPU time in `idle` seconds without a change, and how often the process's threads went to sleep in them.
        var idleCPU = 0.0
        var idleSleeps = 0
        /// From the last byte of an event to the transaction in force, one for each endpoint replaced.
        var events: [Double] = []
    }

    private let namespace: Namespace
    private let folder: URL
    private let server = Process()
    private let serverInput = Pipe()
    private let serverOutput = Pipe()
    private let agent = Process()

    /// A start may take so long.
    private static let patience = 120.0
    /// What the start has freed is given back, and connections have become quiet.
    private static let settling = 5.0

    private init() throws {
        namespace = try Namespace("agent")
        folder = URL(filePath: "/tmp/sluice-benchmark-\(getpid())-agent")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// - Parameters:
    ///   - idle: seconds that are watched without a change.
    ///   - replacements: endpoints replaced, one every `interval` milliseconds.
    static func measure(
        _ cluster: ClusterSize, idle: Double, replacements: Int, interval: Int, programs: URL,
        _ step: (String) -> Void
    ) throws -> Figures {
        let run = try AgentRun()
        defer { run.end() }
        step("a cluster's API server")
        // Until the first replacement: the start, of which nothing is known before, settling, and the idle time.
        let start = 4 + Double(cluster.services * cluster.endpoints) / 20_000
        let quiet = Self.settling + idle
        try run.serve(cluster, replacements, interval, settle: Int(1000 * (start + quiet)), programs)
        step("start")
        var figures = Figures()
        let socket = try ReadinessSocket(run.folder.appending(path: "ready").path)
        let began = MonotonicTime.now()
        try run.startAgent(notifying: socket.path, programs)
        var ready: UInt64?
        while ready == nil {
            ready = socket.wait(seconds: 1)
            let isLate = Double(MonotonicTime.now() - began) / 1e9 > Self.patience
            guard ready != nil || (run.agent.isRunning && !isLate) else {
                throw BenchmarkError(
                    "sluice \(isLate ? "was not ready after \(Int(Self.patience)) s" : "ended"):\n\(run.lastWords)"
                )
            }
        }
        figures.start = Double((ready ?? began) - began) / 1e9
        figures.peak = run.status("VmHWM:")
        step("settling")
        Thread.sleep(forTimeInterval: Self.settling)
        figures.resident = run.status("VmRSS:")
        figures.anonymous = run.status("RssAnon:")
        step("idle")
        let (cpu, sleeps) = (run.cpuSeconds, run.sleeps)
        Thread.sleep(forTimeInterval: idle)
        figures.idleCPU = run.cpuSeconds - cpu
        figures.idleSleeps = run.sleeps.map { $1 - (sleeps[$0] ?? 0) }.reduce(0, +)
        if replacements > 0 {
            figures.events = try run.followReplacements(replacements) { step("endpoint replaced \($0)") }
        }
        return figures
    }

    private func serve(
        _ cluster: ClusterSize, _ replacements: Int, _ interval: Int, settle: Int, _ programs: URL
    ) throws {
        server.executableURL = programs.appending(path: "ClusterAPIServer")
        server.arguments = [
            "--folder", folder.path, "--services", "\(cluster.services)", "--endpoints",
            "\(cluster.endpoints)",
            "--replacements", "\(replacements)", "--interval", "\(interval)", "--settle", "\(settle)",
        ]
        server.standardInput = serverInput
        server.standardOutput = serverOutput
        try namespace.run { try server.run() }
        guard serverOutput.fileHandleForReading.nextLine(patience: Self.patience) != nil else {
            throw BenchmarkError("ClusterAPIServer didn't serve")
        }
    }

    private var logPath: String { folder.appending(path: "sluice.log").path }
    /// The end of its log, for who wants to know why.
    private var lastWords: Substring {
        ((try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "").suffix(2000)
    }

    private func startAgent(notifying socket: String, _ programs: URL) throws {
        agent.executableURL = programs.appending(path: "sluice")
        agent.arguments = [
            "run", "--kubeconfig", folder.appending(path: "kubeconfig").path, "--hostname-override",
            GeneratedCluster.nodeName(0), "--conntrack-max-per-core", "0",
        ]
        agent.environment = ProcessInfo.processInfo.environment.merging(["NOTIFY_SOCKET": socket]) { $1 }
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        agent.standardError = FileHandle(forWritingAtPath: logPath)
        agent.standardInput = FileHandle.nullDevice
        try namespace.run { try agent.run() }
    }

    /// - Returns: for each replacement, the seconds from its event's last byte to the rules in force.
    private func followReplacements(_ count: Int, _ step: (Int) -> Void) throws -> [Double] {
        struct Replacement: Decodable {
            let stored: UInt64
            let written: UInt64

            enum CodingKeys: String, CodingKey {
                case stored = "stored_ns"
                case written = "written_ns"
            }
        }
        let listener = try TransactionListener(in: namespace)
        listener.start()
        defer { listener.stop() }
        var replaced: [Replacement] = []
        for number in 1...count {
            guard let line = serverOutput.fileHandleForReading.nextLine(patience: Self.patience) else {
                break
            }
            replaced.append(try JSONDecoder().decode(Replacement.self, from: Data(line.utf8)))
            if number % 20 == 0 { step(number) }
        }
        // The last one's transaction.
        Thread.sleep(forTimeInterval: 0.5)
        let heard = listener.heard
        guard replaced.count == count, heard.count >= count else {
            throw BenchmarkError(
                """
                \(replaced.count) of \(count) endpoints were replaced, \(heard.count) transactions heard
                \(lastWords)
                """)
        }
        return replaced.compactMap { replacement in
            heard.first { $0 > replacement.stored }.map {
                (Double($0) - Double(replacement.written)) / 1e9
            }
        }
    }

    private func end() {
        if agent.isRunning {
            agent.terminate()
            agent.waitUntilExit()
        }
        if server.isRunning {
            try? serverInput.fileHandleForWriting.close()
            server.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: folder)
    }

    // MARK: The process, from outside

    private func read(_ file: String) -> String {
        (try? String(contentsOfFile: "/proc/\(agent.processIdentifier)/\(file)", encoding: .utf8)) ?? ""
    }

    private func status(_ key: String) -> Int {
        MemoryStatus.bytes(key, of: "\(agent.processIdentifier)")
    }

    private func number(after key: String, in text: String) -> Int {
        let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
        return line?.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }.first ?? 0
    }

    private var cpuSeconds: Double {
        let ticks = read("stat").split(separator: ") ").last?.split(separator: " ").dropFirst(11).prefix(2)
        return Double(ticks?.compactMap { Int($0) }.reduce(0, +) ?? 0) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// How often each of its threads has waited.
    private var sleeps: [String: Int] {
        let folder = "/proc/\(agent.processIdentifier)/task"
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return Dictionary(
            uniqueKeysWithValues: threads.map {
                ($0, number(after: "voluntary_ctxt_switches:", in: read("task/\($0)/status")))
            })
    }
}

/// Where a program that a service manager starts says that it is ready (sd_notify(3)).
struct ReadinessSocket: ~Copyable {
    let path: String
    private let descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        unlink(path)
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard isBound == 0 else { throw BenchmarkError("bind \(path): \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// When the first message came, in nanoseconds of CLOCK_MONOTONIC; nil when none came in that time.
    func wait(seconds: Double) -> UInt64? {
        var patience = timeval(tv_sec: Int(seconds), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var buffer = [UInt8](repeating: 0, count: 256)
        return recv(descriptor, &buffer, buffer.count, 0) > 0 ? MonotonicTime.now() : nil
    }
}

extension FileHandle {
    /// The next line, without its end; nil at the end, or when nothing comes for so many seconds. A byte at a time: what
    /// follows is for the next call.
    fileprivate func nextLine(patience: Double) -> String? {
        var line: [UInt8] = []
        var waiting = pollfd(fd: fileDescriptor, events: Int16(POLLIN), revents: 0)
        while poll(&waiting, 1, Int32(patience * 1000)) > 0, let byte = try? read(upToCount: 1),
            let first = byte.first
        {
            if first == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            line.append(first)
        }
        return nil
    }
}
