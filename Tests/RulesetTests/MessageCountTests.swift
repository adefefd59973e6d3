import FakeKernel
import IPAddressing
import KubernetesAPI
import NFTables
import ServiceModel
import Testing

@testable import Ruleset

@Suite("What a change costs")
struct MessageCountTests {
    private static func name(_ index: Int) -> ObjectName {
        ObjectName(namespace: "default", name: "service-\(index)")
    }

    private static func endpoint(_ index: Int, isHairpin: Bool = false) -> PoolEndpoint {
        PoolEndpoint(AddressPort(IPAddress(ipv4: 0x0a80_0000 + UInt32(index)), 8080), isHairpin: isHairpin)
    }

    private static func plan(
        _ index: Int, _ endpoints: [PoolEndpoint], affinity: UInt32? = nil
    ) -> ServicePlan {
        let address = IPAddress(ipv4: 0x0a60_0000 + UInt32(index))
        return ServicePlan(
            name: name(index), clusterIPs: [address],
            ports: [
                PortPlan(
                    id: ServicePortID(service: name(index), transport: .tcp, port: "http"), family: .ipv4,
                    addresses: [address], port: 80,
                    outcome: endpoints.isEmpty ? .refuse : .endpoints(endpoints), affinityTimeout: affinity)
            ])
    }

    /// A compiler that knows this many Services of so many endpoints each.
    private static func compiler(services: Int, endpoints: Int) -> RulesetCompiler {
        var compiler = RulesetCompiler(nodeName: "node")
        _ = compiler.update(
            (0..<services).map { index in
                (
                    name(index),
                    plan(index, (0..<endpoints).map { endpoint(index * endpoints + $0, isHairpin: $0 == 0) })
                )
            })
        return compiler
    }

    private static func isRuleMessage(_ operation: Operation) -> Bool {
        switch operation {
        case .addRule, .deleteRule, .flushChain, .addChain, .deleteChain: true
        default: false
        }
    }

    @Test("one endpoint replaced among 5,006 Services of 50 takes six messages at most, and touches no rule")
    func replaced() {
        var compiler = Self.compiler(services: 5006, endpoints: 50)
        for round in 0..<3 {
            let survivors = (0..<49).map { Self.endpoint(50 * 77 + $0, isHairpin: $0 == 0) }
            let newcomer = Self.endpoint(1_000_000 + round, isHairpin: round == 1)
            let (delta, problems) = compiler.update([
                (Self.name(77), Self.plan(77, survivors + [newcomer]))
            ])
            #expect(problems.isEmpty)
            #expect(delta.affinity.isEmpty)
            #expect(!delta.isEmpty)
            #expect(FakeNFTables.messageCount(delta.operations) <= 6)
            #expect(!delta.operations.contains(where: Self.isRuleMessage))
        }
        let (delta, _) = compiler.update([
            (Self.name(6000), Self.plan(6000, (0..<50).map { Self.endpoint(2_000_000 + $0) }))
        ])
        #expect(FakeNFTables.messageCount(delta.operations) <= 12)
    }

    @Test("a Service that comes, changes or goes costs the same in a cluster of any size")
    func independent() {
        func costs(_ services: Int) -> [Int] {
            var compiler = Self.compiler(services: services, endpoints: 3)
            let steps: [ServicePlan?] = [
                Self.plan(9000, (0..<3).map { Self.endpoint(3_000_000 + $0) }),
                Self.plan(9000, (0..<4).map { Self.endpoint(3_000_000 + $0) }),
                Self.plan(9000, (0..<4).map { Self.endpoint(3_000_000 + $0) }, affinity: 60),
                Self.plan(9000, [Self.endpoint(3_000_000)]),
                Self.plan(9000, []), nil,
            ]
            return steps.map { step in
                let delta = compiler.update([(Self.name(9000), step)]).delta
                return FakeNFTables.messageCount(delta.operations)
            }
        }
        let small = costs(10)
        #expect(small == costs(1000))
        #expect(small.allSatisfy { (1...12).contains($0) }, "\(small)")
    }

    @Test("a pool of 10,000 endpoints is one region, and one more is two messages and its rule")
    func large() {
        var compiler = RulesetCompiler(nodeName: "node")
        let endpoints = (0..<10_000).map { Self.endpoint($0) }
        let (first, problems) = compiler.update([(Self.name(1), Self.plan(1, endpoints))])
        #expect(problems.isEmpty)
        #expect(FakeNFTables.messageCount(first.operations) < 20)
        let table = compiler.table(.ipv4)
        #expect(table.elements["slots-0"]?.count == 10_000)
        let targets = Set(table.elements["slots-0"]?.map(\.data) ?? [])
        #expect(targets.count == 10_000)
        let (delta, _) = compiler.update([
            (Self.name(1), Self.plan(1, endpoints + [Self.endpoint(10_000)]))
        ])
        // Batch begin and end, the element, and the rule: flushed and added, for its modulus.
        #expect(FakeNFTables.messageCount(delta.operations) == 5)
    }

    @Test("of more than 65,536 endpoints that many are used, and the rest is reported")
    func tooLarge() {
        var compiler = RulesetCompiler(nodeName: "node")
        let endpoints = (0..<65_600).map { Self.endpoint($0) }
        let other = Self.plan(2, [Self.endpoint(1), Self.endpoint(2)])
        let (_, problems) = compiler.update([
            (Self.name(1), Self.plan(1, endpoints)), (Self.name(2), other),
        ])
        #expect(
            problems.new.map(\.description) == [
                "Service default/service-1: port default/service-1:http has more than 65536 endpoints; so many of them are used"
            ])
        let table = compiler.table(.ipv4)
        #expect(table.elements["slots-0"]?.count == 65_536 + 2)
        #expect(Set(table.elements["slots-0"]?.map(\.key) ?? []).count == 65_536 + 2)
        #expect(compiler.update([(Self.name(2), other)]).delta.isEmpty)
        // Told once, however often its endpoints change, and once when it is over.
        let fewer = Self.plan(1, Array(endpoints.dropLast()))
        #expect(compiler.update([(Self.name(1), fewer)]).problems.isEmpty)
        let enough = Self.plan(1, Array(endpoints.prefix(3)))
        #expect(compiler.update([(Self.name(1), enough)]).problems.past == problems.new)
        #expect(compiler.update([(Self.name(1), nil)]).problems.isEmpty)
    }

    @Test("a name that a ruleset can't hold is reported, and the other ports are served")
    func badName() {
        var compiler = RulesetCompiler(nodeName: "node")
        let odd = ObjectName(namespace: "default", name: "under_score\"")
        let address = IPAddress(ipv4: 0x0a60_0001)
        let (_, problems) = compiler.update([
            (
                odd,
                ServicePlan(
                    name: odd, clusterIPs: [address],
                    ports: [
                        PortPlan(
                            id: ServicePortID(service: odd, transport: .tcp, port: ""), family: .ipv4,
                            addresses: [address], port: 80, outcome: .refuse)
                    ])
            ), (Self.name(1), Self.plan(1, [])),
        ])
        #expect(problems.new.count == 1)
        #expect(problems.new.first?.description.contains("can't be used in the ruleset; not served") == true)
        #expect(compiler.table(.ipv4).elements["services"]?.count == 1)
        #expect(compiler.update([(odd, nil)]).problems.past == problems.new)
    }

    @Test("names at their limits keep to what the kernel and nft hold")
    func longNames() {
        let long = ObjectName(
            namespace: String(repeating: "n", count: 63), name: String(repeating: "s", count: 63))
        let id = ServicePortID(service: long, transport: .sctp, port: String(repeating: "p", count: 15))
        let address = IPAddress(ipv4: 0x0a60_0001)
        var compiler = RulesetCompiler(nodeName: "node")
        let (_, problems) = compiler.update([
            (
                long,
                ServicePlan(
                    name: long, clusterIPs: [address],
                    ports: [
                        PortPlan(
                            id: id, family: .ipv4, addresses: [address], port: 65_535,
                            outcome: .endpoints([Self.endpoint(1), Self.endpoint(2)]), affinityTimeout: 1),
                        PortPlan(
                            id: id, family: .ipv4, addresses: [address], port: 65_534, outcome: .refuse),
                    ])
            )
        ])
        #expect(problems.isEmpty)
        let table = compiler.table(.ipv4)
        #expect(table.sets.keys.allSatisfy { $0.utf8.count <= 255 })
        #expect(table.chains.keys.allSatisfy { $0.utf8.count <= 255 })
        let comments = table.elements.values.joined().compactMap(\.comment)
        #expect(comments.map(\.utf8.count) == [NFTables.Comment.maximumCount])
    }
}
