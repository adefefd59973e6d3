/// The middle of several measurements of one thing, and how far they are apart.
struct Spread: Codable, Equatable {
    let count: Int
    let median: Double
    /// A quarter of the measurements are below.
    let lowerQuartile: Double
    /// A quarter of them are above.
    let upperQuartile: Double
    /// With 95 % probability the median of all that could be measured is not below this; the smallest one where they
    /// are fewer than six.
    let low: Double
    /// … and not above this.
    let high: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        count = sorted.count
        median = Self.quantile(sorted, 0.5)
        lowerQuartile = Self.quantile(sorted, 0.25)
        upperQuartile = Self.quantile(sorted, 0.75)
        let rank = Self.rank(of: count)
        low = sorted.isEmpty ? 0 : sorted[rank]
        high = sorted.isEmpty ? 0 : sorted[count - 1 - rank]
    }

    /// The distance between the quartiles, as a share of the median.
    var relativeWidth: Double { median == 0 ? 0 : (upperQuartile - lowerQuartile) / median }

    /// Between neighbours by their distance.
    private static func quantile(_ sorted: [Double], _ share: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let position = Double(sorted.count - 1) * share
        let index = Int(position)
        guard index + 1 < sorted.count else { return sorted[index] }
        return sorted[index] + (sorted[index + 1] - sorted[index]) * (position - Double(index))
    }

    /// From either end, the index of the order statistic that bounds the median with at most 2.5 % error: each value
    /// falls on either side of the true median like a coin, so ranks are binomial.
    private static func rank(of count: Int) -> Int {
        var tail = 0.0
        var term = 1.0
        for _ in 0..<count { term /= 2 }
        var rank = 0
        // Far beyond any number of rounds the first term is no longer a number above 0.
        while rank < count / 2, term > 0 {
            tail += term
            if tail > 0.025 { return max(0, rank - 1) }
            term = term * Double(count - rank) / Double(rank + 1)
            rank += 1
        }
        return max(0, rank - 1)
    }
}
