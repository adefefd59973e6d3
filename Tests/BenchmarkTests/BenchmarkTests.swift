import Foundation
import TemporaryFiles
import TestNetwork
import Testing

/// The benchmarks in their smallest form: that they run to their end, what they report, and what doesn't depend on time.
@Suite(
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized,
    .timeLimit(.minutes(5)))
struct BenchmarkTests {
    /// Runs a benchmark, and reads the report that it writes into a folder.
    private func report(
        _ program: String, _ arguments: String..., name: String, charts: [String] = []
    ) throws -> (report: [String: Any], table: String) {
        let folder = try TemporaryDirectory()
        let table = try runCommand(
            [try BuiltProgram.find(program).get()] + arguments + ["--results", folder.path])
        for chart in charts {
            let image = try String(contentsOfFile: "\(folder.path)/\(chart)", encoding: .utf8)
            #expect(image.hasPrefix("<svg") && image.contains("</svg>"), "\(chart)")
        }
        let data = try Data(contentsOf: URL(filePath: "\(folder.path)/\(name).json"))
        let object = try JSONSerialization.jsonObject(with: data)
        return (try #require(object as? [String: Any]), table)
    }

    private func list(_ object: [String: Any], _ key: String) -> [[String: Any]] {
        object[key] as? [[String: Any]] ?? []
    }

    private func number(_ object: [String: Any]?, _ path: String...) -> Int? {
        var value: Any? = object
        for key in path { value = (value as? [String: Any])?[key] }
        return (value as? NSNumber)?.intValue
    }

    @Test(
        "programming: messages of a cold start are those of a bare libnftnl program; changes keep to their limits"
    )
    func programming() throws {
        let (report, table) = try report(
            "ProgrammingBenchmark", "--cluster", "100x10", "--cluster", "100x1", "--starts", "1", "--samples",
            "3", "--storm", "1", name: "programming", charts: ["programming.svg"])
        #expect(table.contains("100 Services x 10 endpoints"))
        let clusters = list(report, "clusters")
        #expect(clusters.count == 2)
        for cluster in clusters {
            let start = cluster["coldStart"] as? [String: Any]
            let floor = cluster["floor"] as? [String: Any]
            #expect(number(start, "messages") == number(floor, "messages"))
            let (bytes, least) = try (#require(number(start, "bytes")), #require(number(floor, "bytes")))
            #expect(abs(bytes - least) * 100 <= least, "\(bytes) and \(least) bytes")
            var messages: [String: Int] = [:]
            for change in list(cluster, "changes") {
                messages[try #require(change["change"] as? String)] = number(change, "messages")
            }
            #expect(messages["endpoint replaced"].map { (1...6).contains($0) } == true, "\(messages)")
            #expect(messages["Service added"].map { (1...12).contains($0) } == true, "\(messages)")
            #expect(messages["restart, nothing changed"] == 0)
            let storm = cluster["storm"] as? [String: Any]
            #expect(number(storm, "changes") == 1000)
            #expect(number(storm, "lost") == 0)
        }
    }

    @Test("agent: a start, and the time from an event to its rules")
    func agent() throws {
        // So far apart that each has a transaction of its own, however slow the machine is.
        let (report, _) = try report(
            "ProgrammingBenchmark", "agent", "--cluster", "100x10", "--starts", "1", "--replacements", "10",
            "--interval", "500", "--idle", "1", name: "agent")
        #expect(number(report, "event", "count") == 10)
        #expect(number(report, "residentMemory", "count") == 1)
    }

    @Test("packets: all shapes of rules are loaded, and no connection fails")
    func packets() throws {
        let (report, table) = try report(
            "PacketBenchmark", "--services", "10", "--rounds", "2", "--slice", "5", name: "packets",
            charts: ["new-tcp-connections.svg", "new-udp-flows.svg", "affinity.svg"])
        let sizes = list(report, "sizes")
        #expect(sizes.count == 1)
        let loading = list(sizes[0], "loading")
        #expect(loading.count == 7)
        #expect(loading.allSatisfy { $0["leftOut"] == nil }, "\(table)")
        let results = list(sizes[0], "results")
        // New connections to three Services by two protocols, and two kinds of established ones.
        #expect(results.count == 7 * 8)
        #expect(results.allSatisfy { number($0, "failures") == 0 }, "\(table)")
        let affinity = list(report, "affinity")
        #expect(affinity.count == 4)
        #expect(
            affinity.allSatisfy { number($0, "failures") == 0 && number($0, "known") ?? 0 > 0 }, "\(table)")
    }

    @Test("micro: nothing allocates more than it may")
    func micro() throws {
        let (report, _) = try report("MicroBenchmark", "--check", name: "micro")
        let results = list(report, "results")
        #expect(results.count == 11)
        #expect(results.allSatisfy { $0["limit"] != nil })
    }
}
