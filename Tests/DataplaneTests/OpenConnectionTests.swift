import Agent
import ClusterBuilders
import Foundation
import IPAddressing
import KubernetesAPI
import NFTables
import NFTablesKernel
import Ruleset
import TestNetwork
import Testing

extension DataplaneTests {
    @Suite struct OpenConnectionTests {
        private let plan = ClusterPlan(pods: [["client", "a", "b", "c"]])

        @Test(
            "an open connection stays up while its endpoint's siblings and its Service change",
            arguments: AddressFamily.allCases, [UInt32?.none, 600])
        func staysUp(family: AddressFamily, affinity: UInt32?) throws {
            try ProxiedCluster.with(plan) { cluster in
                let destination = AddressPort(VirtualAddress.number(1, family), 80)
                func edit(
                    _ addresses: [IPAddress], affinity: UInt32?, ports: [Service.Port] = Service.webPorts
                )
                    throws
                {
                    try cluster.apply(
                        [.clusterIP("web", at: addresses, ports: ports, affinity: affinity)], [])
                }
                try edit(VirtualAddress.pair(1), affinity: affinity)
                try cluster.apply([], EndpointSlice.pair("web", cluster.endpoints("a", "b")))
                let connections = try [cluster.client, cluster.node].map { host in
                    try host.namespace.open(to: destination, timeout: ProxiedCluster.patience)
                }
                var count = 0
                func talk(_ comment: Testing.Comment) throws {
                    for connection in connections {
                        count += 1
                        let answer = try? connection.exchange(
                            "line \(count)", timeout: ProxiedCluster.patience)
                        #expect(answer == "\(connection.server) line \(count)", comment)
                    }
                }
                try talk("at first")
                try cluster.apply([], EndpointSlice.pair("web", cluster.endpoints("a", "b", "c")))
                try talk("a sibling came")
                try cluster.apply([], EndpointSlice.pair("web", cluster.endpoints("b", "c", "a")))
                try talk("in another order")
                try edit(VirtualAddress.pair(1), affinity: affinity == nil ? 300 : nil)
                try talk("affinity switched")
                try edit(VirtualAddress.pair(1), affinity: nil, ports: [.init(name: "http", port: 8000)])
                try talk("another port of the Service")
                try edit(VirtualAddress.pair(2), affinity: nil)
                try talk("another cluster IP")
                for name in ["a", "b", "c"] {
                    try cluster.apply([], EndpointSlice.pair("web", cluster.endpoints(name)))
                    try talk("\(name) alone is left")
                }
                try cluster.apply([], EndpointSlice.pair("web", []))
                try talk("no endpoint is left")
                try cluster.restart()
                try talk("the agent started anew")
                #expect(
                    try cluster.answers(
                        to: AddressPort(VirtualAddress.number(2, family), 80), from: cluster.client)
                        == ["refused"])
            }
        }

        @Test("established connections meet no rule of Sluice's", arguments: Traffic.all)
        func establishedMeetNoRule(traffic: Traffic) throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.network.serve(cluster.node, tcp: [8080], udp: [8080])
                try cluster.apply(
                    [
                        .clusterIP("web", at: VirtualAddress.pair(1)),
                        .clusterIP("sticky", at: VirtualAddress.pair(2), affinity: 600),
                        .clusterIP("host", at: VirtualAddress.pair(3)),
                    ],
                    EndpointSlice.pair("web", cluster.endpoints("a", "b"))
                        + EndpointSlice.pair("sticky", cluster.endpoints("b", "c"))
                        + EndpointSlice.pair(
                            "host", cluster.node.addresses.map { .at($0, on: cluster.node.name) }))
                // One more rule at the top of every base chain, whatever base chains there are: it counts the packets
                // that enter it.
                let id = ObjectNames.tableID(traffic.family)
                let table = try #require(try cluster.table(traffic.family))
                let hooked = table.chains.values.filter { $0.base != nil }.map(\.name).sorted()
                #expect(hooked.count >= 3)
                try cluster.node.namespace.loadRules(
                    hooked.map {
                        "insert rule \(id) \($0) meta l4proto \(traffic.transport) counter\n"
                    }.joined())
                let lines = 100
                let connections: [(client: TestCluster.Host, number: UInt8)] = [
                    (cluster.client, 1), (cluster.node, 1), (cluster.client, 2), (cluster.client, 3),
                ]
                for (index, (client, number)) in connections.enumerated() {
                    let open = try client.namespace.open(
                        traffic.transport, to: traffic.virtual(number), sourcePort: UInt16(20000 + index),
                        timeout: ProxiedCluster.patience)
                    for line in 0..<lines {
                        let answer = try open.exchange("\(line)", timeout: ProxiedCluster.patience)
                        #expect(answer.hasPrefix("\(open.server) "))
                    }
                    open.close()
                }
                var met = 0
                for chain in hooked {
                    let listing = try cluster.node.namespace.command(
                        "nft", "list", "chain", "\(id.family)", id.name, chain)
                    let packets = try #require(listing.firstMatch(of: /counter packets (\d+)/)?.1)
                    let count = try #require(Int(packets))
                    #expect(count <= connections.count, "chain \(chain)")
                    met += count
                }
                // The first packet of each passes two hooks at least: the counters do count.
                #expect(met >= 2 * connections.count)
            }
        }

        @Test("statement 29: cleanup removes both tables and leaves others alone")
        func cleanup() throws {
            try ProxiedCluster.with(plan) { cluster in
                try cluster.apply(
                    [.clusterIP("web", at: VirtualAddress.pair(1), affinity: 600)],
                    EndpointSlice.pair("web", cluster.endpoints("a", "b")))
                // A network plugin's masquerading. It is what keeps connection tracking at work: when the last rule that
                // needs it goes, the kernel stops tracking, and translated connections stall.
                let foreign = """
                    table ip foreign {
                        chain sluice {
                            type nat hook postrouting priority 110;
                            ip saddr 203.0.113.1 masquerade
                        }
                    }
                    """
                try cluster.node.namespace.loadRules(
                    foreign
                        + "\ntable inet sluice { set services { type ipv4_addr; elements = { 10.0.0.1 }; }; }"
                )
                let connection = try cluster.client.namespace.open(
                    to: AddressPort(VirtualAddress.number(1), 80), timeout: ProxiedCluster.patience)
                func others() throws -> [String] {
                    try ["ip foreign", "inet sluice"].map {
                        try cluster.node.namespace.command("sh", "-c", "nft list table \($0)")
                    }
                }
                let before = try others()
                #expect(try Cleanup.run(cluster.connection) == ObjectNames.tables.sorted())
                #expect(
                    try cluster.connection.tables().sorted()
                        == [TableID(.inet, "sluice"), TableID(.ip, "foreign")])
                #expect(try others() == before)
                #expect(connection.isAlive(timeout: ProxiedCluster.patience))
                #expect(try Cleanup.run(cluster.connection) == [])
                // And all of it can come back.
                try cluster.restart()
                let servers = try cluster.answers(
                    to: AddressPort(VirtualAddress.number(1), 80), from: cluster.client)
                #expect(["a", "b"].contains(servers[0]))
            }
        }
    }
}
