import BenchmarkSupport
import Foundation

/// What was measured of the program itself. Times are in seconds, sizes in bytes.
struct AgentReport: Codable, MachineReadable {
    let machine: Machine
    let services: Int
    let endpointsPerService: Int
    /// From the start of the process to its first rules in force.
    let start: Statistics
    /// Objects to rules in force within one process, without an API server: what is left when nothing is fetched.
    let coldStart: Statistics
    let peakMemory: Statistics
    let residentMemory: Statistics
    let anonymousMemory: Statistics
    let idleSeconds: Int
    let idleCPU: Double
    let idleSleeps: Int
    /// From an event's last byte to its transaction in force.
    let event: Statistics
    let slowestEvent: Double
    /// How slow the slow ones are.
    let tail: [TailPoint]

    /// One event in so many took longer.
    struct TailPoint: Codable {
        let oneIn: Int
        let seconds: Double

        static func all(of events: [Double]) -> [TailPoint] {
            let sorted = events.sorted()
            return [2, 5, 10, 20, 50, 100, 200, 500, 1000].filter { $0 <= sorted.count }.map { count in
                TailPoint(oneIn: count, seconds: sorted[sorted.count - 1 - sorted.count / count])
            }
        }
    }

    init(
        machine: Machine, _ cluster: ClusterSize, _ runs: [AgentRun.Figures], floors: [ColdStart],
        idle: Int
    ) {
        self.machine = machine
        services = cluster.services
        endpointsPerService = cluster.endpoints
        start = Statistics(runs.map(\.start))
        coldStart = Statistics(floors.map(\.total))
        peakMemory = Statistics(runs.map { Double($0.peak) })
        residentMemory = Statistics(runs.map { Double($0.resident) })
        anonymousMemory = Statistics(runs.map { Double($0.anonymous) })
        idleSeconds = idle
        idleCPU = runs.last?.idleCPU ?? 0
        idleSleeps = runs.last?.idleSleeps ?? 0
        let events = runs.flatMap(\.events)
        event = Statistics(events)
        slowestEvent = events.max() ?? 0
        tail = TailPoint.all(of: events)
    }

    /// From the median on, how soon an event is in force.
    var chart: LineChart {
        LineChart(
            title:
                "event's last byte to rules in force, \(services) Services x \(endpointsPerService) endpoints",
            xTitle: "one event in so many takes longer (logarithmic)", label: { TextTable.time($0) },
            lines: [.init(name: "sluice run", points: tail.map { (Double($0.oneIn), $0.seconds) })])
    }

    /// For people.
    var table: String {
        typealias Form = TextTable
        func row(_ name: String, _ value: Statistics, _ form: (Double) -> String) -> [String] {
            [name, form(value.median), form(value.p99)]
        }
        let ratio = coldStart.median > 0 ? Form.figures(start.median / coldStart.median) : "-"
        let rows = [
            ["start, \(start.count) of them", "median", "most"],
            row("  process start to rules in force", start, Form.time),
            row("  without API server: objects to rules", coldStart, Form.time),
            ["  ratio of the two", ratio, ""],
            row("  peak memory", peakMemory, Form.megabytes),
            row("  resident when settled", residentMemory, Form.megabytes),
            row("    of it not files' pages", anonymousMemory, Form.megabytes),
            ["nothing changes, \(idleSeconds) s", "", ""],
            ["  CPU time", Form.time(idleCPU), ""],
            ["  wake-ups", "\(idleSleeps)", ""],
            ["endpoint replaced, \(event.count) of them", "median", "p99"],
            row("  event's last byte to rules in force", event, Form.time),
            ["  slowest", Form.time(slowestEvent), ""],
        ]
        let title = "sluice run, \(services) Services x \(endpointsPerService) endpoints"
        return "\(machine.description)\n\n" + Form.title(title) + Form.align(rows)
    }
}
