/// How long things took, in buckets of 0.4 % at most, so that a percentile costs no memory for each of them.
struct Latencies: Equatable {
    /// Buckets to each doubling.
    private static let precision = 8
    private var counts = [UInt32](repeating: 0, count: 40 << Self.precision)
    private(set) var count = 0

    /// - Parameter nanoseconds: taken as some nine minutes where it is longer.
    mutating func add(_ nanoseconds: UInt64) {
        counts[Self.bucket(min(nanoseconds, 1 << 39))] += 1
        count += 1
    }

    mutating func add(_ other: Latencies) {
        for index in counts.indices { counts[index] += other.counts[index] }
        count += other.count
    }

    private static func bucket(_ value: UInt64) -> Int {
        guard value >= 1 << precision else { return Int(value) }
        let exponent = 63 - value.leadingZeroBitCount
        let mantissa = Int(value >> UInt64(exponent - precision)) & (1 << precision - 1)
        return (exponent - precision + 1) << precision | mantissa
    }

    /// The middle of a bucket, in nanoseconds.
    private static func value(_ bucket: Int) -> Double {
        guard bucket >= 1 << precision else { return Double(bucket) }
        let shift = bucket >> precision - 1
        let low = (bucket & (1 << precision - 1) | 1 << precision) << shift
        return Double(low) + Double(1 << shift) / 2
    }

    /// The smallest time that a share of all, 0 to 1, don't exceed, in seconds; 0 when there is none.
    func percentile(_ share: Double) -> Double {
        let wanted = max(1, Int((Double(count) * share).rounded(.up)))
        var seen = 0
        for (bucket, number) in counts.enumerated() where number > 0 {
            seen += Int(number)
            if seen >= wanted { return Self.value(bucket) / 1e9 }
        }
        return 0
    }
}
