/// Figures and columns for people.
public enum TextTable {
    /// The first column to the left, the others to the right.
    public static func align(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                line += column == 0 ? cell + padding : "   " + padding + cell
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }

    /// `1.23 s`, `45.6 ms`, `0.078 ms`: three figures that count.
    public static func time(_ seconds: Double) -> String {
        seconds >= 1 ? "\(figures(seconds)) s" : "\(figures(seconds * 1000)) ms"
    }

    public static func megabytes(_ bytes: Double) -> String { "\(figures(bytes / 1e6)) MB" }

    public static func figures(_ value: Double) -> String {
        decimal(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3)
    }

    /// With so many digits behind the point.
    public static func decimal(_ value: Double, _ decimals: Int) -> String {
        if value < 0 { return "-" + decimal(-value, decimals) }
        var scale = 1
        for _ in 0..<decimals { scale *= 10 }
        let whole = Int((value * Double(scale)).rounded())
        guard decimals > 0 else { return "\(whole)" }
        let rest = String(whole % scale)
        return "\(whole / scale)." + String(repeating: "0", count: decimals - rest.count) + rest
    }

    /// A line, underlined.
    public static func title(_ title: String) -> String {
        "\(title)\n\(String(repeating: "=", count: title.count))\n"
    }
}
