import Agent
import FakeKernel
import Glibc
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import Ruleset
import ServiceModel

func ip(_ text: String) -> IPAddress {
    guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
    return address
}

func network(_ text: String) -> IPNetwork {
    guard let network = IPNetwork(text) else { preconditionFailure("\(text) is no network") }
    return network
}

func name(_ name: String) -> ObjectName { ObjectName(namespace: "default", name: name) }

/// A Service `default/<name>` of one TCP port 80.
func service(_ text: String, _ clusterIPs: String..., affinity: UInt32? = nil) -> ClusterObject {
    .service(
        Service(
            name: name(text), clusterIPs: clusterIPs.map(ip), ports: [.init(port: 80)],
            affinityTimeout: affinity))
}

/// An EndpointSlice of a Service, its endpoints on port 8080 of this node's neighbour.
func endpoints(_ service: String, _ addresses: String..., port: UInt16 = 8080) -> ClusterObject {
    endpoints(service, addresses, port: port)
}

func endpoints(_ service: String, _ addresses: [String], port: UInt16 = 8080) -> ClusterObject {
    .endpointSlice(
        EndpointSlice(
            name: name("\(service)-1"), service: name(service),
            family: addresses.first.map { ip($0).family } ?? .ipv4,
            endpoints: addresses.map { .init(address: ip($0), nodeName: "other") },
            ports: [.init(port: port)]))
}

/// A cluster's state, a writer, and a kernel that can be made to fail: one agent without its loop.
final class Bench<Kernel: RuleKernel> {
    let kernel: Kernel
    private var planner: Planner
    private(set) var writer: RulesetWriter<Kernel>

    init(_ kernel: Kernel, nodeName: String = "node") {
        self.kernel = kernel
        planner = Planner(settings: ProxySettings(nodeName: nodeName))
        writer = RulesetWriter(settings: ProxySettings(nodeName: nodeName), kernel: kernel)
    }

    func apply(_ objects: ClusterObject...) { planner.apply(objects) }
    func apply(_ objects: [ClusterObject.Key: ClusterObject?]) { planner.apply(objects) }
    func remove(_ key: ClusterObject.Key) {
        planner.apply([key: ClusterObject?.none])
    }

    /// Plans what changed and puts it in force.
    @discardableResult
    func write() throws(KernelError) -> WriteReport {
        try writer.write(planner.step().plans, environment: planner.environment)
    }

    /// The tables as they are to be, those of them that differ from the kernel's.
    func differences(_ actual: (TableID) throws(KernelError) -> Table?) throws(KernelError) -> [String] {
        var result: [String] = []
        for family in AddressFamily.allCases {
            let wanted = writer.wantedTable(family)
            guard let table = try actual(wanted.id) else {
                result.append("\(wanted.id) is missing")
                continue
            }
            result += table.differences(to: wanted)
        }
        return result
    }

    func differences() throws(KernelError) -> [String] { try differences(kernel.table) }
}

extension Bench where Kernel == FakeNFTables {
    /// As `differences`, past all faults.
    var differencesInForce: [String] {
        let tables = kernel.tables
        return (try? differences { tables[$0] }) ?? []
    }
}

extension Table {
    /// What differs, in words; elements of dynamic sets are the packets' own.
    func differences(to wanted: Table) -> [String] {
        var result: [String] = []
        for name in Set(sets.keys).union(wanted.sets.keys).sorted() {
            if sets[name] != wanted.sets[name] { result.append("\(id) set \(name)") }
            guard wanted.sets[name]?.flags.contains(.dynamic) == false else { continue }
            let (left, right) = (Set(elements[name] ?? []), Set(wanted.elements[name] ?? []))
            if left != right {
                result.append(
                    "\(id) elements of \(name): too many \(left.subtracting(right).map(\.key)), missing \(right.subtracting(left).map(\.key))"
                )
            }
            if (wanted.elements[name] ?? []).count != right.count {
                result.append("\(id) \(name): an element is wanted twice")
            }
        }
        for name in Set(chains.keys).union(wanted.chains.keys).sorted()
        where chains[name] != wanted.chains[name] {
            result.append("\(id) chain \(name)")
        }
        return result
    }
}

extension NodeAgent {
    /// Starts with these objects and nothing else known.
    func start(_ objects: [ClusterObject]) throws(KernelError) { try start(ChangeInbox.Changes(objects)) }
}
