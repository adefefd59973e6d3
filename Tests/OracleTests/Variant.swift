import IPAddressing
import KubernetesAPI

/// What the endpoints of a Service are like.
enum EndpointState: CaseIterable, Sendable {
    case readyHereAndElsewhere, readyElsewhere, readyHere, oneHere, oneElsewhere
    case endingHere, endingElsewhere, endingHereAndElsewhere
    case readyElsewhereEndingHere, readyHereEndingElsewhere
    case readyElsewhereEndedHere, readyAndNotReady
    case onlyNotReady, emptySlice, noSlice

    private typealias Condition = (ready: Bool, serving: Bool, terminating: Bool)
    private static let ready: Condition = (true, true, false)
    private static let ending: Condition = (false, true, true)
    private static let ended: Condition = (false, false, true)
    private static let failing: Condition = (false, false, false)

    private var here: [Condition] {
        switch self {
        case .readyHereAndElsewhere, .readyHere: [Self.ready, Self.ready]
        case .oneHere: [Self.ready]
        case .readyHereEndingElsewhere: [Self.ready]
        case .endingHere, .endingHereAndElsewhere, .readyElsewhereEndingHere: [Self.ending, Self.ending]
        case .readyElsewhereEndedHere: [Self.ended]
        case .readyAndNotReady: [Self.ready, Self.failing]
        case .onlyNotReady: [Self.failing, Self.ended]
        case .readyElsewhere, .oneElsewhere, .endingElsewhere, .emptySlice, .noSlice: []
        }
    }

    private var elsewhere: [Condition] {
        switch self {
        case .readyHereAndElsewhere, .readyElsewhere, .readyElsewhereEndingHere, .readyElsewhereEndedHere:
            [Self.ready, Self.ready]
        case .oneElsewhere: [Self.ready]
        case .endingElsewhere, .endingHereAndElsewhere: [Self.ending, Self.ending]
        case .readyHereEndingElsewhere: [Self.ending]
        case .readyAndNotReady: [Self.ready, Self.failing]
        case .onlyNotReady: [Self.failing]
        case .readyHere, .oneHere, .endingHere, .emptySlice, .noSlice: []
        }
    }

    func endpoints(_ family: AddressFamily, hints: Hints) -> [EndpointSlice.Endpoint] {
        func make(_ conditions: [Condition], _ networks: [IPNetwork], _ node: String) -> [Endpoint] {
            conditions.enumerated().map { index, condition in
                Endpoint(
                    address: Ground.address(10 + index, in: networks, family), isReady: condition.ready,
                    isServing: condition.serving, isTerminating: condition.terminating, nodeName: node)
            }
        }
        let all = make(here, Ground.podsHere, Ground.nodeName) + make(elsewhere, Ground.podsElsewhere, "n2")
        return all.enumerated().map { hints.added(to: $1, at: $0) }
    }
}

/// What `hints` say about a Service's endpoints.
enum Hints: CaseIterable, Sendable {
    case none
    /// The second one is for this node, the others aren't.
    case node
    /// The first one is for this zone, the others aren't.
    case zone
    /// For nodes and zones, but no node hint names this node.
    case zoneThroughNodes
    /// The first endpoint has none.
    case partial
    /// All are for somewhere else.
    case elsewhere

    func added(to endpoint: Endpoint, at index: Int) -> Endpoint {
        var endpoint = endpoint
        switch self {
        case .none: break
        case .node:
            endpoint.nodeHints = index == 1 ? ["n2", Ground.nodeName] : ["n3"]
            endpoint.zoneHints = [Ground.zone]
        case .zone: endpoint.zoneHints = index == 0 ? ["west", Ground.zone] : ["west"]
        case .zoneThroughNodes:
            endpoint.nodeHints = ["n3"]
            endpoint.zoneHints = index == 1 ? [Ground.zone] : ["west"]
        case .partial:
            if index > 0 {
                endpoint.nodeHints = [Ground.nodeName]
                endpoint.zoneHints = [Ground.zone]
            }
        case .elsewhere:
            endpoint.nodeHints = ["n3"]
            endpoint.zoneHints = ["west"]
        }
        return endpoint
    }
}

/// `loadBalancerSourceRanges`.
enum SourceRanges: CaseIterable, Sendable {
    case none, clientsOutside, somebodyElse, otherFamilyOnly, unreadable, all

    func ranges(otherThan family: AddressFamily) -> [IPNetwork]? {
        switch self {
        case .none: nil
        case .clientsOutside: [network("172.31.0.0/16"), network("fd77::/48")] + Ground.outside
        case .somebodyElse: [network("172.31.0.0/16"), network("fd77::/48")]
        case .otherFamilyOnly: Ground.outside.filter { $0.family != family }
        case .unreadable: []
        case .all: [network("172.31.0.0/16"), network("0.0.0.0/0"), network("::/0")]
        }
    }
}

/// One Service of the cross product, of two families and two transports, with every kind of address.
struct Variant: Sendable {
    var index: Int
    var state: EndpointState
    var internalPolicy = Service.TrafficPolicy.cluster
    var externalPolicy = Service.TrafficPolicy.cluster
    var hasAffinity = false
    var hints = Hints.none
    var ranges = SourceRanges.none
    /// The family that the range of the other family is not of.
    var rangeFamily = AddressFamily.ipv4

    var name: ObjectName { ObjectName(namespace: "default", name: "service-\(index)") }
    var nodePort: UInt16 { 30_000 + UInt16(index) }

    var service: Service {
        func pair(_ networks: [IPNetwork]) -> [IPAddress] {
            AddressFamily.allCases.map { Ground.address(index + 10, in: networks, $0) }
        }
        return Service(
            name: name, kind: .loadBalancer, clusterIPs: pair(Ground.services),
            ports: [
                Service.Port(name: "stream", transport: .tcp, port: 80, nodePort: nodePort),
                Service.Port(name: "dgram", transport: .udp, port: 80, nodePort: nodePort),
            ],
            affinityTimeout: hasAffinity ? 600 : nil, internalTrafficPolicy: internalPolicy,
            externalTrafficPolicy: externalPolicy, externalIPs: pair(Ground.externals),
            loadBalancerIPs: pair(Ground.loadBalancers), sourceRanges: ranges.ranges(otherThan: rangeFamily))
    }

    var slices: [EndpointSlice] {
        guard state != .noSlice else { return [] }
        return AddressFamily.allCases.map { family in
            EndpointSlice(
                name: ObjectName(namespace: "default", name: "\(name.name)-ipv\(family.rawValue)"),
                service: name, family: family, endpoints: state.endpoints(family, hints: hints),
                // Different for each Service, so that one that strays is seen.
                ports: [
                    .init(name: "stream", transport: .tcp, port: 10_000 + UInt16(index)),
                    .init(name: "dgram", transport: .udp, port: 20_000 + UInt16(index)),
                ])
        }
    }

    /// Every combination that can make a difference.
    static let all: [Variant] = {
        var result: [Variant] = []
        func add(_ change: (inout Variant) -> Void) {
            for internalPolicy in [Service.TrafficPolicy.cluster, .local] {
                for externalPolicy in [Service.TrafficPolicy.cluster, .local] {
                    var variant = Variant(index: result.count, state: .readyHereAndElsewhere)
                    variant.internalPolicy = internalPolicy
                    variant.externalPolicy = externalPolicy
                    change(&variant)
                    result.append(variant)
                }
            }
        }
        for state in EndpointState.allCases {
            for hasAffinity in [false, true] {
                add { ($0.state, $0.hasAffinity) = (state, hasAffinity) }
            }
        }
        let spread: [EndpointState] = [
            .readyHereAndElsewhere, .readyElsewhere, .readyHereEndingElsewhere, .endingHereAndElsewhere,
        ]
        for hints in Hints.allCases where hints != .none {
            for (index, state) in spread.enumerated() {
                add { ($0.state, $0.hints, $0.hasAffinity) = (state, hints, index == 1) }
            }
        }
        for ranges in SourceRanges.allCases where ranges != .none {
            for state in [EndpointState.readyHereAndElsewhere, .readyElsewhere, .emptySlice] {
                for family in AddressFamily.allCases where family == .ipv4 || ranges == .otherFamilyOnly {
                    add {
                        ($0.state, $0.ranges, $0.rangeFamily) = (state, ranges, family)
                        $0.hasAffinity = state == .readyElsewhere
                    }
                }
            }
        }
        return result
    }()
}
