import ClusterBuilders
public import IPAddressing
public import KubernetesAPI
public import Testing

/// A story of a cluster and its clients, and the fate that each connection must meet; told as data, so that the
/// simulator and the kernel can both be asked.
public struct PacketCase: Sendable, CustomTestStringConvertible {
    /// Begins with the numbers of the statements that it proves.
    public let name: String
    public let setting: Setting
    public let steps: [Step]

    public enum Step: Sendable {
        /// All of it in one transaction.
        case change(_ upserts: [ClusterObject], removing: [ClusterObject.Key])
        case connect(ConnectionStep)
        /// Time passes. What comes after a `simulatedOnly` one is for the simulator alone: nobody waits for it.
        case elapse(milliseconds: UInt64, simulatedOnly: Bool)
    }

    public init(_ name: String, on setting: Setting = Setting(), _ steps: [Step]) {
        self.name = name
        self.setting = setting
        self.steps = steps
    }

    /// The same story over each kind of traffic.
    static func each(
        _ traffics: [Traffic], _ name: String, on setting: Setting = Setting(), _ steps: (Traffic) -> [Step]
    ) -> [PacketCase] {
        traffics.map { PacketCase("\(name) (\($0))", on: setting, steps($0)) }
    }

    public var testDescription: String { name }

    /// How many connections it makes.
    public var connectionCount: Int {
        steps.reduce(0) { count, step in
            if case .connect(let step) = step { count + step.times } else { count }
        }
    }
}

/// Connections made one after the other, each from a source port of its own.
public struct ConnectionStep: Sendable {
    public let client: Place
    /// Which of the addresses of the pod `client`; see `Place.client`.
    public let clientNumber: Int
    public let traffic: Traffic
    public let destination: AddressPort
    public let times: Int
    public let expectation: FateExpectation
    public let source: SourceExpectation
    /// Later steps refer to where these connections went by this.
    public let label: String?

    public var clientAddress: IPAddress {
        client == .client ? Place.client(clientNumber, traffic.family) : client.address(traffic.family)
    }

    public init(
        client: Place, clientNumber: Int = 0, traffic: Traffic, destination: AddressPort, times: Int = 1,
        expectation: FateExpectation, source: SourceExpectation = .keptButByItself, label: String? = nil
    ) {
        self.client = client
        self.clientNumber = clientNumber
        self.traffic = traffic
        self.destination = destination
        self.times = times
        self.expectation = expectation
        self.source = source
        self.label = label
    }
}

/// What must become of the connections of a step.
public enum FateExpectation: Sendable {
    /// Each by this one.
    case answered(by: Server)
    /// Each by one of these.
    case answeredByOneOf([Server])
    /// By all of these in strict turn; as many connections as servers, or more.
    case rotates(over: [Server])
    /// The turn that the step of this label began goes on where it was, with some servers in the places of others.
    case continues(String, replacing: [Server: Server])
    /// Each by the one that answered the first connection of the step with this label.
    case same(as: String)
    /// Each by the one of that step, if it is among these; else by one of these.
    case keeps(String, among: [Server])
    /// Each by one of these that answered no connection of the steps with these labels.
    case differs(from: [String], among: [Server])
    case refused
    case dropped
    /// It reaches the virtual address itself, which a host elsewhere has.
    case untouched
}

/// What a server sees as the client's address.
public enum SourceExpectation: Sendable {
    /// The client's own.
    case kept
    /// The node's, on the interface that leads to the server.
    case masqueraded
    /// The client's own, or the node's where the client has reached itself.
    case keptButByItself
}

extension PacketCase.Step {
    /// Puts objects in force.
    static func apply(_ services: Service..., slices: [[EndpointSlice]] = []) -> Self {
        .change(services.map { .service($0) } + slices.joined().map { .endpointSlice($0) }, removing: [])
    }

    /// Connects to port 80 (or another) of the virtual addresses with a number.
    static func connect(
        _ client: Place, _ number: Int = 0, to virtual: UInt8, port: UInt16 = 80, _ traffic: Traffic,
        times: Int = 1, _ expectation: FateExpectation, source: SourceExpectation = .keptButByItself,
        as label: String? = nil
    ) -> Self {
        .connect(
            ConnectionStep(
                client: client, clientNumber: number, traffic: traffic,
                destination: AddressPort(VirtualAddress.number(virtual, traffic.family), port), times: times,
                expectation: expectation, source: source, label: label))
    }

    /// Connects to an address of any kind.
    static func connect(
        _ client: Place, _ number: Int = 0, to address: Frontend, _ traffic: Traffic, times: Int = 1,
        _ expectation: FateExpectation, source: SourceExpectation = .keptButByItself, as label: String? = nil
    ) -> Self {
        .connect(
            ConnectionStep(
                client: client, clientNumber: number, traffic: traffic,
                destination: address.destination(traffic.family), times: times, expectation: expectation,
                source: source, label: label))
    }

    /// The Node object of the node, in force.
    static func thisNode(zone: String? = nil) -> Self {
        .change([.node(Place.nodeObject(zone: zone))], removing: [])
    }
}
