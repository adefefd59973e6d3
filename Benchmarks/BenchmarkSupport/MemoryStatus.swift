import Foundation

/// The memory of a process, as `/proc/<pid>/status` tells it.
public enum MemoryStatus {
    /// A line, such as `VmRSS:`, in bytes; 0 where there is none.
    public static func bytes(_ key: String, of process: String = "self") -> Int {
        let lines = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = lines.split(separator: "\n").first { $0.hasPrefix(key) }
        return (line?.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }.first ?? 0) << 10
    }
}
