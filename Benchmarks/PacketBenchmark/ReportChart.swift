import BenchmarkSupport

extension Report {
    /// The charts by their files' names: ratios of median times, which stay what they are when the machine as a whole is
    /// slower for one size than for another.
    var charts: [(file: String, chart: LineChart)] {
        var result: [(String, LineChart)] = []
        for (file, traffic) in [
            ("new-tcp-connections.svg", Traffic.tcpConnections), ("new-udp-flows.svg", .udpExchanges),
        ] {
            let all = sizes.map { size in
                (size.services, size.results.filter { $0.traffic == traffic && $0.position == .end })
            }
            let lines = Self.names(all.flatMap(\.1).map(\.opponent)).map { name in
                LineChart.Line(
                    name: name,
                    points: all.compactMap { services, results in
                        results.first { $0.opponent == name }.flatMap { result in
                            let ratio = name == Opponent.oneRule.name ? 1 : result.medianRatio?.median
                            return ratio.map { (Double(services), $0) }
                        }
                    })
            }
            guard !lines.isEmpty else { continue }
            result.append(
                (
                    file,
                    LineChart(
                        title: "\(traffic.rawValue) to the last Service, beside one DNAT rule",
                        xTitle: "Services (logarithmic)", label: { TextTable.decimal($0, 2) },
                        lines: lines)
                ))
        }
        if !affinity.isEmpty {
            let lines = Self.names(affinity.map(\.opponent)).map { name in
                LineChart.Line(
                    name: name,
                    points: affinity.filter { $0.opponent == name }.compactMap { report in
                        report.medianRatio.map { (Double(report.endpoints), $0.median) }
                    })
            }
            result.append(
                (
                    "affinity.svg",
                    LineChart(
                        title: "new TCP connections with ClientIP affinity, beside those without",
                        xTitle: "endpoints of the Service (logarithmic)",
                        label: { TextTable.decimal($0, 2) }, lines: lines)
                ))
        }
        return result
    }

    /// Each once, in the order in which they first come.
    private static func names(_ all: [String]) -> [String] {
        var seen: Set<String> = []
        return all.filter { seen.insert($0).inserted }
    }
}
