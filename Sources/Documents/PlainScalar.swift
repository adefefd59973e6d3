/// YAML 1.1's plain scalars, to the extent that kubectl knows them.
package enum PlainScalar {
    /// The JSON token of a null, boolean or number; nil for a string.
    package static func json(_ text: String) -> String? {
        switch text {
        case "", "~", "null", "Null", "NULL": return "null"
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return "true"
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return "false"
        default: break
        }
        guard let first = text.utf8.first, text.utf8.count <= 64,
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) || "+-.".utf8.contains(first)
        else { return nil }
        return integer(text) ?? float(text)
    }

    private static func integer(_ text: String) -> String? {
        let digits = text.drop { $0 == "+" || $0 == "-" }
        guard text.count - digits.count <= 1 else { return nil }
        let sign = text.hasPrefix("-") ? "-" : ""
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            return UInt64(digits.dropFirst(2), radix: radix).map { "\(sign)\($0)" }
        }
        if digits.count > 1, digits.hasPrefix("0") {
            return UInt64(digits, radix: 8).map { "\(sign)\($0)" }
        }
        return UInt64(digits).map { "\(sign)\($0)" }
    }

    private static func float(_ text: String) -> String? {
        let isDecimal = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-.eE".utf8.contains(byte)
        }
        guard isDecimal, let number = Double(text), number.isFinite else { return nil }
        return String(number)
    }
}
