/// Text from outside, made fit to stand in a one-line message.
package enum Text {
    /// `value` between double quotes: printable ASCII as it is, the rest as `\n` or `\u{…}`, and
    /// cut after 80 scalars, so that no input can forge a second line or hide part of one.
    package static func quoted(_ value: String) -> String {
        let limit = 80
        var result = "\""
        for (count, scalar) in value.unicodeScalars.enumerated() {
            if count == limit {
                result += "…"
                break
            }
            switch scalar {
            case "\"", "\\": result += "\\" + String(scalar)
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case " "..."~": result.unicodeScalars.append(scalar)
            default: result += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return result + "\""
    }

    /// RFC 1123 label: 1 to 63 of a-z, 0-9 and `-`, with `-` neither first nor last.
    package static func isLabel(_ value: String) -> Bool {
        let bytes = value.utf8
        guard (1...63).contains(bytes.count), bytes.first != UInt8(ascii: "-"),
            bytes.last != UInt8(ascii: "-")
        else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    /// RFC 1123 subdomain: labels joined by dots, at most 253 bytes in all.
    package static func isSubdomain(_ value: String) -> Bool {
        var value = value
        return value.withUTF8 { isSubdomain(UnsafeRawBufferPointer($0)) }
    }

    /// The same for the bytes of a string.
    package static func isSubdomain(_ value: UnsafeRawBufferPointer) -> Bool {
        // Kubernetes bounds the whole name alone, so a part may be longer than 63.
        guard (1...253).contains(value.count) else { return false }
        let (dot, hyphen) = (UInt8(ascii: "."), UInt8(ascii: "-"))
        var previous = dot
        for byte in value {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): break
            case hyphen: if previous == dot { return false }
            case dot: if previous == dot || previous == hyphen { return false }
            default: return false
            }
            previous = byte
        }
        return previous != dot && previous != hyphen
    }

    /// True for printable ASCII without quotes, up to `limit` bytes.
    package static func isPlain(_ value: String, limit: Int = 80) -> Bool {
        value.utf8.count <= limit
            && value.utf8.allSatisfy { (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "\"") }
    }

    package static let labelRule = "a DNS label (a-z, 0-9 and '-', at most 63)"
    package static let subdomainRule = "a DNS subdomain (a-z, 0-9, '-' and '.', at most 253)"
}
