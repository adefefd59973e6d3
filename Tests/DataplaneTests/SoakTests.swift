import ClusterBuilders
import Foundation
import IPAddressing
import NFTables
import NFTablesKernel
import Ruleset
import SeededRandom
import TemporaryFiles
import TestNetwork
import Testing

extension DataplaneTests {
    /// Hours of churn, in little: nothing grows.
    ///
    /// `SLUICE_SOAK_SECONDS` says for how long, `SLUICE_TEST_SEED` how it begins.
    @Suite(.timeLimit(.minutes(120))) struct SoakTests {
        private static let seconds = Int(environmentNumber("SLUICE_SOAK_SECONDS", 120))
        private static let seed = environmentNumber("SLUICE_TEST_SEED", 7)
        private static let files = 20
        private static let servicesInFile = 10

        /// What a process has and what the kernel has of it.
        private struct Footprint: Equatable {
            var residentKilobytes = 0
            var descriptors = 0
            var threads = 0
        }

        private func footprint(_ process: ChildProcess) throws -> Footprint {
            let folder = "/proc/\(process.processID)"
            let status = try String(contentsOfFile: "\(folder)/status", encoding: .utf8)
            func value(_ key: String) -> Int {
                let line = status.split(separator: "\n").first { $0.hasPrefix("\(key):") }
                return line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
            }
            return Footprint(
                residentKilobytes: value("VmRSS"),
                descriptors: try FileManager.default.contentsOfDirectory(atPath: "\(folder)/fd").count,
                threads: value("Threads"))
        }

        /// Services of random shapes: as many endpoints as chance has it, affinity or none, or none at all.
        private func text(_ file: Int, _ random: inout SeededGenerator) -> String {
            var documents: [String] = []
            for number in 0..<Self.servicesInFile where !random.once(in: 10) {
                let name = "web-\(file)-\(number)"
                let addresses = [
                    IPAddress(ipv4: 0x0a60_0100 + UInt32(file * Self.servicesInFile + number)),
                    IPAddress(high: 0xfd00 << 48, low: UInt64(0x1000 + file * Self.servicesInFile + number)),
                ]
                documents.append(
                    ManifestText.service(
                        name, at: addresses,
                        affinity: random.once(in: 3) ? UInt32(random.number(1...600)) : nil))
                let endpoints = (0..<random.number(0...8)).map { _ in
                    "  - {addresses: [\"10.244.\(random.number(0...3)).\(random.number(1...250))\"], nodeName: node}\n"
                }
                documents.append(
                    """
                    apiVersion: discovery.k8s.io/v1
                    kind: EndpointSlice
                    metadata: {name: \(name), namespace: default, labels: {kubernetes.io/service-name: \(name)}}
                    addressType: IPv4
                    ports: [{name: http, protocol: TCP, port: 8080}, {name: dgram, protocol: UDP, port: 8080}]
                    endpoints:\(endpoints.isEmpty ? " []" : "")

                    """ + endpoints.joined())
            }
            return documents.joined(separator: "---\n")
        }

        @Test("under churn neither memory nor files nor threads nor anything in the kernel piles up")
        func churn() throws {
            var random = SeededGenerator(seed: Self.seed)
            try TestCluster.with(ClusterPlan(pods: [["client"]])) { cluster in
                let directory = try TemporaryDirectory()
                var original: [String] = []
                for file in 0..<Self.files {
                    original.append(text(file, &random))
                    try directory.write(original[file], to: "web-\(file).yaml")
                }
                let program = try RunningProgram(on: cluster, directory)
                let connection = try cluster.node.namespace.run { try Connection() }
                /// By table: sets with the number of their elements, and chains with that of their rules.
                func contents() throws -> [[String: Int]] {
                    try ObjectNames.tables.map { id in
                        guard let table = try connection.table(id) else { return [:] }
                        var counts = table.chains.mapValues(\.rules.count)
                        // Which map of slots a pool is in is history; how many there are is not.
                        var slots = 0
                        for (name, set) in table.sets {
                            let count = table.elements[name]?.count ?? 0
                            if name.hasPrefix("slots-") {
                                slots += count
                            } else {
                                counts["set \(name)"] = set.flags.contains(.dynamic) ? 0 : count
                            }
                        }
                        counts["slots"] = slots
                        return counts
                    }
                }
                let before = try contents()
                var changes = 0
                func churn(for seconds: Int) throws {
                    let end = ContinuousClock.now + .seconds(seconds)
                    while ContinuousClock.now < end {
                        let file = random.number(0...Self.files - 1)
                        if random.once(in: 12) {
                            try? directory.remove("web-\(file).yaml")
                        } else {
                            try directory.write(text(file, &random), to: "web-\(file).yaml")
                        }
                        changes += 1
                        usleep(10_000)
                    }
                }
                // What is allocated once is there after a quarter of the time.
                try churn(for: max(2, Self.seconds / 4))
                let warm = try footprint(program.process)
                try churn(for: Self.seconds - Self.seconds / 4)
                let end = try footprint(program.process)
                print(
                    "soak: \(changes) changes in \(Self.seconds) s, from \(warm) to \(end), seed \(Self.seed)"
                )
                #expect(end.residentKilobytes < warm.residentKilobytes * 5 / 4 + 8192)
                #expect(abs(end.descriptors - warm.descriptors) <= 3)
                #expect(end.threads <= warm.threads + 4)

                for (file, text) in original.enumerated() {
                    try directory.write(text, to: "web-\(file).yaml")
                }
                #expect(try eventually { try contents() == before })
                // All that is left is what is wanted, where it is.
                program.process.send(SIGKILL)
                _ = program.process.wait()
                let next = try RunningProgram(on: cluster, directory)
                #expect(try next.process.standardError.contains("in force: nothing to change"))
                #expect(next.terminate() == 0)
            }
        }
    }
}
