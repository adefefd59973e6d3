import Foundation

/// All that was measured. Times are in seconds, sizes in bytes.
struct Report: Codable {
    struct Machine: Codable {
        let cores: Int
        let kernel: String

        static var here: Machine {
            var names = utsname()
            uname(&names)
            let release = withUnsafeBytes(of: names.release) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            return Machine(cores: ProcessInfo.processInfo.activeProcessorCount, kernel: release)
        }
    }

    let machine: Machine
    var clusters: [ClusterReport] = []

    init(machine: Machine) { self.machine = machine }

    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}

struct ClusterReport: Codable {
    let services: Int
    let endpointsPerService: Int
    var coldStart = ColdStartReport([])
    var manifest = ManifestReport([])
    var changes: [ChangeReport] = []
    var nft: [NFTCheck.Look] = []

    init(services: Int, endpointsPerService: Int) {
        self.services = services
        self.endpointsPerService = endpointsPerService
    }

    /// What is more than it may be, in sentences.
    var violations: [String] {
        let cluster = "at \(services) x \(endpointsPerService)"
        return changes.flatMap { change in
            change.violations.map { "\(change.change.rawValue) \(cluster): \($0)" }
        } + nft.compactMap { look in look.failure.map { "\(look.command) \(cluster): \($0)" } }
    }
}

struct ColdStartReport: Codable {
    let plan: Statistics
    let compile: Statistics
    let commit: Statistics
    let commitUser: Statistics
    let commitSystem: Statistics
    let total: Statistics
    let messages: Int
    let bytes: Int

    init(_ starts: [ColdStart]) {
        plan = Statistics(starts.map(\.plan))
        compile = Statistics(starts.map(\.compile))
        commit = Statistics(starts.map(\.commit.wall))
        commitUser = Statistics(starts.map(\.commit.user))
        commitSystem = Statistics(starts.map(\.commit.system))
        total = Statistics(starts.map(\.total))
        messages = starts.map(\.messages).max() ?? 0
        bytes = starts.map(\.bytes).max() ?? 0
    }
}

struct ManifestReport: Codable {
    let bytes: Int
    let parse: Statistics
    let peakMemory: Statistics
    let residentMemory: Statistics

    init(_ figures: [Footprint.Figures]) {
        bytes = figures.map(\.manifestBytes).max() ?? 0
        parse = Statistics(figures.map(\.parse))
        peakMemory = Statistics(figures.map { Double($0.peak) })
        residentMemory = Statistics(figures.map { Double($0.resident) })
    }
}

struct ChangeReport: Codable {
    let change: Change
    let seconds: Statistics
    /// The most that any of them took.
    let messages: Int
    let bytes: Int
    let ruleOperations: Int

    init(_ change: Change, _ samples: [ChangeSample]) {
        self.change = change
        seconds = Statistics(samples.map(\.seconds))
        messages = samples.map(\.messages).max() ?? 0
        bytes = samples.map(\.bytes).max() ?? 0
        ruleOperations = samples.map(\.ruleOperations).max() ?? 0
    }

    var violations: [String] {
        var result: [String] = []
        if let limit = change.messageLimit, messages > limit {
            result.append("\(messages) netlink messages, \(limit) are allowed")
        }
        if change.sparesRules, ruleOperations > 0 {
            result.append("\(ruleOperations) operations on rules, none is allowed")
        }
        return result
    }
}
