import Glibc
public import IPAddressing
public import Netlink

/// The way to the tables of legacy iptables, or ip6tables, in one network namespace: that of the thread which made it.
///
/// The kernel makes a table, and loads what it needs, for whoever asks for one. So only those may be asked for that
/// `names` tells.
public final class XTablesSocket {
    private let family: AddressFamily
    private let descriptor: Int32

    /// `IPT_BASE_CTL` and what follows; those of IPv6 have the same numbers.
    private static let (info, entries) = (Int32(64), Int32(65))
    private static let (replace, addCounters) = (Int32(64), Int32(65))
    /// `struct ipt_getinfo`, `struct ipt_get_entries`, `struct ipt_replace`, `struct xt_counters_info` without what
    /// follows them.
    private static let (infoSize, entriesSize, replaceSize, countersSize) = (84, 40, 96, 40)
    private static let nameSize = 32
    private static let counterSize = 16
    private static let hookCount = 5

    private var level: Int32 { family == .ipv4 ? Int32(IPPROTO_IP) : Int32(IPPROTO_IPV6) }

    public init(_ family: AddressFamily) throws(KernelError) {
        self.family = family
        descriptor = socket(
            family == .ipv4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0
        )
        guard descriptor >= 0 else {
            throw .read(object: "legacy tables of family \(family.tables)", errno: errno)
        }
    }

    deinit { close(descriptor) }

    /// The tables that are there in the calling thread's namespace; none where nobody has used any.
    public static func names(_ family: AddressFamily) -> [String] {
        let path = "/proc/thread-self/net/\(family == .ipv4 ? "ip" : "ip6")_tables_names"
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while text.count < 1 << 16 {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else { break }
            text += buffer.prefix(count)
        }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    // MARK: Reading

    /// Reads a table.
    ///
    /// - Parameter name: one of `names`.
    public func table(_ name: String) throws(KernelError) -> XTable {
        var info = try named(name, Self.infoSize)
        try get(Self.info, &info, name)
        let numbers = info.withUnsafeBytes { bytes in
            stride(from: Self.nameSize, to: Self.infoSize, by: 4).map {
                bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self)
            }
        }
        let size = Int(numbers[12])
        guard size <= Int(Int32.max) - Self.entriesSize else {
            throw .lost("legacy table \(family.tables) \(name): \(size) bytes")
        }
        var entries = try named(name, Self.entriesSize + size)
        Self.put(UInt32(size), in: &entries, at: Self.nameSize)
        // EAGAIN: another size by now.
        try get(Self.entries, &entries, name)
        return try XTable(
            family, name, validHooks: numbers[0], hookEntries: Array(numbers[1..<6]),
            underflows: Array(numbers[6..<11]), bytes: Array(entries[Self.entriesSize...]))
    }

    private func get(_ option: Int32, _ buffer: inout [UInt8], _ name: String) throws(KernelError) {
        let size = buffer.count
        var length = socklen_t(size)
        guard getsockopt(descriptor, level, option, &buffer, &length) == 0 else {
            throw .read(object: "legacy table \(family.tables) \(name)", errno: errno)
        }
        guard length == size else {
            throw .lost("legacy table \(family.tables) \(name): \(length) bytes in place of \(size)")
        }
    }

    // MARK: Writing

    /// Puts a table in the place of the one that it was made of, as a whole. Rules keep what they have counted.
    ///
    /// - Parameter origins: of each rule of the new table, the position in the old one.
    public func replace(_ old: XTable, by new: XTable, origins: [Int]) throws(KernelError) {
        precondition(new.rules.count == origins.count && old.name == new.name)
        var request = try named(new.name, Self.replaceSize)
        let numbers =
            [new.validHooks, UInt32(new.rules.count), UInt32(new.bytes.count)] + new.hookEntries
            + new.underflows + [UInt32(old.rules.count)]
        for (index, number) in numbers.enumerated() {
            Self.put(number, in: &request, at: Self.nameSize + 4 * index)
        }
        request += new.bytes
        // What the old rules had counted when they went.
        var counted = [UInt64](repeating: 0, count: old.rules.count * 2)
        let result = counted.withUnsafeMutableBufferPointer { counters in
            let address = UInt64(UInt(bitPattern: counters.baseAddress))
            withUnsafeBytes(of: address) { bytes in
                for (index, byte) in bytes.enumerated() { request[Self.replaceSize - 8 + index] = byte }
            }
            return setsockopt(descriptor, level, Self.replace, request, socklen_t(request.count))
        }
        guard result == 0 else { throw refusal("replace", new.name) }
        var counters = try named(new.name, Self.countersSize)
        Self.put(UInt32(new.rules.count), in: &counters, at: Self.nameSize)
        counters.reserveCapacity(counters.count + origins.count * Self.counterSize)
        for origin in origins {
            for half in 0..<2 {
                withUnsafeBytes(of: counted[2 * origin + half]) { counters += $0 }
            }
        }
        guard setsockopt(descriptor, level, Self.addCounters, counters, socklen_t(counters.count)) == 0 else {
            throw refusal("count on in", new.name)
        }
    }

    private func refusal(_ verb: String, _ name: String) -> KernelError {
        .refused([.init(operation: "\(verb) legacy table \(family.tables) \(name)", errno: errno)])
    }

    /// A request that begins with the table's name.
    private func named(_ name: String, _ size: Int) throws(KernelError) -> [UInt8] {
        let text = Array(name.utf8)
        guard text.count < Self.nameSize else { throw .unencodable("legacy table name \(name)") }
        return text + [UInt8](repeating: 0, count: size - text.count)
    }

    private static func put(_ value: UInt32, in bytes: inout [UInt8], at offset: Int) {
        withUnsafeBytes(of: value) { value in
            for (index, byte) in value.enumerated() { bytes[offset + index] = byte }
        }
    }
}
