/// Up to 64 bytes as they lie in consecutive nf_tables registers: a set key, map data or a constant.
///
/// The first 32 bytes are held inline, so that the keys and data of address maps need no heap.
public struct RegisterValue: Sendable {
    private var inline: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var overflow: [UInt8]?
    private var length: UInt8 = 0

    /// `NFT_DATA_VALUE_MAXLEN`.
    public static let maximumCount = 64
    private static let inlineCount = 32

    public init() {}

    /// The given bytes, unpadded.
    public init(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { append(byte) }
    }

    /// The given bytes, unpadded; all at once where they are 32 or fewer.
    public init(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.inlineCount else {
            for byte in bytes { append(byte) }
            return
        }
        withUnsafeMutableBytes(of: &inline) { $0.copyMemory(from: bytes) }
        length = UInt8(bytes.count)
    }

    /// Number of bytes.
    public var count: Int { Int(length) }
    public var isEmpty: Bool { length == 0 }

    public mutating func append(_ byte: UInt8) {
        let position = Int(length)
        precondition(position < Self.maximumCount, "a register value holds 64 bytes at most")
        if position < Self.inlineCount {
            withUnsafeMutableBytes(of: &inline) { $0[position] = byte }
        } else {
            overflow = (overflow ?? []) + [byte]
        }
        length += 1
    }

    /// Appends bytes and pads with zeros to whole 4-byte registers, as each field of a concatenation is.
    public mutating func appendField(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { append(byte) }
        while length % 4 != 0 { append(0) }
    }

    /// Appends an 8-bit number, padded to one register: a transport protocol.
    public mutating func appendField(_ value: UInt8) {
        appendRegister((UInt32(value) << 24).bigEndian)
    }

    /// Appends a 16-bit number in network byte order, padded to one register: a port.
    public mutating func appendField(bigEndian value: UInt16) {
        appendRegister((UInt32(value) << 16).bigEndian)
    }

    /// Appends a 32-bit number in network byte order: an IPv4 address.
    public mutating func appendField(bigEndian value: UInt32) { appendRegister(value.bigEndian) }

    /// Appends a 64-bit number in network byte order: half an IPv6 address.
    public mutating func appendField(bigEndian value: UInt64) {
        appendField(bigEndian: UInt32(truncatingIfNeeded: value >> 32))
        appendField(bigEndian: UInt32(truncatingIfNeeded: value))
    }

    /// Appends a whole register as it lies in memory. Large rulesets have hundreds of thousands of keys, so this doesn't
    /// go byte by byte.
    private mutating func appendRegister(_ value: UInt32) {
        while length % 4 != 0 { append(0) }
        let position = Int(length)
        guard position + 4 <= Self.inlineCount else {
            withUnsafeBytes(of: value) { bytes in
                for byte in bytes { append(byte) }
            }
            return
        }
        withUnsafeMutableBytes(of: &inline) {
            $0.storeBytes(of: value, toByteOffset: position, as: UInt32.self)
        }
        length += 4
    }

    public subscript(index: Int) -> UInt8 {
        precondition(index < count)
        if index < Self.inlineCount {
            return withUnsafeBytes(of: inline) { $0[index] }
        }
        return overflow?[index - Self.inlineCount] ?? 0
    }

    /// The bytes, in register order.
    public var bytes: [UInt8] {
        var result = withUnsafeBytes(of: inline) { Array($0.prefix(min(count, Self.inlineCount))) }
        if let overflow { result += overflow }
        return result
    }

    /// Gives access to the bytes without copying them to the heap where they are 32 or fewer.
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        if overflow != nil {
            let all = bytes
            return try withBuffer(of: all, body)
        }
        let count = self.count
        return try withUnsafeBytes(of: inline) { (all: UnsafeRawBufferPointer) throws(Failure) -> Result in
            try body(UnsafeRawBufferPointer(rebasing: all[..<count]))
        }
    }

    private func withBuffer<Result, Failure: Error>(
        of array: [UInt8], _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try array.withUnsafeBufferPointer { (buffer) throws(Failure) -> Result in
            try body(UnsafeRawBufferPointer(buffer))
        }
    }
}

extension RegisterValue: Hashable {
    public static func == (a: Self, b: Self) -> Bool {
        a.length == b.length && a.inline == b.inline && a.overflow == b.overflow
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(length)
        hasher.combine(inline.0)
        hasher.combine(inline.1)
        if length > 16 {
            hasher.combine(inline.2)
            hasher.combine(inline.3)
            hasher.combine(overflow)
        }
    }
}

extension RegisterValue: Comparable {
    /// Byte-wise order, as for numbers in network byte order.
    public static func < (a: Self, b: Self) -> Bool {
        // Bytes that aren't there are zero, so whole words compare as the bytes do; only where all are equal does
        // the length decide.
        if a.inline.0 != b.inline.0 { return a.inline.0.bigEndian < b.inline.0.bigEndian }
        if a.inline.1 != b.inline.1 { return a.inline.1.bigEndian < b.inline.1.bigEndian }
        if a.inline.2 != b.inline.2 { return a.inline.2.bigEndian < b.inline.2.bigEndian }
        if a.inline.3 != b.inline.3 { return a.inline.3.bigEndian < b.inline.3.bigEndian }
        if a.overflow != b.overflow { return (a.overflow ?? []).lexicographicallyPrecedes(b.overflow ?? []) }
        return a.length < b.length
    }
}

extension RegisterValue: CustomStringConvertible {
    /// Hexadecimal, two digits a byte.
    public var description: String {
        let digits = Array("0123456789abcdef")
        return "0x" + String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
