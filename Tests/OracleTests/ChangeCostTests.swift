import FakeKernel
import IPAddressing
import KubernetesAPI
import NFTables
import Testing

@Suite("What a change of every kind costs")
struct ChangeCostTests {
    private static let limit = 24

    private static func neighbour(_ n: Int) -> Service {
        Service(
            name: Small.name("neighbour-\(n)"), kind: .loadBalancer,
            clusterIPs: [Ground.address(1000 + n, in: Ground.services, .ipv4)],
            ports: [.init(port: 80, nodePort: 31_000 + UInt16(n))],
            affinityTimeout: n % 3 == 0 ? 60 : nil, externalTrafficPolicy: n % 2 == 0 ? .local : .cluster,
            loadBalancerIPs: [Ground.address(1000 + n, in: Ground.loadBalancers, .ipv4)],
            sourceRanges: n % 5 == 0 ? Ground.outside : nil)
    }

    /// The messages of each change, in a cluster of so many other Services.
    private static func costs(among others: Int) -> [(change: String, messages: Int)] {
        let neighbours = (0..<others).map(neighbour)
        var node = CompiledNode(
            Small.objects(
                neighbours,
                neighbours.map { Small.slice([Small.here(), Small.elsewhere()], of: $0.name.name) }),
            mode: .nodeCIDR)
        let endpoints = [Small.here(), Small.here(ip("10.16.1.2")), Small.elsewhere()]
        let local = Small.service { $0.externalTrafficPolicy = .local }
        let nodePort = Small.service {
            ($0.kind, $0.loadBalancerIPs, $0.externalIPs) = (.nodePort, [], [])
        }
        var result: [(change: String, messages: Int)] = []
        func run(_ name: String, _ objects: [ClusterObject], removing gone: [ClusterObject.Key] = []) {
            node.change(objects, removing: gone)
            result.append((name, FakeNFTables.messageCount(node.operations)))
        }
        node.change([.endpointSlice(Small.slice(endpoints))])
        run("a NodePort Service comes", [.service(nodePort)])
        run("it goes", [], removing: [.service(nodePort.name)])
        run("a LoadBalancer Service comes", [.service(Small.service())])
        run("its external policy becomes Local", [.service(local)])
        let replaced = [Small.here(), Small.here(ip("10.16.1.3")), Small.elsewhere()]
        run("one of its endpoints is replaced", [.endpointSlice(Small.slice(replaced))])
        run(
            "its internal policy becomes Local",
            [
                .service(
                    Small.service { ($0.internalTrafficPolicy, $0.externalTrafficPolicy) = (.local, .local) })
            ])
        for ranges in [["198.51.100.0/24"], ["198.51.100.0/24", "172.31.0.0/16"], []] {
            let service = Small.service {
                ($0.externalTrafficPolicy, $0.sourceRanges) = (.local, ranges.map(network))
            }
            run("its source ranges become \(ranges)", [.service(service)])
        }
        run("they are lifted", [.service(local)])
        run(
            "affinity begins",
            [.service(Small.service { ($0.externalTrafficPolicy, $0.affinityTimeout) = (.local, 60) })])
        run("its last endpoint here leaves", [.endpointSlice(Small.slice([Small.elsewhere()]))])
        run("its last endpoint leaves", [.endpointSlice(Small.slice([]))])
        run("it goes with all it had", [], removing: [.service(local.name)])
        #expect(node.isInStep)
        return result
    }

    @Test("a change takes few messages, and no more among 400 other Services than among 5")
    func independent() {
        let few = Self.costs(among: 5)
        let many = Self.costs(among: 400)
        for (a, b) in zip(few, many) {
            // Every sixteenth pool brings a new slot map along, and that is one message.
            #expect(abs(a.messages - b.messages) <= 1, "\(a.change)")
            #expect((1...Self.limit).contains(a.messages), "\(a.change): \(a.messages)")
        }
    }

    @Test("an endpoint replaced behind a LoadBalancer Service with Local policy touches no rule")
    func replaced() {
        var node = CompiledNode(
            Small.objects(
                [Small.service { $0.externalTrafficPolicy = .local }],
                [Small.slice([Small.here(), Small.here(ip("10.16.1.2")), Small.elsewhere()])]))
        node.change([
            .endpointSlice(Small.slice([Small.here(), Small.here(ip("10.16.1.3")), Small.elsewhere()]))
        ])
        #expect(!node.operations.isEmpty)
        for operation in node.operations {
            switch operation {
            case .addElements, .deleteElements: break
            default: Issue.record("\(operation)")
            }
        }
    }
}
