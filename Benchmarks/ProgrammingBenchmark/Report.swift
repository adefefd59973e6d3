import BenchmarkSupport
import Foundation

/// All that was measured. Times are in seconds, sizes in bytes.
struct Report: Codable, MachineReadable {
    let machine: Machine
    var clusters: [ClusterReport] = []

    init(machine: Machine) { self.machine = machine }
}

struct ClusterReport: Codable {
    let services: Int
    let endpointsPerService: Int
    var coldStart = ColdStartReport([])
    var floor: FloorReport?
    var manifest = ManifestReport([])
    var changes: [ChangeReport] = []
    var storm: StormReport?
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
        } + (storm?.violations ?? []).map { "storm \(cluster): \($0)" }
            + nft.compactMap { look in look.failure.map { "\(look.command) \(cluster): \($0)" } }
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
    /// Of it the transaction: encoding and the kernel's work.
    let commit: Statistics
    /// CPU time of the process for one, in the mean, seconds: its own, and the kernel's for it.
    let meanUser: Double
    let meanSystem: Double
    /// The most that any of them took.
    let messages: Int
    let bytes: Int
    let ruleOperations: Int

    init(_ change: Change, _ samples: [ChangeSample]) {
        self.change = change
        seconds = Statistics(samples.map(\.seconds))
        commit = Statistics(samples.map(\.commit))
        let count = Double(max(1, samples.count))
        meanUser = samples.map(\.user).reduce(0, +) / count
        meanSystem = samples.map(\.system).reduce(0, +) / count
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

/// The agent's loop under a steady flow of changes. Times in seconds, sizes in bytes.
struct StormReport: Codable {
    let rate: Int
    let changes: Int
    let overtaken: Int
    let lost: Int
    let delay: Statistics
    let slowest: Double
    let transactions: Int
    let messages: Int
    let bytes: Int
    /// CPU time as a share of the time by the clock: the process's own, and the kernel's for it.
    let userShare: Double
    let systemShare: Double
    /// By how much the memory of the process has grown.
    let growth: Int

    init(_ figures: Storm.Figures, rate: Int) {
        self.rate = rate
        changes = figures.delays.count + figures.overtaken + figures.lost
        overtaken = figures.overtaken
        lost = figures.lost
        delay = Statistics(figures.delays)
        slowest = figures.delays.max() ?? 0
        transactions = figures.transactions
        messages = figures.messages
        bytes = figures.bytes
        userShare = figures.seconds > 0 ? figures.user / figures.seconds : 0
        systemShare = figures.seconds > 0 ? figures.system / figures.seconds : 0
        growth = figures.growth
    }

    var violations: [String] { lost > 0 ? ["\(lost) of \(changes) changes were never in force"] : [] }
}

/// A bare libnftnl program that sends the same messages. Times in seconds, sizes in bytes.
struct FloorReport: Codable {
    let total: Statistics
    let user: Statistics
    let system: Statistics
    let messages: Int
    let bytes: Int
    /// Sluice's commit as a multiple of it, medians of the same run.
    let ratio: Double

    /// Nil when there is none.
    init?(_ floors: [Floor], beside starts: [ColdStart]) {
        guard let first = floors.first else { return nil }
        total = Statistics(floors.map(\.total))
        user = Statistics(floors.map(\.user))
        system = Statistics(floors.map(\.system))
        (messages, bytes) = (first.messages, first.bytes)
        ratio = total.median > 0 ? Statistics(starts.map(\.commit.wall)).median / total.median : 0
    }
}
