import BenchmarkSupport
import ClusterGenerator
import Glibc
import IPAddressing
import Testing

@testable import PacketBenchmark

@Suite("What the packet benchmark computes and generates")
struct PacketBenchmarkTests {
    // MARK: Statistics

    @Test("the median of an even number lies between the middle two, quartiles by distance")
    func quartiles() {
        let spread = Spread([4, 1, 3, 2])
        #expect(spread.median == 2.5)
        #expect(spread.lowerQuartile == 1.75)
        #expect(spread.upperQuartile == 3.25)
        #expect(spread.relativeWidth == 0.6)
    }

    @Test(
        "the bounds of the median are the ranks that the binomial distribution gives",
        arguments: [(1, 1, 1), (5, 1, 5), (6, 1, 6), (9, 2, 8), (21, 6, 16), (100, 40, 61)])
    func bounds(count: Int, low: Int, high: Int) {
        let spread = Spread((1...count).map(Double.init))
        #expect(spread.low == Double(low))
        #expect(spread.high == Double(high))
    }

    @Test("figures have as many digits as asked for, and a sign below zero")
    func decimals() {
        #expect(TextTable.decimal(1.005, 2) == "1.00")
        #expect(TextTable.decimal(12.5, 0) == "13")
        #expect(TextTable.decimal(-0.25, 1) == "-0.3")
        #expect(TextTable.figures(0.0784) == "0.078")
    }

    @Test("nothing measured is nothing, not a crash")
    func empty() {
        #expect(Spread([]).median == 0)
        #expect(Latencies().percentile(0.5) == 0)
    }

    @Test("percentiles are within a bucket's width of the true ones")
    func percentiles() {
        var latencies = Latencies()
        for microseconds in 1...1_000 { latencies.add(UInt64(microseconds) * 1_000) }
        for (share, seconds) in [(0.5, 500e-6), (0.99, 990e-6), (0.999, 999e-6)] {
            #expect(abs(latencies.percentile(share) / seconds - 1) < 0.004)
        }
    }

    @Test("short and very long times have buckets too, and two histograms add up")
    func extremes() {
        var one = Latencies()
        one.add(0)
        one.add(63)
        var other = Latencies()
        other.add(.max)
        one.add(other)
        #expect(one.count == 3)
        #expect(one.percentile(0.3) == 0)
        #expect(one.percentile(0.6) == 63e-9)
        #expect(one.percentile(1) > 500)
    }

    @Test("a ratio is taken round by round")
    func ratio() {
        let trial = Trial(traffic: .tcpConnections, position: .end)
        let (mine, rule) = (
            Contest.Key(trial: trial, opponent: .sluice), Contest.Key(trial: trial, opponent: .oneRule)
        )
        var tallies: [Contest.Key: Tally] = [:]
        tallies[mine] = Tally(rates: [90, 180, 50])
        tallies[rule] = Tally(rates: [100, 200, 100])
        #expect(tallies.ratio(mine, to: rule)?.median == 0.9)
        // A rate of nothing is a ratio of 0, and none to compare others with.
        tallies[rule] = Tally(rates: [100, 200, 0])
        #expect(tallies.ratio(mine, to: rule)?.count == 2)
        // Half the time is twice as fast.
        tallies[mine]?.medians = [10, 0, 10]
        tallies[rule]?.medians = [20, 20, 20]
        #expect(tallies.medianRatio(mine, to: rule) == Spread([2, 2]))
    }

    @Test("rounds go forwards and backwards, and everybody comes first as often, or nearly so")
    func rotation() {
        let orders = (0..<600).map { Rotation.order(of: 3, round: $0) }
        for pair in stride(from: 0, to: 600, by: 2) { #expect(orders[pair] == orders[pair + 1].reversed()) }
        for opponent in 0..<3 {
            #expect(orders.allSatisfy { $0.contains(opponent) })
            #expect((150...250).contains(orders.count { $0.first == opponent }))
        }
        #expect(Set(orders).count == 6)
    }

    @Test("no two of many connections have the same source")
    func sources() {
        let count = 2 * Clients.count
        let sources = Set(
            (0..<count).map { number -> UInt64 in
                let source = Clients.source(number)
                return UInt64(source.sin_addr.s_addr) << 16 | UInt64(source.sin_port)
            })
        #expect(sources.count == count)
        let addresses = Set((0..<Clients.count).map { Clients.source($0).sin_addr.s_addr })
        #expect(
            addresses
                == Set(
                    (0..<Clients.count).map {
                        AddressPort(Clients.address($0), 0).inSocketForm.sin_addr.s_addr
                    }))
    }

    // MARK: Rules

    private static let cluster = MeasuredCluster(
        generated: GeneratedCluster(services: 2, endpoints: 2, affinityEvery: 2))

    @Test(
        "lots are drawn so that each of the rest is as likely",
        arguments: [(3, "0.3333333333"), (2, "0.5000000000")])
    func probability(count: Int, text: String) { #expect(IPTablesRules.probability(oneOf: count) == text) }

    @Test("the rule chains: a rule a port, lots, and a list for each endpoint with affinity")
    func iptables() {
        let text = IPTablesRules(cluster: Self.cluster).text
        let port = Self.cluster.port(.tcp, at: .end)
        let (service, first, second) = (
            RuleNames.iptablesService(port), RuleNames.iptablesEndpoint(port, 0),
            RuleNames.iptablesEndpoint(port, 1)
        )
        let rules = text.split(separator: "\n").filter { $0.hasPrefix("-A \(service) ") }.map(String.init)
        let title = "team-0/service-00001:http"
        #expect(
            rules == [
                #"-A \#(service) -m comment --comment "\#(title) cluster IP" -m tcp -p tcp -d 10.96.0.1 --dport 80 "#
                    + "! -s 10.0.0.0/8 -j KUBE-MARK-MASQ",
                #"-A \#(service) -m comment --comment "\#(title) -> 10.128.0.2:8080" -m recent --name \#(first) "#
                    + "--rcheck --seconds 10800 --reap -j \(first)",
                #"-A \#(service) -m comment --comment "\#(title) -> 10.128.0.3:8080" -m recent --name \#(second) "#
                    + "--rcheck --seconds 10800 --reap -j \(second)",
                #"-A \#(service) -m comment --comment "\#(title) -> 10.128.0.2:8080" -m statistic --mode random "#
                    + "--probability 0.5000000000 -j \(first)",
                #"-A \#(service) -m comment --comment "\#(title) -> 10.128.0.3:8080" -j \#(second)"#,
            ])
        #expect(
            text.contains(
                "-m recent --name \(first) --set -m tcp -p tcp -j DNAT --to-destination 10.128.0.2:8080"))
        // Both measured Services, TCP and UDP.
        #expect(
            text.split(separator: "\n").filter { $0.hasPrefix("-A KUBE-SERVICES") && $0.contains("SVC") }
                .count == 4)
    }

    @Test("the per-service chains: affinity sets first, then lots among the endpoints' chains")
    func serviceChains() {
        let text = ServiceChainRules(cluster: Self.cluster, nodeAddress: IPAddress(ipv4: 0xc0a8_0001)).text
        let port = Self.cluster.port(.tcp, at: .end)
        let chain = RuleNames.serviceChain(port)
        let names = [0, 1].map { RuleNames.endpoint(port, $0) }
        let rules = text.split(separator: "\n").filter { $0.hasPrefix("add rule ip kube-proxy \(chain) ") }
            .map { String($0.dropFirst("add rule ip kube-proxy \(chain) ".count)) }
        #expect(
            rules == [
                "ip daddr 10.96.0.1 ip saddr != 10.0.0.0/8 jump mark-for-masquerade",
                "ip saddr @affinity-\(names[0]) goto endpoint-\(names[0])",
                "ip saddr @affinity-\(names[1]) goto endpoint-\(names[1])",
                "numgen random mod 2 vmap { 0 : goto endpoint-\(names[0]), 1 : goto endpoint-\(names[1]) }",
            ])
        #expect(text.contains("endpoint-\(names[1]) update @affinity-\(names[1]) { ip saddr }"))
        #expect(text.contains("endpoint-\(names[1]) meta l4proto tcp dnat to 10.128.0.3:8080"))
    }

    @Test("chain names are as long as kube-proxy's, and differ")
    func names() {
        let cluster = MeasuredCluster(generated: GeneratedCluster(services: 1_000, endpoints: 1))
        let names = (0..<1_000).flatMap { cluster.ports($0).map(RuleNames.iptablesService) }
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0.count == "KUBE-SVC-".count + 16 })
    }
}
