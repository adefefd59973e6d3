extension Report {
    /// For people: one aligned table a cluster.
    var table: String {
        var text = "\(machine.cores) cores, Linux \(machine.kernel)\n"
        for cluster in clusters { text += "\n" + cluster.table }
        return text
    }
}

extension ClusterReport {
    fileprivate var table: String {
        var rows: [[String]] = []
        let starts = "cold start, median of \(coldStart.total.count)"
        rows.append([starts, "median", "slowest", "messages", "bytes"])
        func add(_ name: String, _ value: Statistics) {
            rows.append([name, Self.time(value.median), Self.time(value.p99), "", ""])
        }
        add("  plan", coldStart.plan)
        add("  compile", coldStart.compile)
        add("  commit (encode and kernel)", coldStart.commit)
        add("    CPU in user mode", coldStart.commitUser)
        add("    CPU in the kernel", coldStart.commitSystem)
        rows.append([
            "  objects to rules in force", Self.time(coldStart.total.median),
            Self.time(coldStart.total.p99), "\(coldStart.messages)", "\(coldStart.bytes)",
        ])
        rows.append(["start from a JSON manifest", "median", "most", "", "bytes"])
        rows.append([
            "  parse", Self.time(manifest.parse.median), Self.time(manifest.parse.p99), "",
            "\(manifest.bytes)",
        ])
        for (name, value) in [
            ("  peak memory", manifest.peakMemory), ("  resident afterwards", manifest.residentMemory),
        ] {
            rows.append([name, Self.megabytes(value.median), Self.megabytes(value.p99), "", ""])
        }
        let count = changes.map(\.seconds.count).max() ?? 0
        rows.append(["changes, \(count) each", "median", "p99", "messages", "bytes"])
        for change in changes {
            rows.append([
                "  " + change.change.rawValue, Self.time(change.seconds.median),
                Self.time(change.seconds.p99),
                "\(change.messages)", "\(change.bytes)",
            ])
        }
        for look in nft {
            rows.append([look.command, look.failure == nil ? Self.time(look.seconds) : "failed", "", "", ""])
        }
        let title = "\(services) Services x \(endpointsPerService) endpoints"
        return "\(title)\n\(String(repeating: "=", count: title.count))\n" + Self.align(rows)
    }

    /// The first column to the left, the others to the right.
    private static func align(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
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
    static func time(_ seconds: Double) -> String {
        seconds >= 1 ? "\(figures(seconds)) s" : "\(figures(seconds * 1000)) ms"
    }

    private static func megabytes(_ bytes: Double) -> String { "\(figures(bytes / 1e6)) MB" }

    private static func figures(_ value: Double) -> String {
        let decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3
        var scale = 1
        for _ in 0..<decimals { scale *= 10 }
        let whole = Int((value * Double(scale)).rounded())
        guard decimals > 0 else { return "\(whole)" }
        let rest = String(whole % scale)
        return "\(whole / scale)." + String(repeating: "0", count: decimals - rest.count) + rest
    }
}
