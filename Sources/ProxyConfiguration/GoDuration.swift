/// Durations as Go writes them (package time, `ParseDuration` and `Duration.String`): `1h30m`, `1.5s`, `250ms`.
public struct GoDuration: Sendable, Hashable {
    /// In nanoseconds.
    public let nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Cut to whole nanoseconds, and to the ±292 years that Go has.
    public init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: Self.second)
        let (sum, carry) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        nanoseconds = overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }

    public var duration: Duration { .nanoseconds(nanoseconds) }

    private static let second: Int64 = 1_000_000_000

    /// Longest first, as they are written. Go takes the micro sign and the Greek letter, and writes the former.
    private static let units: [String: UInt64] = [
        "ns": 1, "us": 1_000, "\u{b5}s": 1_000, "\u{3bc}s": 1_000, "ms": 1_000_000, "s": 1_000_000_000,
        "m": 60_000_000_000, "h": 3_600_000_000_000,
    ]

    /// Parses a sign, then numbers with units (`h`, `m`, `s`, `ms`, `us`, `µs`, `ns`), with fractions or without;
    /// only 0 goes without unit. Nil for anything else, and for what doesn't fit.
    public init?(_ text: String) {
        // By scalars: as characters, a unit may join with what follows it.
        var rest = text.unicodeScalars[...]
        var isNegative = false
        if let sign = rest.first, sign == "-" || sign == "+" {
            isNegative = sign == "-"
            rest.removeFirst()
        }
        if rest.elementsEqual("0".unicodeScalars) {
            nanoseconds = 0
            return
        }
        guard !rest.isEmpty else { return nil }
        var total: UInt64 = 0
        while !rest.isEmpty {
            guard let part = Self.part(&rest) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow, sum <= UInt64(Int64.max) + 1 else { return nil }
            total = sum
        }
        guard total <= UInt64(Int64.max) else {
            // Only the least number has no positive counterpart.
            guard isNegative else { return nil }
            nanoseconds = .min
            return
        }
        nanoseconds = isNegative ? -Int64(total) : Int64(total)
    }

    /// Takes one number with its unit, as nanoseconds.
    private static func part(_ rest: inout Substring.UnicodeScalarView) -> UInt64? {
        let whole = digits(&rest)
        var fraction = Substring.UnicodeScalarView()
        var hasDigits = !whole.isEmpty
        if rest.first == "." {
            rest.removeFirst()
            fraction = digits(&rest)
            hasDigits = hasDigits || !fraction.isEmpty
        }
        let name = rest.prefix { $0 != "." && !("0"..."9").contains($0) }
        guard hasDigits, let unit = units[String(name)] else { return nil }
        rest.removeFirst(name.count)
        guard let number = whole.isEmpty ? 0 : UInt64(String(whole)) else { return nil }
        let (scaled, overflow) = number.multipliedReportingOverflow(by: unit)
        guard !overflow, scaled <= UInt64(Int64.max) + 1 else { return nil }
        return scaled + part(fraction, of: unit)
    }

    /// A fraction of a unit, cut to whole nanoseconds. Digits beyond the 18th are below any unit's nanosecond.
    private static func part(_ fraction: Substring.UnicodeScalarView, of unit: UInt64) -> UInt64 {
        var (value, scale): (UInt64, UInt64) = (0, 1)
        for digit in fraction.prefix(18) {
            value = value * 10 + UInt64(digit.value - 48)
            scale *= 10
        }
        let (high, low) = unit.multipliedFullWidth(by: value)
        return scale.dividingFullWidth((high, low)).quotient
    }

    private static func digits(_ rest: inout Substring.UnicodeScalarView) -> Substring.UnicodeScalarView {
        let digits = rest.prefix { ("0"..."9").contains($0) }
        rest.removeFirst(digits.count)
        return digits
    }
}

extension GoDuration: CustomStringConvertible {
    /// As Go prints it: `1h0m0s`, `1m30.5s`, `250ms`, `0s`.
    public var description: String {
        guard nanoseconds != 0 else { return "0s" }
        let sign = nanoseconds < 0 ? "-" : ""
        let magnitude = nanoseconds.magnitude
        if magnitude < 1_000 { return "\(sign)\(magnitude)ns" }
        if magnitude < 1_000_000 { return sign + Self.decimal(magnitude, 1_000) + "\u{b5}s" }
        if magnitude < 1_000_000_000 { return sign + Self.decimal(magnitude, 1_000_000) + "ms" }
        let minutes = magnitude / 60_000_000_000
        let seconds = Self.decimal(magnitude % 60_000_000_000, 1_000_000_000) + "s"
        if minutes == 0 { return sign + seconds }
        return minutes < 60
            ? "\(sign)\(minutes)m\(seconds)" : "\(sign)\(minutes / 60)h\(minutes % 60)m\(seconds)"
    }

    private static func decimal(_ value: UInt64, _ unit: UInt64) -> String {
        let (whole, fraction) = value.quotientAndRemainder(dividingBy: unit)
        guard fraction > 0 else { return "\(whole)" }
        // The unit is a power of ten: with it in front, the fraction keeps its leading zeros.
        var digits = String(unit + fraction).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(whole).\(digits)"
    }
}
