import Testing

@testable import PrometheusMetrics

@Suite("The registry of metrics")
struct RegistryTests {
    @Test("counting from many tasks loses nothing, and every scrape meanwhile is whole")
    func concurrency() async {
        let registry = MetricRegistry()
        let counter = registry.counter("c_total", "C.")
        let vector = registry.counters("v_total", "V.", by: "task")
        let histogram = registry.histogram("h", "H.", bounds: [1, 2, 3])
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for round in 0..<2_000 {
                        counter.increment()
                        vector["\(task % 4)"].increment(by: 2)
                        histogram.observe(Double(round % 5))
                    }
                }
            }
            group.addTask {
                for _ in 0..<50 {
                    let seen = histogram.current
                    // A value that is counted and not yet summed up would show here.
                    let least = zip([0, 1.5, 2.5, 3.5], seen.counts).map { $0 * Double($1) }.reduce(0, +)
                    #expect(seen.sum >= least * 0.6)
                    #expect(
                        registry.text.contains("h_count \(seen.count)")
                            || histogram.current.count > seen.count)
                }
            }
        }
        #expect(counter.current == 16_000)
        for task in 0..<4 { #expect(vector["\(task)"].current == 8_000) }
        #expect(histogram.current.counts == [6_400, 3_200, 3_200, 3_200])
        #expect(histogram.current.sum == 32_000)
    }

    @Test("sets of label values beyond the limit count together")
    func limit() {
        let vector = MetricRegistry().counters("v_total", "V.", by: "a", "b")
        let limit = InstrumentVector<Counter>.limit
        for index in 0..<(limit + 100) { vector["\(index)", "x"].increment() }
        #expect(vector.family.series.count == limit + 1)
        #expect(vector["other", "other"].current == 100)
        // Those that were there before go on.
        vector["0", "x"].increment()
        #expect(vector["0", "x"].current == 2)
    }

    @Test("the same label values are the same instrument")
    func same() {
        let vector = MetricRegistry().gauges("v", "V.", by: "a")
        #expect(vector["x"] === vector["x"])
        #expect(vector["x"] !== vector["y"])
    }

    @Test("a histogram counts a bound in its own bucket, and passes over what is no number")
    func bounds() {
        var value = HistogramValue(bounds: [1, 2])
        for sample in [1, 2, 2.000_001, -5, .infinity, .nan] { value.observe(sample) }
        #expect(value.counts == [2, 1, 2])
        #expect(value.count == 5)
    }

    @Test("bounds are computed as by Prometheus' Go library")
    func buckets() {
        #expect(
            Buckets.exponential(start: 0.001, factor: 2, count: 15).map(PrometheusText.number) == [
                "0.001", "0.002", "0.004", "0.008", "0.016", "0.032", "0.064", "0.128", "0.256", "0.512",
                "1.024", "2.048", "4.096", "8.192", "16.384",
            ])
        #expect(Buckets.linear(start: 60, width: 5, count: 3) == [60, 65, 70])
    }
}
