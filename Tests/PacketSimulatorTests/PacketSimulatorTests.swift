import IPAddressing
import NFTables
import PacketSimulator
import Testing

@Suite("The fate of packets", .serialized)
struct PacketFateTests {
    @Test("a constant and a data map each lead to their endpoint", arguments: AddressFamily.allCases)
    func delivery(family: AddressFamily) {
        let proxy = ProxyTable(family: family)
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        simulator.expect(Packet(from: proxy.client(1), to: proxy.service(ProxyTable.one)))
            .isDelivered(to: proxy.pod(9), from: proxy.client(1), masqueraded: false)
        simulator.expect(Packet(from: proxy.client(1), to: proxy.service(ProxyTable.direct)))
            .isDelivered(to: proxy.pod(7))
    }

    @Test("consecutive connections reach the endpoints in turn", arguments: AddressFamily.allCases)
    func roundRobin(family: AddressFamily) {
        let proxy = ProxyTable(family: family)
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        for round in 0..<6 {
            simulator.expect(
                Packet(from: proxy.client(1, 1000 + UInt16(round)), to: proxy.service(ProxyTable.web))
            )
            .isDelivered(to: proxy.pod(UInt8(round % 3 + 1)))
        }
    }

    @Test("an established connection meets no rule, in both directions")
    func established() {
        let proxy = ProxyTable(family: .ipv4)
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        let packet = Packet(from: proxy.client(1), to: proxy.service(ProxyTable.web))
        let first = simulator.expect(packet).isDelivered(to: proxy.pod(1))
        #expect(first.result.rulesMet > 0)
        for _ in 1...3 { simulator.expect(packet).isDelivered(to: proxy.pod(1)).metNoRule() }
        let answer = Packet(
            from: proxy.pod(1), to: proxy.client(1), origin: .forwarded(inputInterface: "cni0"))
        simulator.expect(answer).isDelivered(to: proxy.client(1), from: proxy.service(ProxyTable.web))
            .metNoRule()
        simulator.forget()
        simulator.expect(packet).isDelivered(to: proxy.pod(2))
    }

    @Test(
        "what no endpoint serves is refused: TCP by a reset, others by ICMP",
        arguments: AddressFamily.allCases)
    func refusal(family: AddressFamily) {
        let proxy = ProxyTable(family: family)
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        let port = proxy.service(ProxyTable.web, 81)
        simulator.expect(Packet(.tcp, from: proxy.client(1), to: port)).isRefused(.reset)
        let code: UInt8 = family == .ipv4 ? 3 : 4
        simulator.expect(Packet(.udp, from: proxy.client(1), to: proxy.service(ProxyTable.refused)))
            .isRefused(.unreachable(code: code))
        simulator.expect(Packet(.sctp, from: proxy.client(1), to: port, origin: .local))
            .isRefused(.unreachable(code: code))
        simulator.expect(Packet(from: proxy.client(1), to: proxy.service(99))).isDropped()
        #expect(simulator.connections.isEmpty)
    }

    @Test("other traffic goes on as it came", arguments: AddressFamily.allCases)
    func untouched(family: AddressFamily) {
        let proxy = ProxyTable(family: family)
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        simulator.expect(Packet(from: proxy.client(1), to: proxy.client(2))).isUntouched()
        simulator.expect(Packet(from: proxy.client(1), to: AddressPort(proxy.nodeAddress, 22))).isUntouched()
        let own = Packet(
            from: AddressPort(proxy.nodeAddress, 5000), to: AddressPort(proxy.nodeAddress, 22), origin: .local
        )
        simulator.expect(own).isUntouched()
    }

    @Test("a pod that reaches itself is masqueraded; one that reaches another is not")
    func hairpin() {
        let proxy = ProxyTable(family: .ipv4)
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        let inside = Packet.Origin.forwarded(inputInterface: "cni0")
        let own = simulator.expect(
            Packet(from: proxy.pod(9, 5000), to: proxy.service(ProxyTable.one), origin: inside))
        own.isDelivered(to: proxy.pod(9), from: AddressPort(proxy.nodeAddress, 5000), masqueraded: true)
        simulator.expect(Packet(from: proxy.pod(1, 5000), to: proxy.service(ProxyTable.one), origin: inside))
            .isDelivered(to: proxy.pod(9), masqueraded: false)
        let answer = Packet(from: proxy.pod(9), to: AddressPort(proxy.nodeAddress, 5000), origin: inside)
        simulator.expect(answer).isDelivered(to: proxy.pod(9, 5000), from: proxy.service(ProxyTable.one))
    }

    @Test("two masqueraded connections with one source port get different ones")
    func portClash() {
        let proxy = ProxyTable(family: .ipv4)
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        let inside = Packet.Origin.forwarded(inputInterface: "cni0")
        let taken = Packet(from: AddressPort(proxy.nodeAddress, 5000), to: proxy.pod(9), origin: .local)
        simulator.expect(taken).isUntouched()
        simulator.expect(Packet(from: proxy.pod(9, 5000), to: proxy.service(ProxyTable.one), origin: inside))
            .isDelivered(to: proxy.pod(9), from: AddressPort(proxy.nodeAddress, 5001), masqueraded: true)
    }

    @Test(
        "a client keeps its endpoint while the timeout runs, and each connection starts it again",
        arguments: [Packet.Origin.forwarded(inputInterface: "eth0"), .local])
    func affinity(origin: Packet.Origin) {
        let proxy = ProxyTable(family: .ipv4)
        var simulator = PacketSimulator(proxy.make(affinity: 10_000), node: proxy.node)
        var port: UInt16 = 1000
        func next(_ client: UInt8) -> Packet {
            port += 1
            return Packet(from: proxy.client(client, port), to: proxy.service(ProxyTable.web), origin: origin)
        }
        simulator.expect(next(1)).isDelivered(to: proxy.pod(1))
        simulator.expect(next(2)).isDelivered(to: proxy.pod(2))
        for _ in 1...4 {
            simulator.now += 9000
            simulator.expect(next(1)).isDelivered(to: proxy.pod(1))
        }
        simulator.expect(next(2)).isDelivered(to: proxy.pod(3))
        simulator.now += 10_000
        simulator.expect(next(1)).isDelivered(to: proxy.pod(1))
        simulator.expect(next(2)).isDelivered(to: proxy.pod(2))
    }

    @Test("a full affinity map lets new clients through unremembered")
    func fullMap() {
        let proxy = ProxyTable(family: .ipv4)
        var simulator = PacketSimulator(proxy.make(affinity: 10_000, affinitySize: 1), node: proxy.node)
        func packet(_ client: UInt8, _ port: UInt16) -> Packet {
            Packet(from: proxy.client(client, port), to: proxy.service(ProxyTable.web))
        }
        simulator.expect(packet(1, 1)).isDelivered(to: proxy.pod(1))
        simulator.expect(packet(2, 1)).isDelivered(to: proxy.pod(2))
        simulator.expect(packet(2, 2)).isDelivered(to: proxy.pod(3))
        simulator.expect(packet(1, 2)).isDelivered(to: proxy.pod(1))
        simulator.now += 10_000
        simulator.expect(packet(2, 3)).isDelivered(to: proxy.pod(1))
        simulator.expect(packet(2, 4)).isDelivered(to: proxy.pod(1))
    }

    @Test("the status bits of a connection tell how it was translated")
    func status() {
        let proxy = ProxyTable(family: .ipv4)
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        simulator.expect(
            Packet(
                from: proxy.pod(9), to: proxy.service(ProxyTable.one),
                origin: .forwarded(inputInterface: "cni0")))
        let status = simulator.connections.first?.status
        #expect(status?.isSuperset(of: [.dnat, .snat, .confirmed]) == true)
        simulator.forget()
        simulator.expect(Packet(from: proxy.client(1), to: proxy.client(2)))
        #expect(simulator.connections.first?.status.isDisjoint(with: [.dnat, .snat]) == true)
    }

    @Test("an expectation that fails names the packet, the fate and the rules")
    func failure() {
        let proxy = ProxyTable(family: .ipv4)
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        withKnownIssue {
            simulator.expect(Packet(from: proxy.client(1), to: proxy.service(99))).isDelivered(
                to: proxy.pod(1))
        } matching: { issue in
            let text = issue.comments.map(\.rawValue).joined()
            return text.contains("✓ ip proxy dispatch: ip daddr @service-cidrs drop")
                && text.contains("was: dropped")
                && text.contains("· ip proxy dispatch: ip daddr @cluster-ips goto refuse")
        }
    }
}

@Suite("The machine and its state")
struct MachineTests {
    private let proxy = ProxyTable(family: .ipv4)

    private func web(_ port: UInt16) -> Packet {
        Packet(from: proxy.client(1, port), to: proxy.service(ProxyTable.web))
    }

    /// A table with one filter chain at prerouting.
    private func table(_ chains: [Chain], priority: Int32 = -150) -> Table {
        var table = Table(TableID(.ip, "test"))
        for chain in chains { table.add(chain) }
        table.chains["prerouting"]?.base = BaseChain(.filter, hook: .prerouting, priority: priority)
        return table
    }

    @Test("a rule that stays keeps its counter, a chain that changes starts again")
    func counters() {
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        simulator.expect(web(1)).isDelivered(to: proxy.pod(1))
        var other = proxy.make()
        other.chains["one"]?.rules = []
        simulator.update(other)
        simulator.expect(web(2)).isDelivered(to: proxy.pod(2))
        simulator.update(proxy.make(endpoints: [1, 2, 3, 4]))
        simulator.expect(web(3)).isDelivered(to: proxy.pod(1))
    }

    @Test("an endpoint replaced in its slot leaves the turn as it was")
    func slots() {
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        simulator.expect(web(1)).isDelivered(to: proxy.pod(1))
        simulator.update(proxy.make(endpoints: [1, 22, 3]))
        simulator.expect(web(2)).isDelivered(to: proxy.pod(22))
    }

    @Test("an update keeps what packets wrote into a dynamic map")
    func dynamic() {
        var simulator = PacketSimulator(proxy.make(affinity: 10_000), node: proxy.node)
        simulator.expect(web(1)).isDelivered(to: proxy.pod(1))
        simulator.now = 4000
        simulator.update(proxy.make(affinity: 10_000, endpoints: [1, 2, 3, 4]))
        let elements = simulator.table(TableID(.ip, "proxy"))?.elements["affinity"] ?? []
        #expect(elements.map(\.expiration) == [6000])
        simulator.expect(web(2)).isDelivered(to: proxy.pod(1))
    }

    @Test("after jump a packet comes back, after goto it doesn't; return ends a base chain with its policy")
    func verdicts() {
        let packet = Packet(from: proxy.client(1), to: proxy.client(2))
        func fate(_ first: Verdict, _ inner: [Rule]) -> Fate {
            let chains = [
                Chain("prerouting", rules: [Rule([Statement.verdict(first)]), Rule([.drop])]),
                Chain("inner", rules: inner),
                Chain("last", rules: []),
            ]
            var simulator = PacketSimulator(table(chains), node: proxy.node)
            return simulator.send(packet).fate
        }
        let passed = Fate.untouched(to: packet.destination, source: packet.source)
        #expect(fate(.jump("inner"), []) == .dropped)
        #expect(fate(.goto("inner"), []) == passed)
        #expect(fate(.jump("inner"), [Rule([.return])]) == .dropped)
        #expect(fate(.jump("inner"), [Rule([.goto("last")]), Rule([.accept])]) == .dropped)
        #expect(fate(.jump("inner"), [Rule([.accept])]) == passed)
        #expect(fate(.return, []) == passed)
        #expect(fate(.continue, []) == .dropped)
    }

    @Test("a filter chain sees a packet before or after its translation, by priority, and on every packet")
    func priorities() {
        let toService = Statement.match(
            .ipDaddr, .equal, .value(RegisterValue(proxy.service(ProxyTable.one).address.bytes)))
        let chain = Chain("prerouting", rules: [Rule([toService, .drop])])
        let packet = Packet(from: proxy.client(1), to: proxy.service(ProxyTable.one))
        var before = PacketSimulator(proxy.make(), table([chain], priority: -150), node: proxy.node)
        before.expect(packet).isDropped()
        var after = PacketSimulator(proxy.make(), table([chain], priority: -50), node: proxy.node)
        after.expect(packet).isDelivered(to: proxy.pod(9))
        let second = after.expect(packet).isDelivered(to: proxy.pod(9))
        #expect(second.result.steps.map(\.chain) == ["prerouting"])
    }

    @Test("what this host sends came in by no interface: its name is empty, its number zero")
    func noInputInterface() {
        let packet = Packet(from: proxy.client(1, 4000), to: proxy.client(2, 80), origin: .local)
        func fate(_ match: Statement) -> Fate {
            let chain = Chain(
                "output", base: BaseChain(.filter, hook: .output, priority: 0),
                rules: [Rule([match, .drop])])
            var simulator = PacketSimulator(table([chain]), node: proxy.node)
            return simulator.send(packet).fate
        }
        let name = RegisterValue(Array("cni0".utf8) + [UInt8](repeating: 0, count: 12))
        #expect(fate(.match(.meta(.inputInterfaceName), .notEqual, .value(name))) == .dropped)
        #expect(fate(.match(.meta(.inputInterfaceName), .equal, .value(name))) != .dropped)
        #expect(fate(.match(.meta(.inputInterface), .equal, .value(RegisterValue(host: 0)))) == .dropped)
    }

    @Test("matches compare bytes, prefixes, ranges, interfaces and marks as the kernel does")
    func matches() {
        let packet = Packet(from: proxy.client(1, 4000), to: proxy.client(2, 80))
        func isMatch(_ statements: Statement...) -> Bool {
            let chain = Chain("prerouting", rules: [Rule(statements + [.drop])])
            var simulator = PacketSimulator(table([chain]), node: proxy.node)
            return simulator.send(packet).fate == .dropped
        }
        let net = RegisterValue([10, 50, 0, 0])
        let low = RegisterValue(port: 79)
        let high = RegisterValue(port: 81)
        #expect(isMatch(.match(.ipSaddr, .equal, .prefix(net, bits: 16))))
        #expect(isMatch(.match(.ipSaddr, .equal, .prefix(net, bits: 15))))
        #expect(!isMatch(.match(.ipSaddr, .notEqual, .prefix(net, bits: 15))))
        #expect(isMatch(.match(.thDport, .equal, .range(low, high))))
        #expect(!isMatch(.match(.thDport, .greater, .value(high))))
        #expect(
            isMatch(.match(.meta(.inputInterfaceName), .equal, .beginning(RegisterValue(Array("et".utf8))))))
        // Not routed yet: the empty name.
        #expect(isMatch(.match(.meta(.outputInterfaceName), .notEqual, .beginning(RegisterValue([1])))))
        #expect(
            isMatch(
                .setMeta(.mark, .constant(RegisterValue(host: 0x4000))),
                .match(.meta(.mark), .equal, .value(RegisterValue(host: 0x4000)))))
        #expect(isMatch(.match(.fib(.addressType, .daddr), .equal, .value(RegisterValue(host: 1)))))
        #expect(isMatch(.match(.conntrack(.state, nil), .equal, .flags(RegisterValue(host: 8)))))
        #expect(!isMatch(.ctStatusDNAT))
        #expect(!isMatch(.match(.ctOriginalDaddr(.ip6), .notEqual, .value(net))))
    }

    @Test("a transaction that is refused changes nothing, and the refusal names operation and reason")
    func transactions() throws {
        var simulator = PacketSimulator(proxy.make(), node: proxy.node)
        let id = TableID(.ip, "proxy")
        let before = try #require(simulator.table(id))
        let refused: [[NFTables.Operation]] = [
            [.flushChain(id, chain: "web"), .deleteChain(id, chain: "web")],
            [.flushSet(id, set: "services"), .deleteSet(id, set: "slots")],
            [.deleteElements(id, set: "cluster-ips", [Element(RegisterValue([1, 2, 3, 4]))])],
            [
                .addElements(
                    id, set: "slots", [Element(RegisterValue(host: 4096), data: .value(RegisterValue([1])))])
            ],
            [.addRule(id, chain: "nowhere", Rule([.drop]))],
        ]
        for operations in refused {
            #expect(throws: Refusal.self) { try simulator.apply(operations) }
            let after = try #require(simulator.table(id))
            #expect(after.chains == before.chains)
            #expect(NFTText.text(of: after) == NFTText.text(of: before))
        }
        try simulator.apply([
            .flushChain(id, chain: "web"), .addRule(id, chain: "web", Rule([.drop])),
            .flushSet(id, set: "services"),
            .destroyElements(id, set: "cluster-ips", [Element(RegisterValue([1, 2, 3, 4]))]),
        ])
        simulator.expect(web(1)).isRefused(.reset)
    }
}
