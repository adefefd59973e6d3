import Foundation

/// Horizontal bars on a logarithmic axis of time, as SVG.
struct BarChart {
    struct Bar {
        let label: String
        let seconds: Double
    }

    struct Group {
        let title: String
        let bars: [Bar]
    }

    let title: String
    let groups: [Group]

    private enum Layout {
        static let labelWidth = 230.0
        static let plotWidth = 480.0
        static let width = 800.0
        static let rowHeight = 24.0
        static let top = 40.0
    }

    private var exponents: ClosedRange<Int> {
        let seconds = groups.flatMap(\.bars).map(\.seconds).filter { $0 > 0 }
        guard let least = seconds.min(), let most = seconds.max() else { return -3...0 }
        let low = Int(log10(least).rounded(.down))
        return low...max(low + 1, Int(log10(most).rounded(.up)))
    }

    private func x(_ seconds: Double) -> Double {
        let range = exponents
        let share = (log10(seconds) - Double(range.lowerBound)) / Double(range.upperBound - range.lowerBound)
        return Layout.labelWidth + Layout.plotWidth * share
    }

    var svg: String {
        let rows = groups.reduce(0) { $0 + $1.bars.count + 1 }
        let bottom = Layout.top + Double(rows) * Layout.rowHeight
        var lines = [
            #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \#(Int(Layout.width)) \#(Int(bottom) + 30)" "#
                + #"font-family="sans-serif" font-size="13">"#,
            "<style>text{fill:#222}.axis{stroke:#ccc}.bar{fill:#3572b0}.scale{fill:#777;font-size:11px}",
            "@media(prefers-color-scheme:dark){text{fill:#ddd}.axis{stroke:#555}.bar{fill:#6aa5de}.scale{fill:#999}}",
            "</style>",
            #"<text x="8" y="22" font-size="15" font-weight="bold">\#(Self.escaped(title))</text>"#,
        ]
        for exponent in exponents {
            let seconds = pow(10, Double(exponent))
            let at = Self.number(x(seconds))
            lines.append(
                #"<line class="axis" x1="\#(at)" x2="\#(at)" y1="\#(Layout.top)" y2="\#(bottom)"/>"#
                    + #"<text class="scale" x="\#(at)" y="\#(bottom + 16)" text-anchor="middle">"#
                    + "\(exponent < 0 ? "\(Self.number(seconds * 1000)) ms" : "\(Self.number(seconds)) s")</text>"
            )
        }
        var y = Layout.top
        for group in groups {
            lines.append(
                #"<text x="8" y="\#(y + 17)" font-weight="bold">\#(Self.escaped(group.title))</text>"#)
            y += Layout.rowHeight
            for bar in group.bars {
                let end = bar.seconds > 0 ? x(bar.seconds) : Layout.labelWidth
                lines.append(
                    #"<text x="20" y="\#(y + 16)">\#(Self.escaped(bar.label))</text>"#
                        + #"<rect class="bar" x="\#(Layout.labelWidth)" y="\#(y + 4)" "#
                        + #"width="\#(Self.number(end - Layout.labelWidth))" height="\#(Layout.rowHeight - 8)"/>"#
                        + #"<text x="\#(Self.number(end + 6))" y="\#(y + 16)">"#
                        + "\(TextTable.time(bar.seconds))</text>")
                y += Layout.rowHeight
            }
        }
        return lines.joined(separator: "\n") + "\n</svg>\n"
    }

    /// Without a fraction where there is none.
    private static func number(_ value: Double) -> String {
        let rounded = (value * 100).rounded() / 100
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}

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
