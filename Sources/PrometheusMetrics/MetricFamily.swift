/// All series of one metric, as they are at one moment.
public struct MetricFamily: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    public enum Value: Sendable, Equatable {
        case number(Double)
        case histogram(HistogramValue)
    }

    public struct Series: Sendable, Equatable {
        /// As many as the family has labels, in their order.
        public var labels: [String]
        public var value: Value

        public init(labels: [String] = [], _ value: Value) {
            self.labels = labels
            self.value = value
        }
    }

    public let name: String
    public let help: String
    public let kind: Kind
    /// The names of the labels.
    public let labels: [String]
    public let series: [Series]

    public init(
        name: String, help: String, kind: Kind, labels: [String] = [], series: [Series] = []
    ) {
        precondition(Self.isMetricName(name), "\(name) is no metric name")
        for label in labels { precondition(Self.isLabelName(label), "\(label) is no label name of \(name)") }
        precondition(Set(labels).count == labels.count, "\(name) has a label twice")
        precondition(kind != .histogram || !labels.contains("le"), "\(name): le is the histogram's own label")
        precondition(series.allSatisfy { $0.labels.count == labels.count }, "\(name): a value for each label")
        self.name = name
        self.help = help
        self.kind = kind
        self.labels = labels
        self.series = series
    }

    /// One number without labels.
    public init(name: String, help: String, kind: Kind, value: Double) {
        self.init(name: name, help: help, kind: kind, series: [Series(.number(value))])
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
    static func isMetricName(_ name: String) -> Bool { isName(name, with: [0x5f, 0x3a]) }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`; those that begin with two underscores are Prometheus' own.
    static func isLabelName(_ name: String) -> Bool { isName(name, with: [0x5f]) && !name.hasPrefix("__") }

    private static func isName(_ name: String, with others: Set<UInt8>) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool {
            (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte) || others.contains(byte)
        }
        guard let first = name.utf8.first, isLetter(first) else { return false }
        return name.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) }
    }
}

/// What a histogram has seen.
public struct HistogramValue: Sendable, Equatable {
    /// The buckets' upper bounds, ascending, each included in its bucket; +Inf is not among them.
    public let bounds: [Double]
    /// By bucket, not cumulated; the last one is what is above all bounds.
    public private(set) var counts: [UInt64]
    public private(set) var sum = 0.0

    public init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    public var count: UInt64 { counts.reduce(0, +) }

    /// What isn't a number counts nowhere: it would make the sum useless for ever.
    public mutating func observe(_ value: Double) {
        guard !value.isNaN else { return }
        // Few are above the first dozen bounds, so a search by halves isn't worth it.
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        counts[bucket] += 1
        sum += value
    }
}
