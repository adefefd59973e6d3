import Foundation

/// Lines over a logarithmic axis of counts, as SVG.
public struct LineChart {
    public struct Line {
        let name: String
        let points: [(x: Double, y: Double)]

        public init(name: String, points: [(x: Double, y: Double)]) {
            self.name = name
            self.points = points
        }
    }

    let title: String
    let xTitle: String
    let label: (Double) -> String
    let lines: [Line]

    /// - Parameter label: what a value of the vertical axis is said as.
    public init(title: String, xTitle: String, label: @escaping (Double) -> String, lines: [Line]) {
        self.title = title
        self.xTitle = xTitle
        self.label = label
        self.lines = lines
    }

    private enum Layout {
        static let (width, height) = (860.0, 420.0)
        static let (left, right) = (80.0, 590.0)
        static let (top, bottom) = (50.0, 360.0)
    }

    private static let colors = [
        "#3572b0", "#c0504d", "#4f9a4f", "#8064a2", "#d18b2c", "#4bacc6", "#7f7f7f", "#a0522d",
    ]

    private var xs: [Double] { Set(lines.flatMap(\.points).map(\.x)).sorted() }

    private func x(_ value: Double) -> Double {
        guard let first = xs.first, let last = xs.last, last > first else {
            return (Layout.left + Layout.right) / 2
        }
        return Layout.left + (Layout.right - Layout.left) * (log(value / first) / log(last / first))
    }

    /// A round number above all values, and a fifth of it.
    private var scale: (top: Double, step: Double) {
        let most = lines.flatMap(\.points).map(\.y).max() ?? 1
        let power = pow(10, floor(log10(max(most, 1e-9) / 5)))
        let step = ([1, 2, 5, 10].first { $0 * power * 5 >= most } ?? 10) * power
        return (step * 5, step)
    }

    private func y(_ value: Double) -> Double {
        Layout.bottom - (Layout.bottom - Layout.top) * value / scale.top
    }

    public var svg: String {
        var parts = [
            #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \#(Int(Layout.width)) \#(Int(Layout.height))" "#
                + #"font-family="sans-serif" font-size="13">"#,
            "<style>text{fill:#222}.axis{stroke:#ccc}.scale{fill:#777;font-size:11px}.line{fill:none;stroke-width:2}",
            "@media(prefers-color-scheme:dark){text{fill:#ddd}.axis{stroke:#555}.scale{fill:#999}}</style>",
            #"<text x="8" y="22" font-size="15" font-weight="bold">\#(SVG.escaped(title))</text>"#,
        ]
        for step in 0...5 {
            let value = scale.step * Double(step)
            let at = SVG.number(y(value))
            parts.append(
                #"<line class="axis" x1="\#(Layout.left)" x2="\#(Layout.right)" y1="\#(at)" y2="\#(at)"/>"#
                    + #"<text class="scale" x="\#(Layout.left - 8)" y="\#(at)" dy="4" text-anchor="end">"#
                    + "\(label(value))</text>")
        }
        for value in xs {
            parts.append(
                #"<text class="scale" x="\#(SVG.number(x(value)))" y="\#(Layout.bottom + 18)" "#
                    + #"text-anchor="middle">\#(SVG.number(value))</text>"#)
        }
        parts.append(
            #"<text class="scale" x="\#((Layout.left + Layout.right) / 2)" y="\#(Layout.bottom + 40)" "#
                + #"text-anchor="middle">\#(SVG.escaped(xTitle))</text>"#)
        // The names stand beside the lines' ends, in their order, with room between them.
        let ends = lines.enumerated().sorted {
            ($0.element.points.last?.y ?? 0) > ($1.element.points.last?.y ?? 0)
        }
        for (row, (index, line)) in ends.enumerated() {
            let color = Self.colors[index % Self.colors.count]
            let points = line.points.map { "\(SVG.number(x($0.x))),\(SVG.number(y($0.y)))" }
            parts.append(
                #"<polyline class="line" stroke="\#(color)" points="\#(points.joined(separator: " "))"/>"#)
            for point in line.points {
                parts.append(
                    #"<circle cx="\#(SVG.number(x(point.x)))" cy="\#(SVG.number(y(point.y)))" r="3" fill="\#(color)"/>"#
                )
            }
            let at = Layout.top + 6 + Double(row) * 24
            let last = line.points.last.map { " \(label($0.y))" } ?? ""
            parts.append(
                #"<rect x="\#(Layout.right + 20)" y="\#(at - 4)" width="14" height="4" fill="\#(color)"/>"#
                    + #"<text x="\#(Layout.right + 40)" y="\#(at + 3)">\#(SVG.escaped(line.name + last))</text>"#
            )
        }
        return parts.joined(separator: "\n") + "\n</svg>\n"
    }
}
