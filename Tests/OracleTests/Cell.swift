import IPAddressing
import KubernetesAPI
import Oracle
import PacketSimulator

/// The kinds of address that a variant's Service has or hasn't.
enum AddressKind: CaseIterable, Sendable {
    case clusterIP, unservedClusterPort, loadBalancerIP, unservedLoadBalancerPort, externalIP
    case nodePort, nodePortAtSecondAddress, nodePortAtLoopback

    func destination(_ variant: Variant, _ family: AddressFamily) -> AddressPort {
        let service = variant.service
        switch self {
        case .clusterIP: return AddressPort(Ground.of(family, service.clusterIPs), 80)
        case .unservedClusterPort: return AddressPort(Ground.of(family, service.clusterIPs), 81)
        case .loadBalancerIP: return AddressPort(Ground.of(family, service.loadBalancerIPs), 80)
        case .unservedLoadBalancerPort:
            return AddressPort(Ground.of(family, service.loadBalancerIPs), variant.nodePort)
        case .externalIP: return AddressPort(Ground.of(family, service.externalIPs), 80)
        case .nodePort: return AddressPort(Ground.of(family, Ground.primaryAddresses), variant.nodePort)
        case .nodePortAtSecondAddress:
            return AddressPort(Ground.of(family, Ground.secondAddresses), variant.nodePort)
        case .nodePortAtLoopback:
            return AddressPort(family == .ipv4 ? ip("127.0.0.1") : ip("::1"), variant.nodePort)
        }
    }
}

/// One case of the cross product: a few connections whose fate follows from one answer.
struct Cell {
    var source: SourceKind
    /// The client's address; nil: fresh clients of the source's kind.
    var client: IPAddress?
    var transport: TransportProtocol
    var destination: AddressPort
    /// The Service that the address is of, and what kind it is; nil for an address of nobody.
    var variant: Variant?
    var kind: AddressKind?

    /// The first of its connections.
    func question(from client: IPAddress) -> Question {
        Question(transport, source.sender, from: client, to: destination)
    }

    func label(_ setting: Setting) -> String {
        guard let variant, let kind else {
            return "\(setting.testDescription): \(source) → \(transport) \(destination), which nobody has"
        }
        return """
            \(client == nil ? "" : "itself an endpoint: ")\(setting.testDescription): \(source) → \(kind) \
            (\(transport), \(destination.address.family)) of \(variant.name.name): \(variant.state), \
            hints \(variant.hints), internal \(variant.internalPolicy), external \(variant.externalPolicy), \
            ranges \(variant.ranges)\(variant.hasAffinity ? ", affinity" : "")
            """
    }
}

/// Where the connections of cells are opened.
protocol CellWorld {
    /// Opens one more connection, from a port that wasn't used before.
    mutating func connect(
        _ transport: TransportProtocol, from source: IPAddress, _ sender: SourceKind,
        to destination: AddressPort
    ) throws -> SimulatedFate
    /// What masquerading gives on the way to an endpoint.
    func masqueradeAddress(to endpoint: IPAddress) -> IPAddress
}

/// What a comparison found.
struct Tally: Sendable {
    var cells = 0
    var connections = 0
    var disagreements: [String] = []
}

/// Opens the connections of cells and compares what became of them with the oracle's answers.
struct Comparison<World: CellWorld> {
    private var world: World
    private let oracle: Oracle
    private let setting: Setting
    private(set) var tally = Tally()
    private var clients = 0
    /// The endpoints that a client of a Service's port was sent to while affinity holds.
    private var remembered: [Memory: Set<AddressPort>] = [:]

    private struct Memory: Hashable {
        var service: ObjectName?
        var transport: TransportProtocol
        var client: IPAddress
    }

    init(_ world: World, _ setting: Setting) {
        self.world = world
        self.setting = setting
        oracle = setting.oracle
    }

    mutating func run(_ cell: Cell) throws {
        tally.cells += 1
        let family = cell.destination.address.family
        let first = cell.client ?? nextClient(cell.source, family)
        let answer = oracle.answer(cell.question(from: first))
        var told: Set<String> = []
        func tell(_ text: String) {
            guard told.insert(text).inserted else { return }
            tally.disagreements.append("\(cell.label(setting)): \(text)")
        }
        guard case .oneOf(let allowed) = answer.fate else {
            let fate = try open(cell, from: first)
            if !fate.matches(answer.fate) { tell("\(answer.fate) expected, \(fate)") }
            return
        }
        var reached: [AddressPort] = []
        if answer.affinityTimeout == nil {
            for _ in 0...allowed.count {
                let fate = try open(cell, from: first)
                guard let endpoint = check(fate, first, answer, tell) else { return }
                reached.append(endpoint)
            }
            if reached.last != reached.first { tell("no strict rotation: \(reached)") }
        } else {
            for number in 0..<allowed.count {
                let client =
                    number == 0 ? first : cell.client ?? nextClient(cell.source, family)
                let memory = Memory(service: cell.variant?.name, transport: cell.transport, client: client)
                for _ in 0...1 {
                    let fate = try open(cell, from: client)
                    guard let endpoint = check(fate, client, answer, tell) else { return }
                    let known = (remembered[memory] ?? []).intersection(allowed)
                    if !known.isEmpty, !known.contains(endpoint) {
                        tell("client \(client) was at \(known), now at \(endpoint)")
                    }
                    remembered[memory, default: []].insert(endpoint)
                    reached.append(endpoint)
                }
            }
        }
        let coversAll = answer.affinityTimeout == nil || (cell.client == nil && cell.source != .host)
        if coversAll, Set(reached) != allowed { tell("\(allowed) expected in turn, \(reached)") }
    }

    private mutating func nextClient(_ source: SourceKind, _ family: AddressFamily) -> IPAddress {
        clients = (clients + 1) % 60_000
        return source.address(clients, family)
    }

    private mutating func open(_ cell: Cell, from client: IPAddress) throws -> SimulatedFate {
        tally.connections += 1
        return try world.connect(cell.transport, from: client, cell.source, to: cell.destination)
    }

    private func check(
        _ fate: SimulatedFate, _ client: IPAddress, _ answer: Answer, _ tell: (String) -> Void
    ) -> AddressPort? {
        guard case .oneOf(let allowed) = answer.fate, case .delivered(let to, let source, _) = fate
        else {
            tell("\(answer.fate) expected, \(fate)")
            return nil
        }
        guard allowed.contains(to) else {
            tell("one of \(allowed) expected, \(fate)")
            return nil
        }
        let own = world.masqueradeAddress(to: to.address)
        let expected = answer.masqueraded.contains(to) ? own : client
        if source.address != expected { tell("source \(expected) expected, \(fate)") }
        return to
    }
}

extension SimulatedFate {
    /// Whether it is this, and not an endpoint that was reached.
    func matches(_ expected: Answer.Fate) -> Bool {
        switch (self, expected) {
        case (.refused, .refused), (.dropped, .dropped), (.untouched, .untouched): true
        default: false
        }
    }
}
