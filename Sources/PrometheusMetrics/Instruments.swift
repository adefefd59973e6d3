import Synchronization

/// A counter, gauge or histogram: one series.
public protocol Instrument: AnyObject, Sendable {
    static var kind: MetricFamily.Kind { get }
    var value: MetricFamily.Value { get }
}

/// Only grows, until the process ends.
public final class Counter: Instrument {
    public static var kind: MetricFamily.Kind { .counter }
    private let count = Atomic<UInt64>(0)

    init() {}

    /// - Parameter amount: not negative.
    public func increment(by amount: Int = 1) {
        precondition(amount >= 0, "a counter doesn't go back")
        count.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    public var current: UInt64 { count.load(ordering: .relaxed) }
    public var value: MetricFamily.Value { .number(Double(current)) }
}

/// Goes up and down.
public final class Gauge: Instrument {
    public static var kind: MetricFamily.Kind { .gauge }
    private let bits = Atomic<UInt64>(0)

    init() {}

    public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    public func set(_ value: Int) { set(Double(value)) }

    public var current: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
    public var value: MetricFamily.Value { .number(current) }
}

/// Counts what it is shown by size.
public final class Histogram: Instrument {
    public static var kind: MetricFamily.Kind { .histogram }
    // A lock, so that buckets, sum and count of one scrape belong together.
    private let state: Mutex<HistogramValue>

    init(bounds: [Double]) {
        precondition(!bounds.isEmpty && zip(bounds, bounds.dropFirst()).allSatisfy(<), "bounds ascend")
        precondition(bounds.allSatisfy(\.isFinite), "+Inf comes by itself")
        state = Mutex(HistogramValue(bounds: bounds))
    }

    public func observe(_ value: Double) { state.withLock { $0.observe(value) } }
    /// In seconds.
    public func observe(_ duration: Duration) { observe(duration.inSeconds) }

    public var current: HistogramValue { state.withLock { $0 } }
    public var value: MetricFamily.Value { .histogram(current) }
}

extension Duration {
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}

/// Bounds of buckets.
public enum Buckets {
    /// `start`, `start × factor`, and so on.
    public static func exponential(start: Double, factor: Double, count: Int) -> [Double] {
        Array(sequence(first: start) { $0 * factor }.prefix(count))
    }

    /// `start`, `start + width`, and so on.
    public static func linear(start: Double, width: Double, count: Int) -> [Double] {
        (0..<count).map { start + Double($0) * width }
    }
}
