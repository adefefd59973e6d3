import Foundation
import Testing

@testable import PrometheusMetrics

@Suite("Metrics of the process")
struct ProcessMetricsTests {
    private func value(_ name: String, _ families: [MetricFamily]) -> Double? {
        guard case .number(let value)? = families.first(where: { $0.name == name })?.series.first?.value
        else { return nil }
        return value
    }

    @Test("this process' own numbers are there and make sense")
    func own() throws {
        let families = ProcessMetrics().families()
        let resident = try #require(value("process_resident_memory_bytes", families))
        let virtual = try #require(value("process_virtual_memory_bytes", families))
        #expect(resident > 1_048_576 && resident < virtual)
        let threads = try #require(value("process_threads", families))
        let seconds = try #require(value("process_cpu_seconds_total", families))
        let open = try #require(value("process_open_fds", families))
        let limit = try #require(value("process_max_fds", families))
        #expect(threads >= 1 && seconds >= 0)
        #expect(open >= 3 && open <= limit)
        let start = try #require(value("process_start_time_seconds", families))
        #expect(start < Date().timeIntervalSince1970 && start > Date().timeIntervalSince1970 - 86_400)
        #expect(families.filter { $0.kind == .counter }.map(\.name) == ["process_cpu_seconds_total"])
    }

    @Test("fields are told from a program's name with spaces and parentheses")
    func names() throws {
        let text =
            "7 (a) b (c) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 5 0 1000 8192 3 18446744073709551615\n"
        let status = try #require(ProcessStatus(text))
        #expect(status.cpuTicks == 200)
        #expect(status.threads == 5)
        #expect(status.startTicks == 1000)
        #expect(status.virtualBytes == 8192)
        #expect(status.residentPages == 3)
    }

    @Test("what isn't such a file is nothing", arguments: ["", "7 (a) S 1", "7 (a S 1 2 3", ") x y z"])
    func broken(text: String) {
        #expect(ProcessStatus(text) == nil)
    }

    @Test("where procfs is missing, what it holds is left out")
    func missing() {
        let names = ProcessMetrics(root: "/does/not/exist").families().map(\.name)
        #expect(names == ["process_max_fds", "process_virtual_memory_max_bytes"])
    }
}
