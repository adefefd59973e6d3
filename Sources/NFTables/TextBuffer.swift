internal import Glibc

/// Bytes of text on their way to an output stream: appending costs no allocation, and the stream gets large
/// pieces.
struct TextBuffer {
    private(set) var bytes: [UInt8] = []
    private static let limit = 1 << 16

    init() { bytes.reserveCapacity(Self.limit + 1024) }

    /// A buffer for one short text.
    init(short: Void) {}

    static func += (buffer: inout TextBuffer, text: String) { buffer.bytes.append(contentsOf: text.utf8) }

    static func += (buffer: inout TextBuffer, text: StaticString) {
        buffer.bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ byte: UInt8) { bytes.append(byte) }

    mutating func append(number: UInt64) {
        guard number >= 10 else { return bytes.append(48 + UInt8(truncatingIfNeeded: number)) }
        let start = bytes.count
        var rest = number
        while rest > 0 {
            bytes.append(48 + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        }
        bytes[start...].reverse()
    }

    mutating func append(number: some BinaryInteger) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        append(number: UInt64(number.magnitude))
    }

    /// At least `digits` hexadecimal digits, without prefix.
    mutating func append(hex number: UInt64, digits: Int) {
        var shift = max(digits * 4, (64 - number.leadingZeroBitCount + 3) / 4 * 4)
        while shift > 0 {
            shift -= 4
            let digit = UInt8(truncatingIfNeeded: number >> UInt64(shift) & 15)
            bytes.append(digit < 10 ? 48 + digit : 87 + digit)
        }
    }

    /// An IPv6 address of 16 bytes in the form of RFC 5952.
    mutating func append(ipv6 value: RegisterValue, from start: Int) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { raw in
            for i in 0..<16 { raw[i] = start + i < value.count ? value[start + i] : 0 }
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
                guard let address = raw.baseAddress, let begin = text.baseAddress,
                    inet_ntop(AF_INET6, address, begin, socklen_t(text.count)) != nil
                else { return }
                for character in text {
                    if character == 0 { break }
                    bytes.append(UInt8(bitPattern: character))
                }
            }
        }
    }

    /// Hands everything over when enough has gathered.
    mutating func drain(to output: inout some TextOutputStream, force: Bool = false) {
        guard force || bytes.count >= Self.limit else { return }
        output.write(String(decoding: bytes, as: UTF8.self))
        bytes.removeAll(keepingCapacity: true)
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }
}
