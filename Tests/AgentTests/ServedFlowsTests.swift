import Conntrack
import IPAddressing
import KubernetesAPI
import ServiceModel
import Testing

@testable import Agent

@Suite("Which UDP flows are right")
struct ServedFlowsTests {
    private static func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private static func plan(
        _ name: ObjectName, transport: TransportProtocol = .udp, serving: Set<AddressPort>
    ) throws -> ServicePlan {
        let virtual = try address("10.96.0.10")
        return ServicePlan(
            name: name, clusterIPs: [virtual],
            ports: [
                PortPlan(
                    id: ServicePortID(service: name, transport: transport, port: "dns"), family: .ipv4,
                    frontends: [
                        Frontend(.clusterIP, virtual, port: 53), Frontend(.nodePort, nil, port: 30053),
                    ], cluster: .refuse, serving: serving)
            ])
    }

    private let name = ObjectName(namespace: "kube-system", name: "dns")

    @Test("statement 26: a UDP port's addresses and node port lead to its serving endpoints")
    func udp() throws {
        var flows = ServedFlows()
        let endpoint = AddressPort(try Self.address("10.244.0.2"), 53)
        let node = try Self.address("192.168.1.1")
        let isChanged1 = flows.update(
            [(name, try Self.plan(name, serving: [endpoint]))], nodeAddresses: [node])
        #expect(isChanged1)
        let live = try #require(flows.cleanup.live[.ipv4])
        #expect(live.services == [AddressPort(try Self.address("10.96.0.10"), 53): [endpoint]])
        #expect(live.nodePorts == [30053: [endpoint]])
        #expect(live.nodeAddresses == [node])
    }

    @Test("statement 26: TCP ports are let alone, and what doesn't change asks for no cleanup")
    func unchanged() throws {
        var flows = ServedFlows()
        let endpoint = AddressPort(try Self.address("10.244.0.2"), 53)
        let tcp = try Self.plan(name, transport: .tcp, serving: [endpoint])
        let isChanged2 = flows.update([(name, tcp)], nodeAddresses: [])
        #expect(!isChanged2)
        let udp = try Self.plan(name, serving: [endpoint])
        let isChanged3 = flows.update([(name, udp)], nodeAddresses: [])
        #expect(isChanged3)
        let isChanged4 = flows.update([(name, udp)], nodeAddresses: [])
        #expect(!isChanged4)
        let isChanged5 = flows.update([(name, try Self.plan(name, serving: []))], nodeAddresses: [])
        #expect(isChanged5)
    }

    @Test("statement 26: the addresses of a Service that is gone are looked for once more, with no endpoints")
    func takenAway() throws {
        var flows = ServedFlows()
        let endpoint = AddressPort(try Self.address("10.244.0.2"), 53)
        _ = flows.update([(name, try Self.plan(name, serving: [endpoint]))], nodeAddresses: [])
        let before = flows.cleanup
        let isChanged6 = flows.update([(name, nil)], nodeAddresses: [])
        #expect(isChanged6)
        #expect(flows.cleanup.live[.ipv4]?.services.isEmpty == true)
        let wanted = UDPCleanup.supersede(before, by: flows.cleanup)
        #expect(wanted.live[.ipv4]?.services == [AddressPort(try Self.address("10.96.0.10"), 53): []])
        #expect(wanted.live[.ipv4]?.nodePorts == [30053: []])
    }

    @Test("statement 26: an address that comes and goes while a pass fails is looked for by the next")
    func cameAndWent() async throws {
        let (first, second) = (name, ObjectName(namespace: "kube-system", name: "other"))
        let endpoint = AddressPort(try Self.address("10.244.0.2"), 53)
        var flows = ServedFlows()
        _ = flows.update([(first, try Self.plan(first, serving: []))], nodeAddresses: [])
        let begun = flows.cleanup
        _ = flows.update(
            [(first, nil), (second, try Self.plan(second, serving: [endpoint]))], nodeAddresses: [])
        let between = flows.cleanup
        _ = flows.update([(second, nil)], nodeAddresses: [])
        let last = flows.cleanup

        let loop = RetryLoop<UDPCleanup>(sleep: { _ in }, merge: { UDPCleanup.supersede($0, by: $1) })
        loop.put(begun)
        var passes: [UDPCleanup] = []
        await loop.run { cleanup in
            passes.append(cleanup)
            if passes.count == 1 {
                loop.put(between)
                loop.put(last)
                return false
            }
            loop.finish()
            return true
        }
        #expect(passes.count == 2)
        #expect(passes.last?.live[.ipv4]?.services == [AddressPort(try Self.address("10.96.0.10"), 53): []])
    }

    @Test("addresses that were taken away are remembered up to a limit")
    func limit() throws {
        func addresses(_ first: UInt32) -> UDPCleanup {
            var live = UDPCleanup.Live()
            for number in 0..<UInt32(50_000) {
                live.services[AddressPort(IPAddress(ipv4: first + number), 53)] = []
            }
            return UDPCleanup(live: [.ipv4: live])
        }
        let two = UDPCleanup.supersede(addresses(0x0a00_0000), by: addresses(0x0b00_0000))
        let three = UDPCleanup.supersede(two, by: UDPCleanup(live: [.ipv4: UDPCleanup.Live()]))
        #expect(two.live[.ipv4]?.services.count == 100_000)
        #expect(three.live[.ipv4]?.services.count == UDPCleanup.takenAwayLimit)
    }
}
