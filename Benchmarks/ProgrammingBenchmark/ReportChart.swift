import BenchmarkSupport

extension Report {
    var chart: BarChart {
        BarChart(
            title: "From changed objects to rules in force, medians (logarithmic)",
            groups: clusters.map { cluster in
                BarChart.Group(
                    title: "\(cluster.services) Services × \(cluster.endpointsPerService) endpoints",
                    bars: [
                        .init(label: "cold start", seconds: cluster.coldStart.total.median),
                        .init(label: "of it the commit", seconds: cluster.coldStart.commit.median),
                    ]
                        + cluster.changes.map {
                            .init(label: $0.change.rawValue, seconds: $0.seconds.median)
                        })
            })
    }
}
