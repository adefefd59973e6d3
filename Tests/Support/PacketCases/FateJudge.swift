public import IPAddressing

/// What became of a connection, as the simulator and the kernel can both tell.
public enum ObservedFate: Sendable, Hashable, CustomStringConvertible {
    /// It reached this port, translated or not; the server saw it come from `source`.
    case reached(AddressPort, source: AddressPort)
    case refused
    case dropped
    /// Something that no case expects.
    case other(String)

    public var description: String {
        switch self {
        case .reached(let server, let source): "reached \(server) from \(source)"
        case .refused: "refused"
        case .dropped: "dropped"
        case .other(let what): what
        }
    }
}

/// One connection and its fate.
public struct Observation: Sendable, Hashable, CustomStringConvertible {
    public let source: AddressPort
    public let destination: AddressPort
    public let fate: ObservedFate

    public init(source: AddressPort, destination: AddressPort, fate: ObservedFate) {
        self.source = source
        self.destination = destination
        self.fate = fate
    }

    public var description: String { "\(source) → \(destination): \(fate)" }

    var server: AddressPort? {
        if case .reached(let server, _) = fate { server } else { nil }
    }

    /// Whether two worlds say the same of one connection. The source port that masquerading takes at random is
    /// nobody's to foresee; that nothing else changes it is the judge's business.
    public func isLike(_ other: Observation) -> Bool {
        guard case .reached(let server, let seen) = fate, case .reached(server, let otherSeen) = other.fate
        else { return self == other }
        return (source, destination) == (other.source, other.destination) && seen.address == otherSeen.address
    }
}

/// Compares what became of the connections of a case with what must become of them, step by step.
public struct FateJudge: Sendable {
    private let setting: Setting
    /// The servers of the labelled steps, in the order of the connections.
    private var servers: [String: [AddressPort]] = [:]

    public init(_ setting: Setting = Setting()) { self.setting = setting }

    /// What is wrong with them; empty when all is as the step expects.
    public mutating func problems(of observations: [Observation], in step: ConnectionStep) -> [String] {
        guard observations.count == step.times else {
            return ["\(observations.count) connections instead of \(step.times)"]
        }
        let expected = expectedServers(step)
        var problems: [String] = []
        for (index, (observation, allowed)) in zip(observations, expected).enumerated() {
            let isRight =
                switch (allowed, observation.fate) {
                case (.servers(let servers), .reached(let server, _)): servers.contains(server)
                case (.fate(let fate), _): fate == observation.fate
                default: false
                }
            if !isRight {
                problems.append("connection \(index + 1), \(observation), instead of \(allowed)")
            }
            problems +=
                sourceProblem(observation, step.source).map { ["connection \(index + 1), \($0)"] } ?? []
        }
        let reached = observations.compactMap(\.server)
        if case .rotates(let over) = step.expectation {
            let wanted = Set(over.map { $0.address(step.traffic.family) })
            let isInTurn = zip(reached, reached.dropFirst(over.count)).allSatisfy { $0 == $1 }
            if Set(reached.prefix(over.count)) != wanted || !isInTurn {
                problems.append("not in turn: \(reached.map(\.description).joined(separator: ", "))")
            }
        }
        if let label = step.label { servers[label] = reached }
        if case .continues(let label, let replaced) = step.expectation {
            let before = turn(label, replaced, step.traffic.family)
            servers[label] = before + reached
        }
        return problems
    }

    private enum Allowed: CustomStringConvertible {
        case servers(Set<AddressPort>)
        case fate(ObservedFate)

        var description: String {
            switch self {
            case .servers(let servers):
                "reaching " + servers.sorted().map(\.description).joined(separator: " or ")
            case .fate(let fate): "\(fate)"
            }
        }
    }

    /// What each of the connections may meet.
    private func expectedServers(_ step: ConnectionStep) -> [Allowed] {
        let family = step.traffic.family
        func addresses(_ servers: [Server]) -> Set<AddressPort> { Set(servers.map { $0.address(family) }) }
        func all(_ allowed: Allowed) -> [Allowed] { Array(repeating: allowed, count: step.times) }
        switch step.expectation {
        case .answered(let server): return all(.servers(addresses([server])))
        case .answeredByOneOf(let servers), .rotates(let servers): return all(.servers(addresses(servers)))
        case .continues(let label, let replaced):
            let before = turn(label, replaced, family)
            let period = Set(before).count
            guard period > 0 else { return all(.servers([])) }
            return (0..<step.times).map { .servers([before[(before.count + $0) % period]]) }
        case .same(let label): return all(.servers(Set(servers[label]?.prefix(1) ?? [])))
        case .keeps(let label, let among):
            let kept = Set(servers[label]?.prefix(1) ?? []).intersection(addresses(among))
            return all(.servers(kept.isEmpty ? addresses(among) : kept))
        case .differs(let labels, let among):
            return all(.servers(addresses(among).subtracting(labels.flatMap { servers[$0] ?? [] })))
        case .refused: return all(.fate(.refused))
        case .dropped: return all(.fate(.dropped))
        case .untouched: return all(.servers([step.destination]))
        }
    }

    private func turn(_ label: String, _ replaced: [Server: Server], _ family: AddressFamily) -> [AddressPort]
    {
        let names = Dictionary(
            replaced.map { ($0.key.address(family), $0.value.address(family)) }, uniquingKeysWith: { $1 })
        return (servers[label] ?? []).map { names[$0] ?? $0 }
    }

    private func sourceProblem(_ observation: Observation, _ expectation: SourceExpectation) -> String? {
        guard case .reached(let server, let seen) = observation.fate else { return nil }
        let isMasqueraded =
            switch expectation {
            case .kept: false
            case .masqueraded: true
            case .keptButByItself: server.address == observation.source.address
            }
        let wanted =
            isMasqueraded
            ? setting.masqueradeAddress(to: server.address) : observation.source.address
        // Masquerading may take another port, at random even; nothing else may.
        let isRight = seen.address == wanted && (isMasqueraded || seen.port == observation.source.port)
        return isRight ? nil : "\(observation), which should have been seen from \(wanted)"
    }
}
