import Agent
import Glibc
import HostNetwork
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import PacketCases
import PacketSimulator

/// The simulator as a kernel that the product's writer commits to.
final class SimulatedKernel: RuleKernel {
    var simulator: PacketSimulator
    let canDestroyElements: Bool

    init(_ simulator: PacketSimulator, canDestroyElements: Bool) {
        self.simulator = simulator
        self.canDestroyElements = canDestroyElements
    }

    func commit(_ operations: [NFTables.Operation]) throws(KernelError) -> CommitSummary {
        do throws(Refusal) {
            try simulator.apply(operations)
        } catch {
            throw .refused([.init(operation: "\(error.operation)", errno: EINVAL, detail: error.reason)])
        }
        return CommitSummary(messages: operations.count, bytes: 0)
    }

    func table(_ id: TableID) -> Table? { simulator.table(id) }

    func elements(of set: String, in table: TableID) -> [Element] {
        simulator.table(table)?.elements[set] ?? []
    }
}

/// The node of the cases, simulated.
final class SimulatedWorld: PacketWorld {
    private let setting: Setting
    private let kernel: SimulatedKernel
    private var proxy: Proxy<SimulatedKernel>
    /// The rules that the last packet met, and what they made of it.
    private(set) var lastResult: PacketSimulator.Result?

    init(_ setting: Setting = Setting(), canDestroyElements: Bool = true) throws {
        self.setting = setting
        let node = SimulatedNode(
            addresses: AddressFamily.allCases.map(Place.node.address)
                + AddressFamily.allCases.map(Place.secondOfNode),
            interfaces: [SimulatedNode.Interface("eth0", [])]
                + (setting.isBridged ? [Self.bridge] : Place.podsOnNode.map(Self.link)))
        kernel = SimulatedKernel(PacketSimulator(node: node), canDestroyElements: canDestroyElements)
        let own = node.addresses + node.interfaces.flatMap(\.addresses)
        proxy = try Proxy(
            kernel, setting.proxy,
            hostAddresses: own.map {
                HostAddress(
                    address: $0, prefixLength: $0.family.bitWidth, interfaceIndex: 2, interfaceName: "eth0")
            })
    }

    private static let bridge = SimulatedNode.Interface(
        Setting.bridge, Place.podNetworks, addresses: AddressFamily.allCases.map(Place.bridge))

    private static func link(to pod: Place) -> SimulatedNode.Interface {
        let extra = pod == .client ? Place.clientCount : 0
        let addresses = AddressFamily.allCases.flatMap { family in
            [pod.address(family)] + (extra == 0 ? [] : (1...extra).map { Place.client($0, family) })
        }
        return SimulatedNode.Interface(
            interface(of: pod), addresses.compactMap { IPNetwork($0, prefixLength: $0.family.bitWidth) })
    }

    private static func interface(of place: Place) -> String {
        Place.podsOnNode.firstIndex(of: place).map { "\(Setting.podInterfacePrefix)\($0 + 1)" } ?? "eth0"
    }

    /// Where its packets come in.
    private func inputInterface(_ place: Place) -> String {
        let link = Self.interface(of: place)
        return setting.isBridged && link != "eth0" ? Setting.bridge : link
    }

    func change(_ upserts: [ClusterObject], removing gone: [ClusterObject.Key]) throws {
        try proxy.change(upserts, removing: gone)
    }

    func elapse(milliseconds: UInt64, simulatedOnly: Bool) -> Bool {
        kernel.simulator.now += milliseconds
        return true
    }

    func connect(
        _ transport: TransportProtocol, from client: Place, source: AddressPort, to destination: AddressPort,
        mayBeDropped: Bool
    ) -> ObservedFate {
        let origin: Packet.Origin =
            client == .node ? .local : .forwarded(inputInterface: inputInterface(client))
        let result = kernel.simulator.send(Packet(transport, from: source, to: destination, origin: origin))
        lastResult = result
        return switch result.fate {
        case .delivered(let server, let seen, _), .untouched(let server, let seen):
            .reached(server, source: seen)
        case .refused(let refusal) where refusal == Self.refusal(transport, destination.address.family):
            .refused
        case .refused(let refusal): .other("refused in an odd way, \(refusal)")
        case .dropped: .dropped
        }
    }

    /// What a client's `connect` or `recv` reports as ECONNREFUSED: ICMP type 3 code 3, ICMPv6 type 1 code 4.
    private static func refusal(_ transport: TransportProtocol, _ family: AddressFamily) -> Fate.Refusal {
        transport == .tcp ? .reset : .unreachable(code: family == .ipv4 ? 3 : 4)
    }

    /// The table of a family, without what packets wrote.
    func table(_ family: AddressFamily) -> Table? {
        kernel.simulator.table(TableID(family.nftFamily, "sluice"))
    }
}

extension AddressFamily {
    var nftFamily: Family { self == .ipv4 ? .ip : .ip6 }
}
