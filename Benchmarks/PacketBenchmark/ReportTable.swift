import BenchmarkSupport

extension Report {
    /// For people.
    var table: String {
        var text =
            "\(machine.description), connection tracking \(machine.conntrackMax) entries in "
            + "\(machine.conntrackBuckets) buckets\n"
            + "\(pace.rounds) rounds of \(Int(pace.seconds * 1_000)) ms each. Rates and ratios are medians; in brackets, the "
            + "bounds\nof a ratio's median with 95 % probability. The second ratio is that of the rounds' median times, "
            + "which a\nshort stall of the machine doesn't change.\n"
        for size in sizes { text += "\n" + size.table }
        if !affinity.isEmpty { text += "\n" + affinityTable }
        return text
    }

    private var affinityTable: String {
        var rows = [
            [
                "ClientIP affinity, endpoints", "known", "without", "with", "p50", "p99", "with : without",
                "", "by p50", "",
            ]
        ]
        for report in affinity {
            rows.append(
                ["  \(report.opponent), \(report.endpoints)", "\(report.known)"]
                    + [report.without, report.with].map { Self.rate($0.median, .tcpConnections) }
                    + Self.latencies(report.latency).prefix(2) + Self.ratio(report.ratio)
                    + Self.ratio(report.medianRatio))
        }
        let title = "New TCP connections to a service with ClientIP affinity, and to one without"
        return TextTable.title(title) + TextTable.align(rows)
    }

    fileprivate static func latencies(_ latency: TrialReport.Latency?) -> [String] {
        guard let latency else { return ["", "", ""] }
        return [latency.p50, latency.p99, latency.p999].map { "\(TextTable.decimal($0 * 1e6, 1)) µs" }
    }

    fileprivate static func ratio(_ ratio: Spread?) -> [String] {
        guard let ratio else { return ["", ""] }
        return [
            TextTable.decimal(ratio.median, 3),
            "(\(TextTable.decimal(ratio.low, 3)) to \(TextTable.decimal(ratio.high, 3)))",
        ]
    }

    fileprivate static func rate(_ value: Double, _ traffic: Traffic) -> String {
        if value == 0 { return "none" }
        return traffic == .tcpStream
            ? "\(TextTable.decimal(value / 1e9, 2)) GB/s"
            : "\(TextTable.decimal(value / 1e3, value < 10_000 ? 2 : 1)) k/s"
    }
}

extension SizeReport {
    fileprivate var table: String {
        let title = "\(services) Services x \(endpointsPerService) endpoints"
        var text = TextTable.title(title)
        var rows = [["rules", "loaded in"]]
        for load in loading {
            guard let seconds = load.seconds else { continue }
            rows.append(["  \(load.opponent)", "\(TextTable.decimal(seconds, 2)) s"])
        }
        text += TextTable.align(rows)
        for load in loading {
            guard let reason = load.leftOut else { continue }
            text += "  \(load.opponent): left out, \(reason)\n"
        }
        for traffic in Traffic.allCases where results.contains(where: { $0.traffic == traffic }) {
            text += "\n" + table(of: traffic) + verdict(traffic)
        }
        return text
    }

    private func table(of traffic: Traffic) -> String {
        let mine = results.filter { $0.traffic == traffic }
        var rows: [[String]] = []
        for position in Position.allCases {
            let here = mine.filter { $0.position == position }
            guard !here.isEmpty else { continue }
            let head =
                traffic.isNewConnections
                ? "\(traffic.rawValue), Service at the \(position.rawValue)" : traffic.rawValue
            rows.append(
                [head, "rate"] + (traffic.isNewConnections ? ["p50", "p99", "p99.9"] : ["", "", ""])
                    + ["of one rule", ""] + (traffic == .tcpStream ? [] : ["by p50", ""]))
            for result in here {
                rows.append(
                    ["  \(result.opponent)", Report.rate(result.rate.median, traffic)]
                        + Report.latencies(traffic.isNewConnections ? result.latency : nil)
                        + Report.ratio(result.ratio)
                        + Report.ratio(result.medianRatio))
            }
        }
        return TextTable.align(rows)
    }

    /// A difference of this share has to be told, or the measurement is of no use.
    private static let mostDoubt = 0.05

    private func verdict(_ traffic: Traffic) -> String {
        var text = ""
        if let doubt = doubt(traffic) {
            text +=
                "  One DNAT rule against itself: within \(TextTable.decimal(doubt * 100, 1)) %. "
                + (doubt > Self.mostDoubt
                    ? "TOO NOISY TO TELL.\n" : "Smaller differences can't be told.\n")
        }
        if let unrest = unrest(traffic) {
            text +=
                "  The middle half of the direct way's rates spans \(TextTable.decimal(unrest * 100, 0)) %.\n"
        }
        return text
    }
}
