import ArgumentParser
import BenchmarkSupport
import ClusterGenerator
import Foundation
import Glibc
import KubernetesAPI
import KubernetesWire
import WireBodies

/// How long the bodies of an API server take to become objects, and how much memory.
@main
struct DecodingBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decodes the lists of a generated cluster, and single watch events.")

    @Option(help: "Services.") var services = 5006
    @Option(help: "Endpoints of each Service.") var endpoints = 50
    @Option(help: "Bytes that arrive at a time.") var chunk = 64 << 10
    @Option(help: "Runs of each; the median is reported.") var runs = 5
    @Flag(help: "Each endpoint has a hint of its zone.") var hints = false

    @Option(help: .hidden) var body: String?
    @Option(help: .hidden) var number = 0

    private static let lists: [(kind: ResourceKind, encoding: BodyEncoding)] = [
        (.services, .protobuf), (.endpointSlices, .protobuf), (.services, .json), (.endpointSlices, .json),
    ]

    func run() throws {
        if let body { return try measureMemory(body, Self.lists[number].kind, Self.lists[number].encoding) }
        let cluster = GeneratedCluster(services: services, endpoints: endpoints)
        write("\(services) Services, \(cluster.endpointCount) endpoints, chunks of \(chunk) bytes\n")
        let file = FileManager.default.temporaryDirectory.appending(path: "list-\(getpid())")
        defer { try? FileManager.default.removeItem(at: file) }
        for (number, list) in Self.lists.enumerated() {
            let objects =
                list.kind == .services ? cluster.serviceList() : cluster.endpointSliceList(hasHints: hints)
            let body = list.encoding == .protobuf ? objects.protobuf : Array(objects.json.utf8)
            try measureTime(body, list.kind, list.encoding)
            try Data(body).write(to: file)
            // In a process of its own: this one has made the body, and its heap shows it.
            let process = Process()
            process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            process.arguments = [
                "--body", file.path(), "--number", String(number), "--chunk", String(chunk),
            ]
            try process.run()
            process.waitUntilExit()
        }
        try watch()
    }

    private func measureTime(_ body: [UInt8], _ kind: ResourceKind, _ encoding: BodyEncoding) throws {
        var times: [Double] = []
        for _ in 0..<runs {
            var decoder = ListDecoder(kind, encoding, source: "https://127.0.0.1:6443")
            var count = 0
            let time = try seconds {
                try body.withUnsafeBytes { body in
                    for start in stride(from: 0, to: body.count, by: chunk) {
                        let end = min(start + chunk, body.count)
                        try decoder.consume(UnsafeRawBufferPointer(rebasing: body[start..<end])) { object in
                            precondition(object.problems.isEmpty && object.object != nil)
                            count += 1
                        }
                    }
                }
                _ = try decoder.finish()
            }
            precondition(count >= services)
            times.append(time)
        }
        let median = String(format: "%.1f ms", times.sorted()[times.count / 2] * 1000)
        write("\(kind) \(encoding): \(megabytes(body.count)) in \(median); ")
    }

    /// Reads a body in chunks, and keeps the objects.
    private func measureMemory(_ path: String, _ kind: ResourceKind, _ encoding: BodyEncoding) throws {
        let file = try FileHandle(forReadingFrom: URL(filePath: path))
        let before = MemoryStatus.bytes("VmRSS:")
        var held: [ClusterObject] = []
        var decoder = ListDecoder(kind, encoding, source: "https://127.0.0.1:6443")
        while let part = try file.read(upToCount: chunk), !part.isEmpty {
            try part.withUnsafeBytes { part in
                try decoder.consume(part) { object in
                    if let object = object.object { held.append(object) }
                }
            }
        }
        _ = try decoder.finish()
        print(
            "\(megabytes(MemoryStatus.bytes("VmRSS:") - before)) resident with all objects held,",
            "\(megabytes(MemoryStatus.bytes("VmHWM:") - before)) at the peak")
        withExtendedLifetime(held) {}
    }

    /// Unbuffered: another process writes to the same place.
    private func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

    private func megabytes(_ bytes: Int) -> String { String(format: "%.1f MB", Double(bytes) / 1e6) }

    /// Events of slices that are full, one at a time.
    private func watch() throws {
        let full = GeneratedCluster(services: 64, endpoints: GeneratedCluster.endpointsPerSlice)
        let slices = full.endpointSliceList(hasHints: hints).items
        for encoding in [BodyEncoding.protobuf, .json] {
            let frames = slices.map { slice in
                let event = WireEvent("MODIFIED", slice)
                return encoding == .protobuf ? event.protobufFrame : Array(event.json.utf8)
            }
            var decoder = WatchDecoder(.endpointSlices, encoding, source: "https://127.0.0.1:6443")
            var count = 0
            let rounds = encoding == .protobuf ? 100 : 2
            let time = try seconds {
                for _ in 0..<rounds {
                    for frame in frames {
                        try frame.withUnsafeBytes { try decoder.consume($0) { _ in count += 1 } }
                    }
                }
            }
            precondition(count == rounds * frames.count)
            let each = time / Double(count) * 1e6
            print(
                "watch \(encoding): \(String(format: "%.1f µs", each)) for an event of",
                "\(GeneratedCluster.endpointsPerSlice) endpoints (\(frames[0].count) bytes)")
        }
    }

    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        let time = try clock.measure(body)
        return Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
    }
}
