import Glibc

/// The two address families a service address can have (RFC 791, RFC 8200).
public enum AddressFamily: UInt8, Sendable, Hashable, CaseIterable, Comparable {
    case ipv4 = 4
    case ipv6 = 6

    /// Length of an address of this family, in bytes.
    public var addressLength: Int { self == .ipv4 ? 4 : 16 }

    /// Length of an address of this family, in bits.
    public var bitWidth: Int { addressLength * 8 }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// `IPv4`, `IPv6`: as Kubernetes writes it, too.
    public var name: String { self == .ipv4 ? "IPv4" : "IPv6" }
}

/// An IPv4 or IPv6 address without zone, held as a number so that comparing and hashing are cheap.
public struct IPAddress: Hashable, Sendable {
    /// The upper 64 bits of an IPv6 address in host byte order; 0 for IPv4.
    public let high: UInt64
    /// The lower 64 bits of an IPv6 address, or the 32 bits of an IPv4 address, in host byte order.
    public let low: UInt64
    /// Last, so that a port or a flag beside the address lies in the same word: large clusters have hundreds of
    /// thousands of those pairs, of 24 bytes instead of 32.
    public let family: AddressFamily

    /// An IPv4 address from its 32 bits in host byte order.
    public init(ipv4 value: UInt32) {
        family = .ipv4
        high = 0
        low = UInt64(value)
    }

    /// An IPv6 address from its halves in host byte order.
    public init(high: UInt64, low: UInt64) {
        family = .ipv6
        self.high = high
        self.low = low
    }

    /// Parses dotted-quad IPv4 (no leading zeros) or RFC 4291 IPv6 text; nil when it is neither.
    ///
    /// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is the IPv4 address it maps, as in kube-proxy.
    public init?(_ text: some StringProtocol) {
        var string = String(text)
        let parsed = string.withUTF8 { Self(text: UnsafeRawBufferPointer($0)) }
        guard let parsed else { return nil }
        self = parsed
    }

    /// Parses what kube-proxy and API servers take (`netutils.ParseIPSloppy`): as above, and the numbers of IPv4
    /// may have leading zeros, which mean nothing. `010.0.0.1` is 10.0.0.1.
    ///
    /// Objects from before Kubernetes 1.22 may hold such text, and are kept as they are.
    public init?(lenient text: some StringProtocol) {
        var string = String(text)
        let parsed = string.withUTF8 { Self(lenientText: UnsafeRawBufferPointer($0)) }
        guard let parsed else { return nil }
        self = parsed
    }

    /// Parses the same from bytes; nothing goes on the heap but for IPv6 that ends in an IPv4 address.
    public init?(lenientText text: UnsafeRawBufferPointer) {
        if let address = Self.dottedQuad(text, isLenient: true) {
            self.init(ipv4: address)
            return
        }
        if let address = Self(text: text) {
            self = address
            return
        }
        // ::ffff:010.0.0.1
        guard let colon = text.lastIndex(of: UInt8(ascii: ":")), text.count <= Self.longestLenientText,
            let last = Self.dottedQuad(
                UnsafeRawBufferPointer(rebasing: text[text.index(after: colon)...]), isLenient: true)
        else { return nil }
        let beginning = String(decoding: text[...colon], as: UTF8.self)
        self.init(beginning + IPAddress(ipv4: last).description)
    }

    /// More than any number of zeros that somebody meant.
    private static let longestLenientText = 128

    /// Parses strict text from bytes, without a String or anything else on the heap.
    public init?(text: UnsafeRawBufferPointer) {
        if let address = Self.dottedQuad(text, isLenient: false) {
            self.init(ipv4: address)
            return
        }
        // inet_pton reads a C string: it would take "::1\0junk" for ::1.
        guard text.count < Int(INET6_ADDRSTRLEN), !text.contains(0) else { return nil }
        let parsed = withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.count + 1) { copy in
            UnsafeMutableRawBufferPointer(copy).copyMemory(from: text)
            copy[text.count] = 0
            var v6 = in6_addr()
            guard let start = copy.baseAddress, inet_pton(AF_INET6, start, &v6) == 1 else {
                return Self?.none
            }
            return withUnsafeBytes(of: &v6) { bytes in
                Self(
                    high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                    low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
            }
        }
        guard let parsed else { return nil }
        if parsed.high == 0, parsed.low >> 32 == 0xffff {
            self.init(ipv4: UInt32(truncatingIfNeeded: parsed.low))
        } else {
            self = parsed
        }
    }

    /// Four numbers of 0 to 255, decimal; with leading zeros only where it is lenient.
    private static func dottedQuad(_ text: UnsafeRawBufferPointer, isLenient: Bool) -> UInt32? {
        guard (7...(isLenient ? longestLenientText : 15)).contains(text.count) else { return nil }
        var address: UInt32 = 0
        var part: UInt32 = 0
        var digits = 0
        var dots = 0
        for byte in text {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if digits > 0, part == 0, !isLenient { return nil }
                part = part * 10 + UInt32(byte - UInt8(ascii: "0"))
                if part > 255 { return nil }
                digits += 1
            case UInt8(ascii: "."):
                if digits == 0 || dots == 3 { return nil }
                address = address << 8 | part
                part = 0
                digits = 0
                dots += 1
            default: return nil
            }
        }
        return dots == 3 && digits > 0 ? address << 8 | part : nil
    }

    /// An address from 4 or 16 bytes in network byte order; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4:
            self.init(ipv4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16:
            self.init(
                high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
        default:
            return nil
        }
    }

    /// The address in network byte order: 4 or 16 bytes.
    public var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(family.addressLength)
        appendBytes(to: &result)
        return result
    }

    /// Appends the address in network byte order: 4 or 16 bytes.
    public func appendBytes(to buffer: inout [UInt8]) {
        switch family {
        case .ipv4:
            for shift in stride(from: 24, through: 0, by: -8) {
                buffer.append(UInt8(truncatingIfNeeded: low >> UInt64(shift)))
            }
        case .ipv6:
            for half in [high, low] {
                for shift in stride(from: 56, through: 0, by: -8) {
                    buffer.append(UInt8(truncatingIfNeeded: half >> UInt64(shift)))
                }
            }
        }
    }

    /// True for 127.0.0.0/8 and ::1.
    public var isLoopback: Bool {
        family == .ipv4 ? low >> 24 == 127 : high == 0 && low == 1
    }

    /// True for 0.0.0.0 and ::.
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// True for 224.0.0.0/4 and ff00::/8.
    public var isMulticast: Bool {
        family == .ipv4 ? low >> 28 == 0xe : high >> 56 == 0xff
    }

    /// True for 255.255.255.255.
    public var isBroadcast: Bool { family == .ipv4 && low == 0xffff_ffff }

    /// True for 169.254.0.0/16 and fe80::/10.
    public var isLinkLocal: Bool {
        family == .ipv4 ? low >> 16 == 0xa9fe : high >> 54 == 0x3fa
    }
}

extension IPAddress: Comparable {
    public static func < (a: Self, b: Self) -> Bool {
        (a.family, a.high, a.low) < (b.family, b.high, b.low)
    }
}

extension IPAddress: CustomStringConvertible {
    /// Dotted quad, or the RFC 5952 form.
    public var description: String {
        let raw = bytes
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = self.family == .ipv4 ? AF_INET : AF_INET6
        let done = inet_ntop(family, raw, &buffer, socklen_t(buffer.count)) != nil
        precondition(done, "inet_ntop takes every 4 or 16 byte address")
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
