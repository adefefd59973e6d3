import Foundation

/// What the figures were made on.
public struct Machine: Codable, Sendable {
    public let cores: Int
    public let kernel: String
    /// Entries that connection tracking holds at most, and buckets of its hash table; 0 where it isn't loaded.
    public let conntrackMax: Int
    public let conntrackBuckets: Int

    public static var here: Machine {
        var names = utsname()
        uname(&names)
        let release = withUnsafeBytes(of: names.release) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return Machine(
            cores: ProcessInfo.processInfo.activeProcessorCount, kernel: release,
            conntrackMax: sysctl("nf_conntrack_max"), conntrackBuckets: sysctl("nf_conntrack_buckets"))
    }

    public var description: String { "\(cores) cores, Linux \(kernel)" }

    private static func sysctl(_ name: String) -> Int {
        let text = try? String(contentsOfFile: "/proc/sys/net/netfilter/\(name)", encoding: .utf8)
        return text.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) } ?? 0
    }
}

/// What was measured, for programs.
public protocol MachineReadable: Encodable {}

extension MachineReadable {
    public var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}
