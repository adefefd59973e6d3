import BenchmarkSupport

extension Report {
    /// For people: one aligned table a cluster.
    var table: String {
        var text = machine.description + "\n"
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
            rows.append([name, TextTable.time(value.median), TextTable.time(value.p99), "", ""])
        }
        add("  plan", coldStart.plan)
        add("  compile", coldStart.compile)
        add("  commit (encode and kernel)", coldStart.commit)
        add("    CPU in user mode", coldStart.commitUser)
        add("    CPU in the kernel", coldStart.commitSystem)
        rows.append([
            "  objects to rules in force", TextTable.time(coldStart.total.median),
            TextTable.time(coldStart.total.p99), "\(coldStart.messages)", "\(coldStart.bytes)",
        ])
        if let floor {
            rows.append([
                "  the same messages, bare libnftnl", TextTable.time(floor.total.median),
                TextTable.time(floor.total.p99), "\(floor.messages)", "\(floor.bytes)",
            ])
            rows.append(["  commit : bare libnftnl", TextTable.decimal(floor.ratio, 2)])
        }
        rows.append(["start from a JSON manifest", "median", "most", "", "bytes"])
        rows.append([
            "  parse", TextTable.time(manifest.parse.median), TextTable.time(manifest.parse.p99), "",
            "\(manifest.bytes)",
        ])
        for (name, value) in [
            ("  peak memory", manifest.peakMemory), ("  resident afterwards", manifest.residentMemory),
        ] {
            rows.append([name, TextTable.megabytes(value.median), TextTable.megabytes(value.p99), "", ""])
        }
        let count = changes.first?.seconds.count ?? 0
        rows.append([
            "changes, \(count) each", "median", "p99", "messages", "bytes", "commit", "CPU", "kernel's CPU",
        ])
        for change in changes {
            rows.append([
                "  " + change.change.rawValue, TextTable.time(change.seconds.median),
                TextTable.time(change.seconds.p99),
                "\(change.messages)", "\(change.bytes)",
                TextTable.time(change.commit.median), TextTable.time(change.meanUser),
                TextTable.time(change.meanSystem),
            ])
        }
        if let storm { rows += storm.rows }
        for look in nft {
            rows.append([
                look.command, look.failure == nil ? TextTable.time(look.seconds) : "failed", "", "", "",
            ])
        }
        let title = "\(services) Services x \(endpointsPerService) endpoints"
        return TextTable.title(title) + TextTable.align(rows)
    }
}

extension StormReport {
    fileprivate var rows: [[String]] {
        func percent(_ share: Double) -> String { TextTable.decimal(share * 100, 1) + " %" }
        return [
            [
                "storm, \(rate) changes a second", "median", "p99", "messages", "bytes", "", "CPU",
                "kernel's CPU",
            ],
            [
                "  change to rules in force", TextTable.time(delay.median), TextTable.time(delay.p99),
                "\(messages)", "\(bytes)", "", percent(userShare), percent(systemShare),
            ],
            ["  slowest of \(changes), \(transactions) transactions", "", TextTable.time(slowest)],
            ["  memory grown by", "\(TextTable.decimal(Double(max(0, growth)) / 1e6, 1)) MB"],
        ] + (lost > 0 ? [["  NEVER IN FORCE", "\(lost)"]] : [])
    }
}
