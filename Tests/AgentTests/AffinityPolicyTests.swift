import Agent
import FakeKernel
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import Testing

@Suite("Affinity entries when a traffic policy changes")
struct AffinityPolicyTests {
    private static let table = TableID(.ip, "sluice")
    private static let main = "affinity-pool-default/web/tcp/8080"
    private static let local = "affinity-local-default/web/tcp/8080"

    private static func entry(_ client: String, _ endpoint: String, left: UInt64 = 60_000) -> Element {
        Element(
            RegisterValue(ip(client).bytes), data: .value(RegisterValue(ip(endpoint).bytes)),
            timeout: 100_000, expiration: left)
    }

    private static func remember(_ kernel: FakeNFTables, _ map: String, _ entries: Element...) {
        #expect(throws: Never.self) { try kernel.change([.addElements(table, set: map, entries)]) }
    }

    private static func entries(_ kernel: FakeNFTables, _ map: String) throws -> Set<Element> {
        Set(try kernel.elements(of: map, in: table))
    }

    private static func isThere(_ kernel: FakeNFTables, _ map: String) -> Bool {
        kernel.tables[table]?.sets[map] != nil
    }

    private static func loadBalancer(
        internalPolicy: Service.TrafficPolicy = .cluster, externalPolicy: Service.TrafficPolicy
    ) -> ClusterObject {
        .service(
            Service(
                name: name("web"), kind: .loadBalancer, clusterIPs: [ip("10.96.0.1")],
                ports: [.init(port: 80)], affinityTimeout: 100, internalTrafficPolicy: internalPolicy,
                externalTrafficPolicy: externalPolicy, loadBalancerIPs: [ip("203.0.113.1")]))
    }

    private static func clusterIP(_ policy: Service.TrafficPolicy) -> ClusterObject {
        .service(
            Service(
                name: name("web"), clusterIPs: [ip("10.96.0.1")], ports: [.init(port: 80)],
                affinityTimeout: 100, internalTrafficPolicy: policy))
    }

    /// 10.244.0.1 and .2 on this node, 10.244.1.1 on another.
    private static let slice = ClusterObject.endpointSlice(
        EndpointSlice(
            name: name("web-1"), service: name("web"), family: .ipv4,
            endpoints: [
                .init(address: ip("10.244.0.1"), nodeName: "node"),
                .init(address: ip("10.244.0.2"), nodeName: "node"),
                .init(address: ip("10.244.1.1"), nodeName: "other"),
            ], ports: [.init(port: 8080)]))

    private static let here = [
        entry("192.0.2.1", "10.244.0.1"), entry("192.0.2.2", "10.244.0.2", left: 70),
    ]
    private static let elsewhere = entry("192.0.2.3", "10.244.1.1")

    /// A Service under Cluster policy, a client on each endpoint.
    private static func bench(
        _ service: ClusterObject, canDestroyElements: Bool = true
    ) throws -> Bench<FakeNFTables> {
        let bench = Bench(FakeNFTables(canDestroyElements: canDestroyElements))
        bench.apply(service, slice)
        try bench.write()
        remember(bench.kernel, main, here[0], here[1], elsewhere)
        return bench
    }

    @Test(
        "this node's clients come over when external traffic turns Local, with the time they have left",
        arguments: [true, false])
    func externalTurnsLocal(canDestroyElements: Bool) throws {
        let bench = try Self.bench(
            Self.loadBalancer(externalPolicy: .cluster), canDestroyElements: canDestroyElements)
        bench.apply(Self.loadBalancer(externalPolicy: .local))
        try bench.write()
        #expect(try Self.entries(bench.kernel, Self.local) == Set(Self.here))
        #expect(try Self.entries(bench.kernel, Self.main) == Set(Self.here + [Self.elsewhere]))
        #expect(bench.kernel.transactions.count == 2)
    }

    @Test(
        "what clients were led by counts when external traffic turns back to Cluster",
        arguments: [true, false])
    func externalTurnsBack(canDestroyElements: Bool) throws {
        let bench = try Self.bench(
            Self.loadBalancer(externalPolicy: .cluster), canDestroyElements: canDestroyElements)
        bench.apply(Self.loadBalancer(externalPolicy: .local))
        try bench.write()
        // The third had to move. The fourth has come since, and was written to one map only.
        let moved = Self.entry("192.0.2.3", "10.244.0.1", left: 50)
        let newcomer = Self.entry("192.0.2.4", "10.244.0.2", left: 40)
        Self.remember(bench.kernel, Self.local, moved, newcomer)
        bench.apply(Self.loadBalancer(externalPolicy: .cluster))
        try bench.write()
        #expect(try Self.entries(bench.kernel, Self.main) == Set(Self.here + [moved, newcomer]))
        #expect(!Self.isThere(bench.kernel, Self.local))
        #expect(bench.kernel.transactions.count == 3)
    }

    @Test("a client that had to go to an endpoint on another port stays there when the policy turns back")
    func otherPort() throws {
        func slice(_ address: String, _ node: String, _ port: UInt16) -> ClusterObject {
            .endpointSlice(
                EndpointSlice(
                    name: name("web-\(port)"), service: name("web"), family: .ipv4,
                    endpoints: [.init(address: ip(address), nodeName: node)], ports: [.init(port: port)]))
        }
        let bench = Bench(FakeNFTables(canDestroyElements: true))
        bench.apply(
            Self.loadBalancer(externalPolicy: .cluster), slice("10.244.1.1", "other", 8080),
            slice("10.244.0.2", "node", 9090))
        try bench.write()
        let upper = "affinity-pool-default/web/tcp/9090"
        let other = Self.entry("192.0.2.4", "10.244.1.1")
        Self.remember(bench.kernel, Self.main, Self.entry("192.0.2.3", "10.244.1.1"), other)
        bench.apply(Self.loadBalancer(externalPolicy: .local))
        try bench.write()
        // As the rules write it: into the maps of both pools.
        let moved = Self.entry("192.0.2.3", "10.244.0.2", left: 90_000)
        Self.remember(bench.kernel, "affinity-local-default/web/tcp/9090", moved)
        Self.remember(bench.kernel, upper, moved)
        bench.apply(Self.loadBalancer(externalPolicy: .cluster))
        try bench.write()
        #expect(try Self.entries(bench.kernel, upper) == [moved])
        #expect(try Self.entries(bench.kernel, Self.main) == [other])
    }

    @Test("one map serves a cluster IP whatever its policy", arguments: [true, false])
    func internalOnly(canDestroyElements: Bool) throws {
        let bench = try Self.bench(Self.clusterIP(.cluster), canDestroyElements: canDestroyElements)
        bench.apply(Self.clusterIP(.local))
        try bench.write()
        #expect(try Self.entries(bench.kernel, Self.main) == Set(Self.here))
        #expect(!Self.isThere(bench.kernel, Self.local))
        bench.apply(Self.clusterIP(.cluster))
        try bench.write()
        #expect(try Self.entries(bench.kernel, Self.main) == Set(Self.here))
        #expect(bench.kernel.transactions.count == 3)
    }

    @Test("a Service that turns a load balancer's takes its clients along, and back")
    func kindChanges() throws {
        let bench = try Self.bench(Self.clusterIP(.local))
        // That one can't be: it leads elsewhere.
        try bench.kernel.change([.destroyElements(Self.table, set: Self.main, [Self.elsewhere])])
        bench.apply(Self.loadBalancer(internalPolicy: .local, externalPolicy: .cluster))
        try bench.write()
        #expect(try Self.entries(bench.kernel, Self.local) == Set(Self.here))
        #expect(try Self.entries(bench.kernel, Self.main) == Set(Self.here))
        // An external client, known to the main map alone.
        Self.remember(bench.kernel, Self.main, Self.elsewhere)
        bench.apply(Self.clusterIP(.local))
        try bench.write()
        #expect(try Self.entries(bench.kernel, Self.main) == Set(Self.here))
    }

    @Test("a client that comes while the transaction runs comes over behind it", arguments: [true, false])
    func late(canDestroyElements: Bool) throws {
        let bench = try Self.bench(
            Self.loadBalancer(externalPolicy: .cluster), canDestroyElements: canDestroyElements)
        let late = Self.entry("192.0.2.9", "10.244.0.2")
        bench.kernel.beforeNextCommit {
            Self.remember($0, Self.main, late, Self.entry("192.0.2.8", "10.244.1.1"))
        }
        bench.apply(Self.loadBalancer(externalPolicy: .local))
        try bench.write()
        #expect(try Self.entries(bench.kernel, Self.local) == Set(Self.here + [late]))
        #expect(bench.kernel.transactions.count == 3)
    }

    @Test("who starts over under another policy finds the clients all the same")
    func restart() throws {
        let kernel = try Self.bench(Self.loadBalancer(externalPolicy: .cluster)).kernel
        let local = Bench(kernel)
        local.apply(Self.loadBalancer(externalPolicy: .local), Self.slice)
        try local.write()
        #expect(try Self.entries(kernel, Self.local) == Set(Self.here))
        let moved = Self.entry("192.0.2.3", "10.244.0.1")
        Self.remember(kernel, Self.local, moved)
        let cluster = Bench(kernel)
        cluster.apply(Self.loadBalancer(externalPolicy: .cluster), Self.slice)
        try cluster.write()
        #expect(try Self.entries(kernel, Self.main) == Set(Self.here + [moved]))
        // Nothing is left to do for the next one.
        let last = Bench(kernel)
        last.apply(Self.loadBalancer(externalPolicy: .cluster), Self.slice)
        #expect(try last.write().messages == 0)
    }

    @Test("when a map can't be read, or the kernel refuses, the clients come over with the repair")
    func repaired() throws {
        for isRead in [true, false] {
            let bench = try Self.bench(Self.loadBalancer(externalPolicy: .cluster))
            if isRead {
                bench.kernel.failReads([.unstable(object: "elements", attempts: 10)])
            } else {
                bench.kernel.failCommits([.refused])
            }
            bench.apply(Self.loadBalancer(externalPolicy: .local))
            #expect(try bench.write().repairedAfter != nil)
            #expect(try Self.entries(bench.kernel, Self.local) == Set(Self.here))
        }
    }

    @Test("a policy change that concerns no client, or no affinity, costs no look")
    func unconcerned() throws {
        let bench = try Self.bench(Self.loadBalancer(externalPolicy: .cluster))
        bench.kernel.failReads([.unstable(object: "elements", attempts: 10)])
        bench.apply(service("other", "10.96.0.2"), endpoints("other", "10.244.1.2", "10.244.1.3"))
        let report = try bench.write()
        #expect(report.repairedAfter == nil)
        bench.kernel.clearFaults()
        // No endpoint of this node: nobody can come over.
        bench.apply(endpoints("web", "10.244.1.1", "10.244.1.2"))
        try bench.write()
        bench.kernel.failReads([.unstable(object: "elements", attempts: 10)])
        bench.apply(Self.loadBalancer(externalPolicy: .local))
        #expect(try bench.write().repairedAfter == nil)
    }
}
