/// Values in nft's notation.
enum ValueText {
    /// One value of `kind`, from `start` on in the bytes.
    static func write(
        _ value: RegisterValue, from start: Int = 0, _ kind: ValueKind, to buffer: inout TextBuffer
    ) {
        func byte(_ offset: Int) -> UInt8 { start + offset < value.count ? value[start + offset] : 0 }
        func host() -> UInt32 {
            UInt32(littleEndian: (0..<4).reduce(0) { $0 | UInt32(byte($1)) << UInt32($1 * 8) })
        }
        switch kind {
        case .ipv4Address:
            for i in 0..<4 {
                if i > 0 { buffer.append(UInt8(ascii: ".")) }
                buffer.append(number: UInt64(byte(i)))
            }
        case .ipv6Address: buffer.append(ipv6: value, from: start)
        case .etherAddress:
            for i in 0..<6 {
                if i > 0 { buffer.append(UInt8(ascii: ":")) }
                buffer.append(hex: UInt64(byte(i)), digits: 2)
            }
        case .internetProtocol:
            let number = InternetProtocol(rawValue: byte(0))
            if let name = number.name { buffer += name } else { buffer.append(number: number.rawValue) }
        case .port: buffer.append(number: UInt64(byte(0)) << 8 | UInt64(byte(1)))
        case .interfaceName: writeInterfaceName(value, from: start, to: &buffer)
        case .interfaceIndex: buffer.append(number: host())
        case .hostNumber: buffer.append(number: host())
        case .mark:
            buffer += "0x"
            buffer.append(hex: UInt64(host()), digits: 8)
        case .networkNumber:
            buffer += "0x"
            let first = (start..<value.count).first { value[$0] != 0 } ?? max(start, value.count - 1)
            for i in first..<value.count { buffer.append(hex: UInt64(value[i]), digits: i == first ? 1 : 2) }
        case .ctState: writeFlags(host(), ctStateNames, to: &buffer)
        case .ctStatus: writeFlags(host(), ctStatusNames, to: &buffer)
        case .ctDirection: buffer += byte(0) == 0 ? "original" : "reply"
        case .etherType:
            switch (byte(0), byte(1)) {
            case (0x08, 0x00): buffer += "ip"
            case (0x86, 0xdd): buffer += "ip6"
            case (0x08, 0x06): buffer += "arp"
            default:
                buffer += "0x"
                buffer.append(hex: UInt64(byte(0)) << 8 | UInt64(byte(1)), digits: 4)
            }
        case .nfproto:
            switch byte(0) {
            case 2: buffer += "ipv4"
            case 10: buffer += "ipv6"
            default: buffer.append(number: byte(0))
            }
        case .addressType: writeAddressType(host(), to: &buffer)
        }
    }

    /// Names of a bit set, comma between; a number where a bit has no name.
    static func writeFlags(
        _ bits: UInt32, _ names: [(bit: UInt32, name: StaticString)], separator: StaticString = ",",
        to buffer: inout TextBuffer
    ) {
        let known = names.filter { bits & $0.bit != 0 }
        guard !known.isEmpty, known.reduce(0, { $0 | $1.bit }) == bits else {
            buffer += "0x"
            buffer.append(hex: UInt64(bits), digits: 1)
            return
        }
        for (index, flag) in known.enumerated() {
            if index > 0 { buffer += separator }
            buffer += flag.name
        }
    }

    /// `enum ip_conntrack_info` as state bits (`NF_CT_STATE_BIT`).
    static let ctStateNames: [(bit: UInt32, name: StaticString)] = [
        (1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked"),
    ]

    /// `enum ip_conntrack_status`, those that nft names.
    static let ctStatusNames: [(bit: UInt32, name: StaticString)] = [
        (1, "expected"), (2, "seen-reply"), (4, "assured"), (8, "confirmed"), (16, "snat"), (32, "dnat"),
        (512, "dying"),
    ]

    /// `RTN_*` of linux/rtnetlink.h.
    private static func writeAddressType(_ type: UInt32, to buffer: inout TextBuffer) {
        switch type {
        case 1: buffer += "unicast"
        case 2: buffer += "local"
        case 3: buffer += "broadcast"
        case 4: buffer += "anycast"
        case 5: buffer += "multicast"
        case 6: buffer += "blackhole"
        case 7: buffer += "unreachable"
        case 8: buffer += "prohibit"
        default: buffer.append(number: type)
        }
    }

    private static func writeInterfaceName(
        _ value: RegisterValue, from start: Int, to buffer: inout TextBuffer, suffix: StaticString = ""
    ) {
        buffer += "\""
        for i in start..<min(value.count, start + 16) {
            let byte = value[i]
            if byte == 0 { break }
            buffer.append(byte)
        }
        buffer += suffix
        buffer += "\""
    }

    /// `"cni*"`
    static func writeInterfaceBeginning(_ value: RegisterValue, to buffer: inout TextBuffer) {
        writeInterfaceName(value, from: 0, to: &buffer, suffix: "*")
    }

    /// A set's key or a map's data: `a . b . c`.
    static func write(_ value: RegisterValue, _ shape: Shape, to buffer: inout TextBuffer) {
        var start = 0
        for (index, type) in shape.types.enumerated() {
            if index > 0 { buffer += " . " }
            write(value, from: start, ValueKind(type), to: &buffer)
            start += (type.length + 3) / 4 * 4
        }
    }

    static func write(_ verdict: Verdict, to buffer: inout TextBuffer) {
        switch verdict {
        case .accept: buffer += "accept"
        case .drop: buffer += "drop"
        case .continue: buffer += "continue"
        case .return: buffer += "return"
        case .jump(let chain):
            buffer += "jump "
            buffer += chain
        case .goto(let chain):
            buffer += "goto "
            buffer += chain
        }
    }

    /// Milliseconds as `1d2h3m4s5ms`.
    static func write(milliseconds: UInt64, to buffer: inout TextBuffer) {
        guard milliseconds > 0 else {
            buffer += "0s"
            return
        }
        var rest = milliseconds
        let units: [(length: UInt64, name: StaticString)] = [
            (86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"),
        ]
        for unit in units where rest >= unit.length {
            buffer.append(number: rest / unit.length)
            buffer += unit.name
            rest %= unit.length
        }
    }
}

/// Comments that nft can read back.
public enum Comment {
    /// `NFTNL_UDATA_COMMENT_MAXLEN`: nft 1.0.6 takes so many bytes and refuses one more.
    public static let maximumCount = 128

    /// The text as nft's string literal can hold it: it knows no escape, so a double quote becomes a single one;
    /// control characters, which would garble a terminal, become spaces; and what is longer than 128 bytes of
    /// UTF-8 is cut before a character.
    ///
    /// A comment that went through this is printed as it is, so that text and kernel agree byte for byte.
    public static func sanitized(_ text: String) -> String {
        if text.utf8.count <= maximumCount, text.utf8.allSatisfy({ $0 >= 32 && $0 != 34 && $0 < 127 }) {
            return text
        }
        var result = String.UnicodeScalarView()
        var count = 0
        for scalar in text.unicodeScalars {
            let kept: Unicode.Scalar =
                switch scalar.value {
                case 34: "'"
                case 0..<32, 127..<160: " "
                default: scalar
                }
            count += UTF8.width(kept)
            guard count <= maximumCount else { break }
            result.append(kept)
        }
        return String(result)
    }
}
