import Synchronization

/// All metrics of a process.
///
/// Names, labels and bounds are the program's own: a bad one, or a name twice, is a broken invariant and ends it.
public final class MetricRegistry: Sendable {
    private struct State {
        var families: [String: @Sendable () -> MetricFamily] = [:]
        var collectors: [@Sendable () -> [MetricFamily]] = []
    }

    private let state = Mutex(State())

    public init() {}

    public func counter(_ name: String, _ help: String) -> Counter { add(name, help, Counter()) }
    public func gauge(_ name: String, _ help: String) -> Gauge { add(name, help, Gauge()) }

    /// - Parameter bounds: of the buckets, ascending, without +Inf.
    public func histogram(_ name: String, _ help: String, bounds: [Double]) -> Histogram {
        add(name, help, Histogram(bounds: bounds))
    }

    public func counters(_ name: String, _ help: String, by labels: String...) -> InstrumentVector<Counter> {
        add(InstrumentVector(name: name, help: help, labels: labels) { Counter() })
    }

    public func gauges(_ name: String, _ help: String, by labels: String...) -> InstrumentVector<Gauge> {
        add(InstrumentVector(name: name, help: help, labels: labels) { Gauge() })
    }

    /// - Parameter bounds: of the buckets, ascending, without +Inf.
    public func histograms(
        _ name: String, _ help: String, bounds: [Double], by labels: String...
    ) -> InstrumentVector<Histogram> {
        add(InstrumentVector(name: name, help: help, labels: labels) { Histogram(bounds: bounds) })
    }

    /// Adds metrics that are found out when they are asked for.
    ///
    /// - Parameter collector: called at each scrape, from any thread; must be quick. Their names must be no others'.
    public func collect(_ collector: @escaping @Sendable () -> [MetricFamily]) {
        state.withLock { $0.collectors.append(collector) }
    }

    /// All metrics as they are now, by name.
    public var families: [MetricFamily] {
        let (own, collectors) = state.withLock { (Array($0.families.values), $0.collectors) }
        return (own.map { $0() } + collectors.flatMap { $0() }).sorted { $0.name < $1.name }
    }

    /// All metrics as they are now, in Prometheus' text format.
    public var text: String { PrometheusText.text(of: families) }

    private func add<Member: Instrument>(_ name: String, _ help: String, _ member: Member) -> Member {
        register(name) {
            MetricFamily(name: name, help: help, kind: Member.kind, series: [.init(member.value)])
        }
        return member
    }

    private func add<Member>(_ vector: InstrumentVector<Member>) -> InstrumentVector<Member> {
        register(vector.name) { vector.family }
        return vector
    }

    private func register(_ name: String, _ family: @escaping @Sendable () -> MetricFamily) {
        _ = family()
        state.withLock { state in
            precondition(state.families[name] == nil, "\(name) is there already")
            state.families[name] = family
        }
    }
}
