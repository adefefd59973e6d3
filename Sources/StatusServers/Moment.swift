import Glibc

/// One moment by two clocks: the one that people read, and the one that nobody sets.
public struct Moment: Sendable, Equatable {
    /// Since the machine's start (CLOCK_MONOTONIC): for how long something took.
    public var uptime: Duration
    /// In nanoseconds since 1970, UTC (CLOCK_REALTIME): for what is told.
    public var wall: Int64

    public init(uptime: Duration, wall: Int64) {
        self.uptime = uptime
        self.wall = wall
    }

    public static var now: Moment {
        var (monotonic, real) = (timespec(), timespec())
        clock_gettime(CLOCK_MONOTONIC, &monotonic)
        clock_gettime(CLOCK_REALTIME, &real)
        return Moment(
            uptime: .seconds(monotonic.tv_sec) + .nanoseconds(monotonic.tv_nsec),
            wall: Int64(real.tv_sec) * 1_000_000_000 + Int64(real.tv_nsec))
    }
}

/// Times as Go writes them in JSON: RFC 3339 with as many decimals as there are, nine at most.
enum JSONTime {
    /// Go's zero time, which says "never".
    static let never = "0001-01-01T00:00:00Z"

    /// - Parameter nanoseconds: since 1970, UTC.
    static func text(_ nanoseconds: Int64) -> String {
        let (seconds, fraction) = nanoseconds.flooredDivision(by: 1_000_000_000)
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        let date =
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))"
        let clock = "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
        var decimals = padded(fraction, 9)
        while decimals.last == "0" { decimals.removeLast() }
        return "\(date)T\(clock)\(decimals.isEmpty ? "" : "." + decimals)Z"
    }

    private static func padded(_ number: some BinaryInteger, _ width: Int = 2) -> String {
        let digits = "\(number)"
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension Int64 {
    /// Rounded down, so that the remainder is never negative.
    fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
