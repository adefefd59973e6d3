import Glibc

/// The metrics that every process has by Prometheus' convention, from /proc (proc(5)) and getrlimit(2).
///
/// What can't be read is left out.
public struct ProcessMetrics: Sendable {
    private let root: String
    /// When the machine started, in seconds since 1970. Found out once: a start time must not move with each
    /// correction of the clock.
    private let bootTime: Double

    /// - Parameter root: where procfs is.
    public init(root: String = "/proc") {
        self.root = root
        bootTime = Self.now(CLOCK_REALTIME) - Self.now(CLOCK_BOOTTIME)
    }

    public func families() -> [MetricFamily] {
        var families: [MetricFamily] = []
        func add(_ name: String, _ help: String, _ value: Double?, kind: MetricFamily.Kind = .gauge) {
            guard let value else { return }
            families.append(MetricFamily(name: name, help: help, kind: kind, value: value))
        }
        if let status = read("/self/stat").flatMap({ ProcessStatus($0) }) {
            let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
            add(
                "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                Double(status.cpuTicks) / ticks, kind: .counter)
            add(
                "process_resident_memory_bytes", "Resident memory size in bytes.",
                Double(status.residentPages) * Double(max(1, sysconf(Int32(_SC_PAGESIZE)))))
            add(
                "process_virtual_memory_bytes", "Virtual memory size in bytes.", Double(status.virtualBytes))
            add("process_threads", "Number of OS threads in the process.", Double(status.threads))
            add(
                "process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
                bootTime + Double(status.startTicks) / ticks)
        }
        add("process_open_fds", "Number of open file descriptors.", openDescriptors.map(Double.init))
        add("process_max_fds", "Maximum number of open file descriptors.", Self.limit(RLIMIT_NOFILE))
        add(
            "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.",
            Self.limit(RLIMIT_AS))
        return families
    }

    private static func now(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private var openDescriptors: Int? {
        guard let directory = opendir(root + "/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Not the directory's own descriptor, nor . and ..
        return max(0, count - 3)
    }

    /// The soft limit; nil when there is none to be told.
    private static func limit(_ resource: __rlimit_resource) -> Double? {
        var limit = rlimit()
        guard getrlimit(Int32(resource.rawValue), &limit) == 0 else { return nil }
        return limit.rlim_cur == rlim_t.max ? .infinity : Double(limit.rlim_cur)
    }

    /// The first 4 KiB of a file.
    private func read(_ path: String) -> String? {
        let file = open(root + path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(file, &text, text.count)
        guard count > 0 else { return nil }
        return String(decoding: text.prefix(count), as: UTF8.self)
    }
}

/// What is read of /proc/PID/stat.
struct ProcessStatus: Equatable {
    /// User and system time.
    let cpuTicks: UInt64
    let threads: UInt64
    /// From the machine's boot to the process' start.
    let startTicks: UInt64
    let virtualBytes: UInt64
    let residentPages: UInt64

    init?(_ text: String) {
        // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
        /// By its number in proc(5); the first of `fields` is the third.
        func field(_ number: Int) -> UInt64? {
            fields.indices.contains(number - 3) ? UInt64(fields[number - 3]) : nil
        }
        guard let user = field(14), let system = field(15), let threads = field(20), let start = field(22),
            let virtual = field(23), let resident = field(24)
        else { return nil }
        cpuTicks = user &+ system
        self.threads = threads
        startTicks = start
        virtualBytes = virtual
        residentPages = resident
    }
}
