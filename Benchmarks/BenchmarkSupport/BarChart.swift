import Foundation

/// Horizontal bars on a logarithmic axis of time, as SVG.
public struct BarChart {
    public struct Bar {
        let label: String
        let seconds: Double

        public init(label: String, seconds: Double) {
            self.label = label
            self.seconds = seconds
        }
    }

    public struct Group {
        let title: String
        let bars: [Bar]

        public init(title: String, bars: [Bar]) {
            self.title = title
            self.bars = bars
        }
    }

    let title: String
    let groups: [Group]

    public init(title: String, groups: [Group]) {
        self.title = title
        self.groups = groups
    }

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

    public var svg: String {
        let rows = groups.reduce(0) { $0 + $1.bars.count + 1 }
        let bottom = Layout.top + Double(rows) * Layout.rowHeight
        var lines = [
            #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \#(Int(Layout.width)) \#(Int(bottom) + 30)" "#
                + #"font-family="sans-serif" font-size="13">"#,
            "<style>text{fill:#222}.axis{stroke:#ccc}.bar{fill:#3572b0}.scale{fill:#777;font-size:11px}",
            "@media(prefers-color-scheme:dark){text{fill:#ddd}.axis{stroke:#555}.bar{fill:#6aa5de}.scale{fill:#999}}",
            "</style>",
            #"<text x="8" y="22" font-size="15" font-weight="bold">\#(SVG.escaped(title))</text>"#,
        ]
        for exponent in exponents {
            let seconds = pow(10, Double(exponent))
            let at = SVG.number(x(seconds))
            lines.append(
                #"<line class="axis" x1="\#(at)" x2="\#(at)" y1="\#(Layout.top)" y2="\#(bottom)"/>"#
                    + #"<text class="scale" x="\#(at)" y="\#(bottom + 16)" text-anchor="middle">"#
                    + "\(exponent < 0 ? "\(SVG.number(seconds * 1000)) ms" : "\(SVG.number(seconds)) s")</text>"
            )
        }
        var y = Layout.top
        for group in groups {
            lines.append(
                #"<text x="8" y="\#(y + 17)" font-weight="bold">\#(SVG.escaped(group.title))</text>"#)
            y += Layout.rowHeight
            for bar in group.bars {
                let end = bar.seconds > 0 ? x(bar.seconds) : Layout.labelWidth
                lines.append(
                    #"<text x="20" y="\#(y + 16)">\#(SVG.escaped(bar.label))</text>"#
                        + #"<rect class="bar" x="\#(Layout.labelWidth)" y="\#(y + 4)" "#
                        + #"width="\#(SVG.number(end - Layout.labelWidth))" height="\#(Layout.rowHeight - 8)"/>"#
                        + #"<text x="\#(SVG.number(end + 6))" y="\#(y + 16)">"#
                        + "\(TextTable.time(bar.seconds))</text>")
                y += Layout.rowHeight
            }
        }
        return lines.joined(separator: "\n") + "\n</svg>\n"
    }
}
