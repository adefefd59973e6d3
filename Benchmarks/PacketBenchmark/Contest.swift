import IPAddressing

/// One kind of traffic to one of the measured Services.
struct Trial: Hashable, Sendable {
    let traffic: Traffic
    let position: Position
}

/// What was measured of one opponent in one trial, a value for each round.
struct Tally {
    /// A second.
    var rates: [Double] = []
    var latencies = Latencies()
    var failures = 0
    var lastFailure: String?

    mutating func add(_ slice: Slice) {
        // Nothing went through: no rate that could be compared, and the failure is told.
        if slice.count > 0, slice.seconds > 0 { rates.append(Double(slice.count) / slice.seconds) }
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
    /// Threads that make connections at the same time.
    var workers: Int

    static let warmUp = 0.01
}

/// Opponents with the same cluster's rules, each measured a little in turn, round after round.
struct Contest {
    let cluster: MeasuredCluster
    let arenas: [Arena]
    let pace: Pace

    struct Key: Hashable {
        let trial: Trial
        let opponent: Opponent
    }

    /// - Parameter isAt: told before each round.
    func run(_ trials: [Trial], _ isAt: (Int) -> Void) throws -> [Key: Tally] {
        var result: [Key: Tally] = [:]
        for round in 0..<pace.rounds {
            isAt(round)
            for trial in trials {
                for index in Rotation.order(of: arenas.count, round: round) {
                    let slice = try measure(trial, in: arenas[index])
                    let key = Key(trial: trial, opponent: arenas[index].opponent)
                    result[key, default: Tally()].add(slice)
                }
            }
        }
        return result
    }

    private func measure(_ trial: Trial, in arena: Arena) throws -> Slice {
        let port = cluster.port(trial.traffic.transport, at: trial.position)
        switch arena.opponent {
        case .oneRule, .oneRuleAgain: try RuleLoading.translate(port, in: arena.node)
        default: break
        }
        return try arena.measure(
            trial.traffic, to: arena.opponent == .direct ? port.endpoints[0] : port.address,
            seconds: pace.seconds, warmUp: Pace.warmUp, workers: pace.workers)
    }
}

extension [Contest.Key: Tally] {
    /// The rates of one as shares of the other's, round by round, which lie close together in time.
    func ratio(_ key: Contest.Key, to other: Contest.Key) -> Spread? {
        guard let values = self[key]?.rates, let others = self[other]?.rates, values.count == others.count,
            !values.isEmpty
        else { return nil }
        return Spread(zip(values, others).map { $0 / $1 })
    }
}
