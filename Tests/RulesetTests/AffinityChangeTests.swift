import FakeKernel
import IPAddressing
import KubernetesAPI
import NFTables
import ServiceModel
import Testing

@testable import Ruleset

@Suite("What becomes of affinity maps")
struct AffinityChangeTests {
    private static let name = ObjectName(namespace: "default", name: "web")
    private static let here = endpoints(1...3)
    private static let everywhere = endpoints(1...4)

    private static func endpoints(_ numbers: ClosedRange<UInt32>) -> [PoolEndpoint] {
        numbers.map { PoolEndpoint(AddressPort(IPAddress(ipv4: 0x0af4_0000 + $0), 8080), isHairpin: $0 < 4) }
    }

    /// A Service with a cluster IP and a load balancer's address.
    private static func plan(
        _ number: UInt32 = 0, internalPolicy: Service.TrafficPolicy = .cluster,
        external: Service.TrafficPolicy? = .cluster, cluster: [PoolEndpoint] = everywhere,
        local: [PoolEndpoint] = here
    ) -> (name: ObjectName, plan: ServicePlan?) {
        let name = number == 0 ? name : ObjectName(namespace: "default", name: "other-\(number)")
        let address = IPAddress(ipv4: 0x0a60_0001 + number)
        var frontends = [Frontend(.clusterIP, address, port: 80, policy: internalPolicy)]
        if let external {
            let ingress = IPAddress(ipv4: 0xcb00_7101 + number)
            frontends.append(Frontend(.loadBalancer(sources: nil), ingress, port: 80, policy: external))
        }
        let port = PortPlan(
            id: ServicePortID(service: name, transport: .tcp, port: ""), family: .ipv4, frontends: frontends,
            cluster: .endpoints(cluster), local: .endpoints(local), affinityTimeout: 100)
        return (name, ServicePlan(name: name, clusterIPs: [address], ports: [port]))
    }

    private static let main = "affinity-pool-default/web/tcp/8080"
    private static let local = "affinity-local-default/web/tcp/8080"

    private static func addresses(_ endpoints: [PoolEndpoint]) -> Set<IPAddress> {
        Set(endpoints.map(\.target.address))
    }

    /// What a change from one plan to another asks of the maps, and whether the result is the compiler's own wish.
    private static func changes(
        _ old: (name: ObjectName, plan: ServicePlan?), _ new: (name: ObjectName, plan: ServicePlan?)
    ) -> [AffinityChange] {
        var compiler = RulesetCompiler(nodeName: "node")
        _ = compiler.update([old])
        let before = compiler.table(.ipv4)
        let changes = compiler.update([new]).delta.affinity
        // The same, for who compares with what the kernel holds.
        let repaired = compiler.repair([.ipv4: before]).affinity
        #expect(changes.filter { $0.source != nil } == repaired.filter { $0.source != nil })
        #expect(Set(changes).isSubset(of: repaired))
        return changes
    }

    @Test("a map that comes beside another is filled from it")
    func comes() {
        #expect(
            Self.changes(Self.plan(), Self.plan(external: .local)) == [
                AffinityChange(
                    table: TableID(.ip, "sluice"), map: Self.local, alive: Self.addresses(Self.here),
                    timeout: 100_000,
                    isNew: true, source: .init(map: Self.main, stays: true), siblings: [])
            ])
        #expect(
            Self.changes(Self.plan(internalPolicy: .local, external: nil), Self.plan(internalPolicy: .local))
                .map(\.source) == [.init(map: Self.main, stays: true)])
    }

    @Test("a map that goes, with its policy, leaves its clients to the other")
    func goes() {
        #expect(
            Self.changes(Self.plan(external: .local), Self.plan()) == [
                AffinityChange(
                    table: TableID(.ip, "sluice"), map: Self.main, alive: Self.addresses(Self.everywhere),
                    timeout: 100_000,
                    isNew: false, source: .init(map: Self.local, stays: false), siblings: [])
            ])
        // The remaining pool is that of this node.
        #expect(
            Self.changes(Self.plan(internalPolicy: .local), Self.plan(internalPolicy: .local, external: nil))
                == [
                    AffinityChange(
                        table: TableID(.ip, "sluice"), map: Self.main, alive: Self.addresses(Self.here),
                        timeout: 100_000,
                        isNew: false, source: .init(map: Self.local, stays: false), siblings: [])
                ])
    }

    @Test("a map that goes with its endpoints leaves nothing: its clients are none of the other's")
    func endpointsGo() {
        // They still serve, ready elsewhere by a hint, and a newer one takes over on another port.
        let other = Self.endpoints(5...6).map {
            PoolEndpoint(AddressPort($0.target.address, 9090), isHairpin: true)
        }
        let changes = Self.changes(
            Self.plan(external: .local), Self.plan(external: .local, local: other))
        #expect(changes.isEmpty)
    }

    @Test("the only pool keeps its map whatever the policy is, and frees the clients of other nodes")
    func onlyPool() {
        let turned = Self.changes(
            Self.plan(external: nil), Self.plan(internalPolicy: .local, external: nil))
        #expect(
            turned == [
                AffinityChange(
                    table: TableID(.ip, "sluice"), map: Self.main, alive: Self.addresses(Self.here),
                    timeout: 100_000,
                    isNew: false, source: nil, siblings: [])
            ])
        #expect(
            Self.changes(Self.plan(internalPolicy: .local, external: nil), Self.plan(external: nil)).isEmpty)
    }

    @Test("pools without an endpoint in common have no client in common")
    func disjoint() {
        let far = Self.endpoints(7...8)
        #expect(
            Self.changeCount(Self.plan(cluster: far), Self.plan(external: .local, cluster: far)) == 0)
    }

    private static func changeCount(
        _ old: (name: ObjectName, plan: ServicePlan?), _ new: (name: ObjectName, plan: ServicePlan?)
    ) -> Int {
        var compiler = RulesetCompiler(nodeName: "node")
        _ = compiler.update([old])
        return compiler.update([new]).delta.affinity.count
    }

    @Test("a policy change costs the same beside any number of other Services")
    func costs() {
        func costs(_ others: UInt32) -> [Int] {
            var compiler = RulesetCompiler(nodeName: "node")
            _ = compiler.update([Self.plan()] + (0..<others).map { Self.plan($0 + 1, external: .local) })
            return [Service.TrafficPolicy.local, .cluster].map { policy in
                let delta = compiler.update([Self.plan(external: policy)]).delta
                #expect(delta.affinity.count == 1)
                return FakeNFTables.messageCount(delta.operations)
            }
        }
        let alone = costs(10)
        #expect(alone == costs(20))
        #expect(alone == costs(1000))
        #expect(alone.allSatisfy { $0 < 40 }, "\(alone)")
    }

    // MARK: Entries

    private static func entry(_ client: UInt32, _ endpoint: UInt32, left: UInt64 = 60_000) -> Element {
        Element(
            RegisterValue(IPAddress(ipv4: client)),
            data: .value(RegisterValue(IPAddress(ipv4: 0x0af4_0000 + endpoint))), timeout: 100_000,
            expiration: left)
    }

    private static func change(isNew: Bool, hasSource: Bool = true) -> AffinityChange {
        AffinityChange(
            table: TableID(.ip, "sluice"), map: main, alive: addresses(here), timeout: 100_000, isNew: isNew,
            source: hasSource ? .init(map: local, stays: false) : nil, siblings: [])
    }

    @Test("entries come over as they are; those of other endpoints don't")
    func added() {
        let (mine, other) = (Self.entry(1, 1, left: 70), Self.entry(2, 4))
        let added = Operation.addElements(TableID(.ip, "sluice"), set: Self.main, [mine])
        for canDestroy in [true, false] {
            let change = Self.change(isNew: true)
            #expect(change.operations([], from: [mine, other], canDestroy: canDestroy) == [added])
            #expect(change.operations([mine], from: [mine, other], canDestroy: canDestroy) == [])
        }
    }

    @Test("where maps differ the source counts, and who is only in this one stays")
    func replaced() {
        let table = TableID(.ip, "sluice")
        let entries = [Self.entry(1, 1), Self.entry(2, 2), Self.entry(3, 3), Self.entry(4, 4)]
        let others = [Self.entry(1, 1), Self.entry(2, 3)]
        let change = Self.change(isNew: false)
        #expect(
            change.operations(entries, from: others, canDestroy: true) == [
                .destroyElements(table, set: Self.main, [entries[3], entries[1]]),
                .addElements(table, set: Self.main, [others[1]]),
            ])
        #expect(
            change.operations(entries, from: others, canDestroy: false) == [
                .flushSet(table, set: Self.main),
                .addElements(table, set: Self.main, [entries[0], entries[2], others[1]]),
            ])
    }

    @Test(
        "an entry that was refreshed since the timeout was raised, or lowered, is added with the one that holds"
    )
    func timeouts() {
        let table = TableID(.ip, "sluice")
        // What a packet refreshes keeps the timeout that it was made with, and gets the rule's time.
        func entry(_ timeout: UInt64, _ left: UInt64) -> Element {
            var entry = Self.entry(1, 1, left: left)
            entry.timeout = timeout
            return entry
        }
        for (before, after) in [
            (entry(60_000, 90_000), entry(100_000, 90_000)),
            (entry(600_000, 500_000), entry(100_000, 100_000)),
        ] {
            let added = Operation.addElements(table, set: Self.main, [after])
            let change = Self.change(isNew: true)
            #expect(change.operations([], from: [before], canDestroy: true) == [added])
            let gone = Self.entry(2, 4)
            #expect(
                Self.change(isNew: false, hasSource: false).operations([before, gone], canDestroy: false)
                    == [.flushSet(table, set: Self.main), added])
        }
    }

    @Test("a client of whom the kernel holds two entries comes over once")
    func twice() {
        let table = TableID(.ip, "sluice")
        let (first, second) = (Self.entry(1, 1), Self.entry(1, 2))
        let added = Operation.addElements(table, set: Self.main, [first])
        let new = Self.change(isNew: true)
        #expect(new.operations([], from: [first, second], canDestroy: true) == [added])
        var whole = new
        whole.isReplaced = true
        #expect(whole.operations([first, second], canDestroy: true) == [added])
        let gone = Self.entry(2, 4)
        #expect(
            Self.change(isNew: false, hasSource: false)
                .operations([first, gone, second], canDestroy: false)
                == [.flushSet(table, set: Self.main), added])
    }

    @Test("of two entries of one client the living one stays, whichever the kernel finds by the key")
    func mixed() {
        let table = TableID(.ip, "sluice")
        let (living, stale) = (Self.entry(1, 1), Self.entry(1, 4))
        let change = Self.change(isNew: false)
        #expect(
            change.operations([living, stale], canDestroy: true) == [
                .destroyElements(table, set: Self.main, [stale, living]),
                .addElements(table, set: Self.main, [living]),
            ])
        // The source counts.
        let moved = Self.entry(1, 2)
        #expect(
            change.operations([living, stale], from: [moved], canDestroy: true) == [
                .destroyElements(table, set: Self.main, [stale, living]),
                .addElements(table, set: Self.main, [moved]),
            ])
        #expect(
            change.operations([living, moved], from: [moved], canDestroy: true) == [
                .destroyElements(table, set: Self.main, [living, moved]),
                .addElements(table, set: Self.main, [moved]),
            ])
    }

    @Test("no more come over than the map has room for")
    func full() {
        let limit = Frame.affinityClients
        let standing = (1...limit - UInt32(AffinityChange.reserve) - 2).map { Self.entry($0, 1) }
        // One moves within the map, which takes no room.
        let others = [Self.entry(1, 2)] + (1...5).map { Self.entry(limit + $0, 1) }
        let operations = Self.change(isNew: false).operations(standing, from: others, canDestroy: true)
        guard case .addElements(_, _, let added) = operations.last else {
            Issue.record("nothing was added")
            return
        }
        #expect(added == Array(others.prefix(3)))
    }
}
