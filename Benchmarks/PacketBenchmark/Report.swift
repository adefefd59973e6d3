import BenchmarkSupport
import Foundation

/// All that was measured. Rates are a second, times in seconds.
struct Report: Codable, MachineReadable {
    let machine: Machine
    let pace: Pace
    var sizes: [SizeReport] = []
    var affinity: [AffinityReport] = []

    init(machine: Machine, pace: Pace) {
        self.machine = machine
        self.pace = pace
    }

    /// Traffic that failed, and rules of Sluice that could not be loaded, in sentences.
    var failures: [String] {
        var lines: [String] = []
        for size in sizes {
            for load in size.loading where load.opponent == Opponent.sluice.name {
                guard let reason = load.leftOut else { continue }
                lines.append("Sluice's own rules for \(size.services) Services: \(reason)")
            }
            for result in size.results where result.failures > 0 {
                let place = "\(result.position.rawValue) of \(size.services) Services"
                let failure = "\(result.failures) failed, the first: \(result.lastFailure ?? "unknown")"
                lines.append("\(result.opponent), \(result.traffic.rawValue), \(place): \(failure)")
            }
        }
        for result in affinity where result.failures > 0 {
            let failure = "\(result.failures) failed, the first: \(result.lastFailure ?? "unknown")"
            lines.append("\(result.opponent), affinity over \(result.endpoints) endpoints: \(failure)")
        }
        return lines
    }
}

/// How an opponent's rules were put in place.
struct LoadingReport: Codable {
    let opponent: String
    /// Nil where there is nothing to load.
    var seconds: Double?
    /// Why it isn't among the measured.
    var leftOut: String?
}

struct SizeReport: Codable {
    let services: Int
    let endpointsPerService: Int
    var loading: [LoadingReport] = []
    var results: [TrialReport] = []

    /// How far the same rule is from itself in another namespace, at the most; nil when that wasn't measured.
    func doubt(_ traffic: Traffic) -> Double? {
        let again = results.filter {
            $0.traffic == traffic && $0.opponent == Opponent.oneRuleAgain.name
        }
        return again.compactMap { $0.medianRatio ?? $0.ratio }.map { max(abs($0.low - 1), abs($0.high - 1)) }
            .max()
    }

    /// How far the rates of the way without rules are apart, as a share; nil when that wasn't measured.
    func unrest(_ traffic: Traffic) -> Double? {
        results.filter { $0.traffic == traffic && $0.opponent == Opponent.direct.name }
            .map(\.rate.relativeWidth).max()
    }
}

struct TrialReport: Codable {
    struct Latency: Codable {
        let p50: Double
        let p99: Double
        let p999: Double

        init?(_ latencies: Latencies) {
            guard latencies.count > 0 else { return nil }
            p50 = latencies.percentile(0.5)
            p99 = latencies.percentile(0.99)
            p999 = latencies.percentile(0.999)
        }
    }

    let opponent: String
    let traffic: Traffic
    let position: Position
    let rate: Spread
    /// Of one DNAT rule's rate in the same round.
    let ratio: Spread?
    /// One DNAT rule's median time as a share of this one's; nil for streams, whose steps differ.
    let medianRatio: Spread?
    let latency: Latency?
    let failures: Int
    let lastFailure: String?

    init(_ key: Contest.Key, _ tallies: [Contest.Key: Tally]) {
        let tally = tallies[key] ?? Tally()
        opponent = key.opponent.name
        traffic = key.trial.traffic
        position = key.trial.position
        rate = Spread(tally.rates)
        let rule = Contest.Key(trial: key.trial, opponent: .oneRule)
        ratio = key == rule ? nil : tallies.ratio(key, to: rule)
        medianRatio = key == rule ? nil : tallies.medianRatio(key, to: rule)
        latency = .init(tally.latencies)
        failures = tally.failures
        lastFailure = tally.lastFailure
    }
}

/// New TCP connections to a service with ClientIP affinity beside one without, under the same rules.
struct AffinityReport: Codable {
    let opponent: String
    let endpoints: Int
    /// Clients that were known beforehand.
    let known: Int
    let without: Spread
    let with: Spread
    /// With affinity, as a share of without.
    let ratio: Spread?
    /// The same by median times.
    let medianRatio: Spread?
    let latency: TrialReport.Latency?
    let failures: Int
    let lastFailure: String?

    init(_ opponent: Opponent, endpoints: Int, known: Int, _ tallies: [Contest.Key: Tally]) {
        let plain = Contest.Key(
            trial: Trial(traffic: .tcpConnections, position: .start), opponent: opponent)
        let sticky = Contest.Key(trial: Trial(traffic: .tcpConnections, position: .end), opponent: opponent)
        self.opponent = opponent.name
        self.endpoints = endpoints
        self.known = known
        without = Spread(tallies[plain]?.rates ?? [])
        with = Spread(tallies[sticky]?.rates ?? [])
        ratio = tallies.ratio(sticky, to: plain)
        medianRatio = tallies.medianRatio(sticky, to: plain)
        latency = tallies[sticky].flatMap { .init($0.latencies) }
        failures = [plain, sticky].reduce(0) { $0 + (tallies[$1]?.failures ?? 0) }
        lastFailure = tallies[sticky]?.lastFailure ?? tallies[plain]?.lastFailure
    }
}
