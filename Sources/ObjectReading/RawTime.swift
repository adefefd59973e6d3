/// A point in time, as RFC 3339 text or as `meta/v1 Time`.
package struct RawTime: Sendable, Equatable {
    /// Since 1970, rounded down.
    package var seconds: Int64
    /// Beyond `seconds`, 0 to 999,999,999.
    package var nanoseconds: Int64

    package init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// Nanoseconds since 1970; nil in the years before 1678 and after 2261, which 64 bits can't tell.
    package var sinceEpoch: Int64? {
        let (product, isTooFar) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, isFurther) = product.addingReportingOverflow(nanoseconds)
        return isTooFar || isFurther ? nil : sum
    }
}

extension RawTime: Decodable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let time = Self(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not RFC 3339")
        }
        self = time
    }
}

extension RawTime {
    /// Parses `2026-01-02T03:04:05.678901234+01:00` (RFC 3339, 5.6); nil when it isn't that.
    ///
    /// Foundation's parser takes one form, with or without a fraction, and gives a Double, which keeps no
    /// nanoseconds.
    package init?(_ text: String) {
        var text = text
        let time = text.withUTF8 { bytes in
            var parser = TimeParser(bytes: bytes[...])
            return parser.time()
        }
        guard let time else { return nil }
        self = time
    }
}

private struct TimeParser {
    var bytes: Slice<UnsafeBufferPointer<UInt8>>

    mutating func time() -> RawTime? {
        guard let year = number(digits: 4), take("-"), let month = number(digits: 2), take("-"),
            let day = number(digits: 2), take("T") || take("t") || take(" "),
            let hour = number(digits: 2), take(":"), let minute = number(digits: 2), take(":"),
            let second = number(digits: 2),
            (1...12).contains(month), (1...Self.days(in: month, of: year)).contains(day),
            hour < 24, minute < 60, second <= 60,
            let nanoseconds = fraction(), let offset = offset(), bytes.isEmpty
        else { return nil }
        let days = Self.daysSinceEpoch(year, month, day)
        return RawTime(
            seconds: Int64(days * 86_400 + hour * 3600 + minute * 60 + second - offset),
            nanoseconds: nanoseconds)
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard bytes.first == UInt8(ascii: character) else { return false }
        bytes.removeFirst()
        return true
    }

    private mutating func digit() -> Int? {
        guard let first = bytes.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return nil
        }
        bytes.removeFirst()
        return Int(first - UInt8(ascii: "0"))
    }

    private mutating func number(digits: Int) -> Int? {
        var number = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            number = number * 10 + digit
        }
        return number
    }

    /// Nanoseconds; digits beyond the ninth are dropped.
    private mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        guard var value = digit() else { return nil }
        var count = 1
        while let digit = digit() {
            guard count < 9 else { continue }
            value = value * 10 + digit
            count += 1
        }
        while count < 9 {
            value *= 10
            count += 1
        }
        return Int64(value)
    }

    /// Seconds east of UTC.
    private mutating func offset() -> Int? {
        if take("Z") || take("z") { return 0 }
        let isEast = take("+")
        guard isEast || take("-"), let hours = number(digits: 2), take(":"),
            let minutes = number(digits: 2), hours < 24, minutes < 60
        else { return nil }
        return (isEast ? 1 : -1) * (hours * 3600 + minutes * 60)
    }

    private static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Of the Gregorian calendar, from 1970-01-01.
    private static func daysSinceEpoch(_ year: Int, _ month: Int, _ day: Int) -> Int {
        // Full years before this one, counted from year 0, whose 366 days are added.
        let years = year - 1
        var days = year * 365 + (year == 0 ? 0 : years / 4 - years / 100 + years / 400 + 1)
        for month in 1..<month { days += Self.days(in: month, of: year) }
        return days + day - 1 - 719_528
    }
}
