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
        let count = changes.map(\.seconds.count).max() ?? 0
        rows.append(["changes, \(count) each", "median", "p99", "messages", "bytes"])
        for change in changes {
            rows.append([
                "  " + change.change.rawValue, TextTable.time(change.seconds.median),
                TextTable.time(change.seconds.p99),
                "\(change.messages)", "\(change.bytes)",
            ])
        }
        for look in nft {
            rows.append([
                look.command, look.failure == nil ? TextTable.time(look.seconds) : "failed", "", "", "",
            ])
        }
        let title = "\(services) Services x \(endpointsPerService) endpoints"
        return "\(title)\n\(String(repeating: "=", count: title.count))\n" + TextTable.align(rows)
    }
}
