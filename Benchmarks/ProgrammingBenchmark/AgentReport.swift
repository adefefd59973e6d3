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
