import IPAddressing
import KubernetesAPI
import NFTables
import SeededRandom
import ServiceModel
import Testing

@testable import Ruleset

/// Parts of tables, and tables that are replaced as a whole.
@Suite("Parts and wholes")
struct PartTests {
    private let compiler: RulesetCompiler

    /// Services of every shape: one and several endpoints, node ports, affinity, both policies, source ranges.
    init() {
        var state = ClusterState(nodeName: "node")
        for number in UInt8(1)...12 {
            let name = ObjectName(namespace: "name-space", name: "web-\(number)")
            state.upsert(
                .service(
                    Service(
                        name: name, kind: number % 2 == 0 ? .loadBalancer : .clusterIP,
                        clusterIPs: [IPAddress(ipv4: 0x0a60_0000 + UInt32(number))],
                        ports: [
                            .init(
                                name: "http", port: 80,
                                nodePort: number % 2 == 0 ? 30_000 + UInt16(number) : nil)
                        ],
                        affinityTimeout: number % 3 == 0 ? 60 : nil,
                        externalTrafficPolicy: number % 4 == 0 ? .local : .cluster,
                        loadBalancerIPs: number % 2 == 0
                            ? [IPAddress(ipv4: 0xc000_0200 + UInt32(number))] : [],
                        sourceRanges: number % 6 == 0 ? [IPNetwork("10.0.0.0/8")].compactMap { $0 } : [])))
            state.upsert(
                .endpointSlice(
                    EndpointSlice(
                        name: name, service: name, family: .ipv4,
                        endpoints: (0..<number % 5).map {
                            .init(
                                address: IPAddress(ipv4: 0x0af4_0000 + UInt32(number) * 16 + UInt32($0)),
                                nodeName: $0 % 2 == 0 ? "node" : "other")
                        }, ports: [.init(name: "http", port: 8080)])))
        }
        var compiler = RulesetCompiler(nodeName: "node")
        _ = compiler.update(state.takeDirty().map { (name: $0, plan: state.plan(for: $0).plan) })
        self.compiler = compiler
    }

    @Test("each set and chain by itself is what it is in the whole")
    func parts() throws {
        let whole = compiler.table(.ipv4)
        #expect(whole.chains.keys.contains { $0.hasPrefix("pool-name-space/web-") })
        #expect(whole.sets.keys.contains { $0.hasPrefix("members-") })
        let scopes =
            whole.sets.keys.map { TableScope(sets: [$0]) }
            + whole.chains.keys.map { TableScope(chains: [$0]) }
        #expect(scopes.count > 50)
        for scope in scopes {
            let (part, expected) = (compiler.table(.ipv4, only: scope), whole.limited(to: scope))
            #expect(part.sets == expected.sets && part.chains == expected.chains)
            for (set, elements) in expected.elements {
                #expect(Set(part.elements[set] ?? []) == Set(elements), "\(set)")
            }
        }
    }

    @Test("the names of a Service's own chains and sets lead back to it")
    func names() {
        let whole = compiler.table(.ipv4)
        let own = (Array(whole.sets.keys) + Array(whole.chains.keys)).filter { $0.contains("/") }
        #expect(own.count > 30)
        for name in own {
            #expect(ObjectNames.service(of: name)?.namespace == "name-space", "\(name)")
            #expect(ObjectNames.service(of: name)?.name.hasPrefix("web-") == true, "\(name)")
        }
        for name in ["services", "prerouting", "slots-0", "pool-", "pool-a/b", "theirs", "affinity"] {
            #expect(ObjectNames.service(of: name) == nil, "\(name)")
        }
    }

    @Test("what others changed in a part is undone, and nothing else is touched")
    func undo() throws {
        let whole = compiler.table(.ipv4)
        let pool = try #require(whole.chains.keys.filter { $0.hasPrefix("pool-") }.min())
        var actual = whole
        actual.elements["services"]?.removeLast()
        actual.chains[pool]?.rules = []
        let scope = TableScope(sets: ["services"], chains: [pool])
        let operations = try #require(
            compiler.repair(parts: [.ipv4: (scope, actual.limited(to: scope))]))
        let rules = try #require(whole.chains[pool]?.rules)
        #expect(rules.count > 0)
        #expect(operations.count == 2 + rules.count)
        #expect(operations.contains(.flushChain(whole.id, chain: pool)))
        // What a part can't tell is left to the whole.
        actual.chains["theirs"] = Chain("theirs", rules: [Rule([.drop])])
        let more = TableScope(chains: [pool, "theirs"])
        #expect(compiler.repair(parts: [.ipv4: (more, actual.limited(to: more))]) == nil)
        #expect(compiler.repair(parts: [.ipv4: (scope, nil)]) == nil)
        let clients = try #require(whole.sets.keys.first { $0.hasPrefix("affinity-pool-") })
        let memory = TableScope(sets: [clients])
        #expect(compiler.repair(parts: [.ipv4: (memory, whole.limited(to: memory))]) == nil)
    }

    @Test("a table of another layout, with things of others in it or not to be owned, is replaced as a whole")
    func replaced() {
        let whole = compiler.table(.ipv4)
        func operations(_ change: (inout Table) -> Void, owned: Bool = false) -> [NFTables.Operation] {
            var (actual, compiler) = (whole, compiler)
            change(&actual)
            if owned { compiler.tableFlags = .owned }
            return compiler.repair([.ipv4: actual, .ipv6: compiler.table(.ipv6)]).operations
        }
        #expect(operations { _ in } == [])
        #expect(operations { $0.flags = .persist } == [])
        for change: (inout Table) -> Void in [
            { $0.comment = nil }, { $0.comment = "Sluice, layout 2" }, { $0.others = ["object packets"] },
            { $0.flags = TableFlags(rawValue: 0x80) }, { $0.flags = .dormant },
        ] {
            let operations = operations(change)
            #expect(operations.first == .deleteTable(whole.id))
            #expect(operations.dropFirst().first == .addTable(whole.id, comment: whole.comment))
        }
        #expect(operations({ _ in }, owned: true).first == .deleteTable(whole.id))
        #expect(
            operations({ $0.flags = .persist }, owned: true)
                == [.addTable(whole.id, comment: whole.comment, flags: .owned)])
        #expect(operations({ $0.flags = .owned }, owned: true) == [])
    }

    @Test("statement 18: what clients keep is carried from a table that goes to the one that comes")
    func carried() throws {
        let whole = compiler.table(.ipv4)
        let pool = try #require(whole.chains.keys.filter { $0 == "pool-name-space/web-3/tcp/http" }.first)
        let map = "affinity-\(pool)/8080"
        #expect(whole.sets[map] != nil)
        let gone = Element(
            RegisterValue([192, 0, 2, 1]), data: .value(RegisterValue([10, 244, 9, 9])), timeout: 60_000,
            expiration: 30_000)
        let kept = Element(
            RegisterValue([192, 0, 2, 2]), data: .value(RegisterValue([10, 244, 0, 48])), timeout: 90_000,
            expiration: 80_000)
        var actual = whole
        actual.comment = "Sluice, layout 0"
        func carried(_ actual: Table) -> [NFTables.Operation] {
            compiler.repair([.ipv4: actual, .ipv6: compiler.table(.ipv6)]).affinity
                .filter { $0.map == map }
                .flatMap { $0.operations([gone, kept], canDestroy: true) }
        }
        let limited = Element(kept.key, data: kept.data, timeout: 60_000, expiration: 60_000)
        #expect(carried(actual) == [.addElements(whole.id, set: map, [limited])])
        // Once it is in force, it is a map like any other.
        let changes = compiler.repair([.ipv4: actual]).affinity.filter { $0.map == map }
        #expect(
            changes.flatMap { $0.inForce.operations([gone, kept], canDestroy: true) }
                == [.destroyElements(whole.id, set: map, [gone])])
        // A map of another make says nothing.
        actual.sets[map]?.data = .value(Shape(.ipv4Address, .internetService))
        #expect(carried(actual) == [])
    }
}
