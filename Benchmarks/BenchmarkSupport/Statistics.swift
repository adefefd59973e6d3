/// Of several measurements of one thing.
public struct Statistics: Codable, Sendable {
    public let count: Int
    public let median: Double
    /// The smallest that 99 % of them don't exceed; with fewer than a hundred, the largest.
    public let p99: Double

    public init(_ values: [Double]) {
        let sorted = values.sorted()
        count = sorted.count
        median = Self.median(sorted)
        p99 = sorted.isEmpty ? 0 : sorted[(sorted.count * 99 + 99) / 100 - 1]
    }

    private static func median(_ sorted: [Double]) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
