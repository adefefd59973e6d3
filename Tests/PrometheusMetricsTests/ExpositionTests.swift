import Testing

@testable import PrometheusMetrics

@Suite("Prometheus' text format")
struct ExpositionTests {
    @Test("families by name, series by label values, labels by name; buckets cumulated up to +Inf")
    func golden() {
        let registry = MetricRegistry()
        let requests = registry.counters("demo_requests_total", "Requests.", by: "verb", "code")
        requests["GET", "200"].increment(by: 41)
        requests["PUT", "200"].increment(by: 2)
        requests["GET", "503"].increment()
        registry.gauge("demo_memory_bytes", "Memory.").set(1.5)
        let duration = registry.histogram("demo_duration_seconds", "Time.", bounds: [0.001, 0.25, 1])
        for value in [0.001, 0.0011, 0.25, 7] { duration.observe(value) }
        registry.collect { [MetricFamily(name: "demo_threads", help: "Threads.", kind: .gauge, value: 3)] }
        let text = """
            # HELP demo_duration_seconds Time.
            # TYPE demo_duration_seconds histogram
            demo_duration_seconds_bucket{le="0.001"} 1
            demo_duration_seconds_bucket{le="0.25"} 3
            demo_duration_seconds_bucket{le="1"} 3
            demo_duration_seconds_bucket{le="+Inf"} 4
            demo_duration_seconds_sum 7.2521
            demo_duration_seconds_count 4
            # HELP demo_memory_bytes Memory.
            # TYPE demo_memory_bytes gauge
            demo_memory_bytes 1.5
            # HELP demo_requests_total Requests.
            # TYPE demo_requests_total counter
            demo_requests_total{code="200",verb="GET"} 41
            demo_requests_total{code="200",verb="PUT"} 2
            demo_requests_total{code="503",verb="GET"} 1
            # HELP demo_threads Threads.
            # TYPE demo_threads gauge
            demo_threads 3

            """
        #expect(registry.text == text)
        #expect(registry.text == text)
    }

    @Test("a histogram's own labels come before its bounds")
    func histogramLabels() {
        let registry = MetricRegistry()
        registry.histograms("h", "H.", bounds: [1], by: "z")["v"].observe(0.5)
        #expect(
            registry.text == """
                # HELP h H.
                # TYPE h histogram
                h_bucket{z="v",le="1"} 1
                h_bucket{z="v",le="+Inf"} 1
                h_sum{z="v"} 0.5
                h_count{z="v"} 1

                """)
    }

    @Test("what would end a line or a value is escaped")
    func escaping() {
        let family = MetricFamily(
            name: "m", help: "back\\slash, \"quotes\"\nand a line", kind: .gauge, labels: ["l"],
            series: [.init(labels: ["back\\slash, \"quotes\"\nand a line, ü"], .number(1))])
        #expect(
            PrometheusText.text(of: [family]) == #"""
                # HELP m back\\slash, "quotes"\nand a line
                # TYPE m gauge
                m{l="back\\slash, \"quotes\"\nand a line, ü"} 1

                """#)
    }

    @Test(
        "numbers are as short as they can be read back",
        arguments: [
            (0.0, "0"), (-3, "-3"), (0.1, "0.1"), (1_753_131_234.123, "1753131234.123"), (1e-7, "1e-07"),
            (16.384, "16.384"), (1e17, "1e+17"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ])
    func numbers(value: Double, text: String) {
        #expect(PrometheusText.number(value) == text)
    }

    @Test("a vector that nobody has counted in is left out")
    func empty() {
        let registry = MetricRegistry()
        _ = registry.counters("a_total", "A.", by: "l")
        #expect(registry.text == "")
    }

    @Test(
        "names are checked by Prometheus' rules",
        arguments: [("a", true), ("_a:b9", true), ("", false), ("9a", false), ("a-b", false), ("ä", false)])
    func names(name: String, isGood: Bool) {
        #expect(MetricFamily.isMetricName(name) == isGood)
    }

    @Test("label names have no colon, and two underscores in front are Prometheus' own")
    func labelNames() {
        #expect(MetricFamily.isLabelName("ip_family"))
        #expect(!MetricFamily.isLabelName("a:b"))
        #expect(!MetricFamily.isLabelName("__name"))
    }
}
