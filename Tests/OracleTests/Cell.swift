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
}

/// Opens the connections of cells and compares what became of them with the oracle's answers.
struct Comparison {
    private var node: CompiledNode
    private let oracle: Oracle
    private(set) var cells = 0
    private(set) var connections = 0
    private(set) var disagreements: [String] = []
    private var clients = 0
    /// The endpoints that a client of a Service's port was sent to while affinity holds.
    private var remembered: [Memory: Set<AddressPort>] = [:]

    private struct Memory: Hashable {
        var service: ObjectName
        var transport: TransportProtocol
        var client: IPAddress
    }

    init(_ node: CompiledNode, _ oracle: Oracle) {
        self.node = node
        self.oracle = oracle
    }

    mutating func run(_ cell: Cell, service: ObjectName, _ label: @autoclosure () -> String) {
        cells += 1
        let family = cell.destination.address.family
        let first = cell.client ?? nextClient(cell.source, family)
        let answer = oracle.answer(
            Question(cell.transport, cell.source.sender, from: first, to: cell.destination))
        var told: Set<String> = []
        func tell(_ text: String) {
            guard told.insert(text).inserted else { return }
            disagreements.append("\(label()): \(text)")
        }
        guard case .oneOf(let allowed) = answer.fate else {
            let result = open(cell, from: first)
            if !Self.matches(result.fate, answer.fate) { tell("\(answer.fate) expected, \(result.fate)") }
            return
        }
        var reached: [AddressPort] = []
        if answer.affinityTimeout == nil {
            for _ in 0...allowed.count {
                let result = open(cell, from: first)
                guard let endpoint = Self.check(result, first, answer, tell) else { return }
                reached.append(endpoint)
            }
            if reached.last != reached.first { tell("no strict rotation: \(reached)") }
        } else {
            for number in 0..<allowed.count {
                let client =
                    number == 0 ? first : cell.client ?? nextClient(cell.source, family)
                let memory = Memory(service: service, transport: cell.transport, client: client)
                for _ in 0...1 {
                    let result = open(cell, from: client)
                    guard let endpoint = Self.check(result, client, answer, tell) else { return }
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

    private mutating func open(_ cell: Cell, from client: IPAddress) -> PacketSimulator.Result {
        connections += 1
        return node.open(cell.transport, from: client, cell.source, to: cell.destination)
    }

    private static func check(
        _ result: PacketSimulator.Result, _ client: IPAddress, _ answer: Answer, _ tell: (String) -> Void
    ) -> AddressPort? {
        guard case .oneOf(let allowed) = answer.fate, case .delivered(let to, let source, _) = result.fate
        else {
            tell("\(answer.fate) expected, \(result.fate)")
            return nil
        }
        guard allowed.contains(to) else {
            tell("one of \(allowed) expected, \(result.fate)")
            return nil
        }
        let own = Ground.of(client.family, Ground.primaryAddresses)
        let expected = answer.masqueraded.contains(to) ? own : client
        if source.address != expected { tell("source \(expected) expected, \(result.fate)") }
        return to
    }

    private static func matches(_ fate: SimulatedFate, _ expected: Answer.Fate) -> Bool {
        switch (fate, expected) {
        case (.refused, .refused), (.dropped, .dropped), (.untouched, .untouched): true
        default: false
        }
    }
}
