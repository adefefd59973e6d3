import IPAddressing
import TestNetwork

/// One kind of traffic to one of the measured Services.
struct Trial: Hashable, Sendable {
    let traffic: Traffic
    let position: Position
}

/// What was measured of one opponent in one trial, a value for each round.
struct Tally {
    /// A second; 0 where nothing went through.
    var rates: [Double] = []
    /// The median time of each round's connections, or batches of a flow, in seconds; 0 where there was none.
    var medians: [Double] = []
    var latencies = Latencies()
    var failures = 0
    var lastFailure: String?

    mutating func add(_ slice: Slice) {
        rates.append(slice.seconds > 0 ? Double(slice.count) / slice.seconds : 0)
        medians.append(slice.latencies.percentile(0.5))
        latencies.add(slice.latencies)
        failures += slice.failures
        lastFailure = lastFailure ?? slice.lastFailure
    }
}

/// How long and how often is measured.
struct Pace: Sendable, Codable {
    var rounds: Int
    /// Of each measurement.
    var seconds: Double

    /// Seconds before each, in which the processor's caches come to know the rules.
    static let warmUp = 0.001
}

/// Opponents with the same cluster's rules, each measured a little in turn, round after round.
///
/// The turns are short, so that what else goes on in the machine for longer than some ten milliseconds meets all of a
/// round alike; a ratio is taken in each round.
struct Contest {
    let cluster: MeasuredCluster
    let arenas: [Arena]
    let pace: Pace

    struct Key: Hashable {
        let trial: Trial
        let opponent: Opponent
    }

    /// Connections that may be tracked at one time, of the 65,536 that the smallest machines have room for.
    private static let mostTracked = 40_000

    private struct Turn {
        let key: Key
        let arena: Arena
        let target: AddressPort
    }

    /// - Parameters:
    ///   - groups: trials that are measured together, in the same rounds; group after group. One rule is for one port, so
    ///     where there is a node with one, a group is one trial.
    ///   - isAt: told before each round, counted over all groups.
    func run(_ groups: [[Trial]], _ isAt: (Int) -> Void) throws -> [Key: Tally] {
        var result: [Key: Tally] = [:]
        for (number, group) in groups.enumerated() {
            let turns = try group.flatMap { trial in
                try arenas.map { arena in
                    Turn(
                        key: Key(trial: trial, opponent: arena.opponent), arena: arena,
                        target: try target(of: trial, in: arena))
                }
            }
            // A thread that belongs to no namespace for good.
            try arenas.first?.node.run {
                for round in 0..<pace.rounds {
                    isAt(number * pace.rounds + round)
                    for index in Rotation.order(of: turns.count, round: round) {
                        let turn = turns[index]
                        try turn.arena.enter()
                        let slice = turn.arena.measure(
                            turn.key.trial.traffic, to: turn.target, seconds: pace.seconds,
                            warmUp: Pace.warmUp)
                        result[turn.key, default: Tally()].add(slice)
                    }
                    if arenas.map(\.tracked).reduce(0, +) > Self.mostTracked {
                        for arena in arenas { try arena.forgetConnections() }
                    }
                }
            }
        }
        return result
    }

    private func target(of trial: Trial, in arena: Arena) throws -> AddressPort {
        let port = cluster.port(trial.traffic.transport, at: trial.position)
        switch arena.opponent {
        case .direct: return port.endpoints[0]
        case .oneRule, .oneRuleAgain:
            try RuleLoading.translate(port, in: arena.node)
            return port.address
        default: return port.address
        }
    }
}

extension [Contest.Key: Tally] {
    /// The rates of one as shares of the other's, round by round, which lie close together in time.
    func ratio(_ key: Contest.Key, to other: Contest.Key) -> Spread? {
        guard let values = self[key]?.rates, let others = self[other]?.rates else { return nil }
        let ratios = zip(values, others).filter { $1 > 0 }.map { $0 / $1 }
        return ratios.isEmpty ? nil : Spread(ratios)
    }

    /// How fast one is by the rounds' median times, as a share of the other: what a stall of some milliseconds, when
    /// the machine does something else, doesn't change.
    func medianRatio(_ key: Contest.Key, to other: Contest.Key) -> Spread? {
        guard let values = self[key]?.medians, let others = self[other]?.medians else { return nil }
        let ratios = zip(values, others).filter { $0 > 0 && $1 > 0 }.map { $1 / $0 }
        return ratios.isEmpty ? nil : Spread(ratios)
    }
}
