/// Prometheus' text format, version 0.0.4.
///
/// Families by name, series by label values, labels by name: two scrapes of the same numbers are the same text.
public enum PrometheusText {
    /// What to say in `Content-Type`.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// A family without series is left out, as by Prometheus' own libraries.
    public static func text(of families: [MetricFamily]) -> String {
        var text = ""
        for family in families.sorted(by: { $0.name < $1.name }) where !family.series.isEmpty {
            write(family, to: &text)
        }
        return text
    }

    private static func write(_ family: MetricFamily, to text: inout String) {
        text += "# HELP \(family.name) \(escaped(family.help, quotes: false))\n"
        text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
        let order = family.labels.indices.sorted { family.labels[$0] < family.labels[$1] }
        let series = family.series
            .map { one in (labels: order.map { one.labels[$0] }, value: one.value) }
            .sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
        for one in series {
            let labels = zip(order, one.labels).map { index, value in
                "\(family.labels[index])=\"\(escaped(value, quotes: true))\""
            }
            switch one.value {
            case .number(let value): line(family.name, labels, number(value), to: &text)
            case .histogram(let value): write(value, family.name, labels, to: &text)
            }
        }
    }

    private static func write(
        _ value: HistogramValue, _ name: String, _ labels: [String], to text: inout String
    ) {
        var total: UInt64 = 0
        for (bound, count) in zip(value.bounds + [.infinity], value.counts) {
            total += count
            line("\(name)_bucket", labels + ["le=\"\(number(bound))\""], "\(total)", to: &text)
        }
        line("\(name)_sum", labels, number(value.sum), to: &text)
        line("\(name)_count", labels, "\(total)", to: &text)
    }

    private static func line(_ name: String, _ labels: [String], _ value: String, to text: inout String) {
        text += name
        if !labels.isEmpty { text += "{" + labels.joined(separator: ",") + "}" }
        text += " " + value + "\n"
    }

    /// As short as it can be read back; whole numbers without a point, as Prometheus' own libraries write bounds.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return "\(Int64(value))" }
        return "\(value)"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += #"\\"#
            case "\n": result += #"\n"#
            case "\"" where quotes: result += #"\""#
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
