import FakeKernel
import IPAddressing
import KubernetesAPI
import NFTables
import Testing

/// Netlink messages, those that begin and end the batch among them.
@Suite("What a change of every kind costs")
struct ChangeCostTests {
    /// One change to a cluster that has Service `web`, or is about to.
    private struct Change {
        let name: String
        /// What it takes, whoever else is there.
        let messages: Int
        var objects: [ClusterObject] = []
        var gone: [ClusterObject.Key] = []
        var hostAddresses: [IPAddress]?

        init(_ name: String, _ messages: Int, _ objects: ClusterObject...) {
            self.name = name
            self.messages = messages
            self.objects = objects
        }

        init(_ name: String, _ messages: Int, removing gone: ClusterObject.Key...) {
            self.name = name
            self.messages = messages
            self.gone = gone
        }

        init(_ name: String, _ messages: Int, hostAddresses: [IPAddress]) {
            self.name = name
            self.messages = messages
            self.hostAddresses = hostAddresses
        }
    }

    /// In a cluster of few and of many other Services, one change after the other: each takes what it is said to.
    private static func expectCosts(
        _ changes: [Change], after first: [ClusterObject] = [], _ location: SourceLocation = #_sourceLocation
    ) {
        for count in [Neighbours.few, Neighbours.many] {
            var node = CompiledNode(Neighbours.objects(count) + first, mode: .nodeCIDR)
            var costs: [String] = []
            for change in changes {
                node.change(change.objects, removing: change.gone, hostAddresses: change.hostAddresses)
                costs.append("\(change.name): \(FakeNFTables.messageCount(node.operations))")
                #expect(node.isInStep, "\(change.name)", sourceLocation: location)
                #expect(node.differenceToFresh.isEmpty, "\(change.name)", sourceLocation: location)
            }
            #expect(
                costs == changes.map { "\($0.name): \($0.messages)" }, "among \(count)",
                sourceLocation: location)
        }
    }

    private static let endpoints = [Small.here(), Small.here(ip("10.16.1.2")), Small.elsewhere()]
    private static let slice = ClusterObject.endpointSlice(Small.slice(endpoints))
    private static let web = [ClusterObject.service(Small.service()), slice]
    private static let key = ClusterObject.Key.service(Small.name("web"))

    private static func service(_ change: (inout Service) -> Void = { _ in }) -> ClusterObject {
        .service(Small.service("web", change))
    }

    private static func slice(_ endpoints: [Endpoint]) -> ClusterObject {
        .endpointSlice(Small.slice(endpoints))
    }

    // MARK: Addresses and ports

    @Test("a node port comes, becomes another and goes")
    func nodePort() {
        func service(_ nodePort: UInt16?) -> ClusterObject {
            Self.service {
                ($0.kind, $0.loadBalancerIPs, $0.externalIPs) = (.nodePort, [], [])
                $0.ports = [.init(port: 80, nodePort: nodePort)]
            }
        }
        Self.expectCosts(
            [
                Change("its Service comes without one", 8, service(nil)),
                Change("it comes", 4, service(30_080)),
                Change("it becomes another", 6, service(30_081)),
                Change("it goes", 4, service(nil)),
                Change("its Service comes back with one", 4, service(30_080)),
                Change("its Service goes", 9, removing: Self.key),
            ], after: [Self.slice])
    }

    @Test("a load balancer address comes, becomes another, is one of two and goes")
    func loadBalancerAddress() {
        func service(_ addresses: String...) -> ClusterObject {
            Self.service { ($0.loadBalancerIPs, $0.externalIPs) = (addresses.map(ip), []) }
        }
        Self.expectCosts(
            [
                Change("its Service comes without one", 10, service()),
                Change("it comes", 5, service("203.0.0.10")),
                Change("it becomes another", 8, service("203.0.0.11")),
                Change("a second one comes", 5, service("203.0.0.11", "203.0.0.12")),
                Change("both go", 5, service()),
                Change("its Service goes", 9, removing: Self.key),
            ], after: [Self.slice])
    }

    @Test("an external IP comes, becomes another and goes")
    func externalIP() {
        func service(_ addresses: String...) -> ClusterObject {
            Self.service {
                ($0.kind, $0.loadBalancerIPs, $0.externalIPs) = (.clusterIP, [], addresses.map(ip))
            }
        }
        Self.expectCosts(
            [
                Change("its Service comes without one", 8, service()),
                Change("it comes", 5, service("203.1.0.10")),
                Change("it becomes another", 8, service("203.1.0.11")),
                Change("a second one comes", 5, service("203.1.0.11", "203.1.0.12")),
                Change("both go", 5, service()),
            ], after: [Self.slice])
    }

    @Test("a cluster IP and a port's number become others")
    func clusterIP() {
        Self.expectCosts(
            [
                Change("the cluster IP", 6, Self.service { $0.clusterIPs = [ip("10.96.0.11")] }),
                Change(
                    "the port", 6,
                    Self.service {
                        $0.clusterIPs = [ip("10.96.0.11")]
                        $0.ports = [.init(port: 81, nodePort: Small.nodePort)]
                    }),
            ], after: Self.web)
    }

    // MARK: Policies

    @Test("source ranges come, become others, let nobody in and go")
    func sourceRanges() {
        for policy in [Service.TrafficPolicy.cluster, .local] {
            func service(_ ranges: [String]?) -> ClusterObject {
                Self.service {
                    ($0.externalTrafficPolicy, $0.sourceRanges) = (policy, ranges.map { $0.map(network) })
                }
            }
            Self.expectCosts(
                [
                    Change("they come", 9, service(["198.51.100.0/24"])),
                    Change("one more comes", 4, service(["198.51.100.0/24", "172.31.0.0/16"])),
                    Change("they become others", 4, service(["198.51.99.0/24"])),
                    Change("nobody is let in", 3, service([])),
                    Change("they go", 6, service(nil)),
                ], after: [service(nil), Self.slice])
        }
    }

    @Test("traffic policies become Local and Cluster again")
    func policies() {
        func service(_ inner: Service.TrafficPolicy, _ outer: Service.TrafficPolicy) -> ClusterObject {
            Self.service { ($0.internalTrafficPolicy, $0.externalTrafficPolicy) = (inner, outer) }
        }
        Self.expectCosts(
            [
                Change("the external one becomes Local", 17, service(.cluster, .local)),
                Change("the internal one as well", 4, service(.local, .local)),
                Change("the external one becomes Cluster", 11, service(.local, .cluster)),
                Change("the internal one as well", 6, service(.cluster, .cluster)),
            ], after: Self.web)
    }

    @Test("affinity begins, gets another timeout and ends")
    func affinity() {
        func service(_ timeout: UInt32?, _ policy: Service.TrafficPolicy) -> ClusterObject {
            Self.service { ($0.affinityTimeout, $0.externalTrafficPolicy) = (timeout, policy) }
        }
        Self.expectCosts(
            [
                Change("it begins", 13, service(60, .cluster)),
                Change("its timeout becomes another", 4, service(600, .cluster)),
                Change("it ends", 11, service(nil, .cluster)),
            ], after: Self.web)
        Self.expectCosts(
            [
                Change("it begins under Local policy", 20, service(60, .local)),
                Change("it ends", 16, service(nil, .local)),
            ], after: [service(nil, .local), Self.slice])
    }

    // MARK: Endpoints

    @Test("endpoints are replaced, come, go, and come back")
    func endpoints() {
        let costs: [(Service.TrafficPolicy, [Int])] = [
            (.cluster, [6, 8, 10, 13, 8]), (.local, [6, 13, 12, 19, 10]),
        ]
        for (policy, costs) in costs {
            Self.expectCosts(
                [
                    Change(
                        "one here is replaced", costs[0],
                        Self.slice([Small.here(), Small.here(ip("10.16.1.3")), Small.elsewhere()])),
                    Change("the last one here leaves", costs[1], Self.slice([Small.elsewhere()])),
                    Change("the last one leaves", costs[2], Self.slice([])),
                    Change("all come back", costs[3], Self.slice),
                    Change(
                        "one terminates", costs[4], Self.slice([Small.here(ending: true), Small.elsewhere()])),
                ],
                after: [Self.service { $0.externalTrafficPolicy = policy }, Self.slice])
        }
    }

    @Test("hints come, lead elsewhere, to this node, and go")
    func hints() {
        func slice(_ hints: Hints) -> ClusterObject {
            Self.slice(Self.endpoints.enumerated().map { hints.added(to: $1, at: $0) })
        }
        Self.expectCosts(
            [
                Change("for zones", 8, slice(.zone)),
                Change("for nodes", 7, slice(.node)),
                Change("for elsewhere", 7, slice(.elsewhere)),
                Change("they go", 0, slice(.none)),
            ], after: Self.web)
    }

    // MARK: Around

    @Test("the node gets another address, loses it, and has it again")
    func nodeAddress() {
        var moved = Ground.clusterNode
        moved.addresses = Ground.secondAddresses
        let all = Ground.primaryAddresses + Ground.secondAddresses
        Self.expectCosts(
            [
                Change("the Node's addresses become others", 14, .node(moved)),
                Change("the host loses them", 8, hostAddresses: Ground.primaryAddresses),
                Change("the host has them again", 8, hostAddresses: all),
                Change("the host gets one that serves nothing", 0, hostAddresses: all + [ip("192.0.2.99")]),
            ], after: Self.web)
    }

    @Test("the node's address is in a Service's source ranges: that one changes, and no other")
    func nodeAddressInRange() {
        var moved = Ground.clusterNode
        moved.addresses = [ip("192.0.2.77"), ip("2001:db8::1")]
        var away = moved
        away.addresses = [ip("192.0.3.1"), ip("2001:db8::1")]
        Self.expectCosts(
            [
                Change("it is still in it", 8, .node(moved)),
                Change("it is not any more", 7, .node(away)),
            ], after: [Self.service { $0.sourceRanges = [network("192.0.2.0/24")] }, Self.slice])
    }

    @Test("the node gets another zone: Services with hints change, and no others")
    func zone() {
        let hinted = Self.endpoints.enumerated().map { Hints.zone.added(to: $1, at: $0) }
        var west = Ground.clusterNode
        west.zone = "west"
        var nowhere = Ground.clusterNode
        nowhere.zone = nil
        Self.expectCosts(
            [
                Change("another zone", 8, .node(west)), Change("none", 0, .node(nowhere)),
            ], after: [Self.service(), Self.slice(hinted)])
    }

    @Test("the node gets its pod networks late, and other ones")
    func podNetworks() {
        var without = Ground.clusterNode
        without.podCIDRs = []
        var other = Ground.clusterNode
        other.podCIDRs = Ground.podsElsewhere
        Self.expectCosts(
            [
                Change("they go", 12, .node(without)), Change("they come", 14, .node(Ground.clusterNode)),
                Change("they become others", 16, .node(other)),
            ], after: Self.web)
    }

    @Test("a ServiceCIDR comes, grows and goes")
    func serviceCIDR() {
        func cidr(_ networks: String...) -> ClusterObject {
            .serviceCIDR(ServiceCIDR(name: "more", networks: networks.map(network)))
        }
        Self.expectCosts(
            [
                Change("it comes", 4, cidr("10.97.0.0/16")),
                Change("it grows", 4, cidr("10.97.0.0/16", "fd00:97::/64")),
                Change("it goes", 6, removing: .serviceCIDR("more")),
            ], after: Self.web)
    }

    @Test("an endpoint replaced behind a LoadBalancer Service with Local policy touches no rule")
    func replaced() {
        var node = CompiledNode(
            Small.objects(
                [Small.service { $0.externalTrafficPolicy = .local }], [Small.slice(Self.endpoints)]))
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
