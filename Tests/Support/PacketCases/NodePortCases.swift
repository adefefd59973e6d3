import ClusterBuilders
import HostNetwork
import IPAddressing
import KubernetesAPI

extension PacketCase {
    /// Where node ports are served.
    static let nodePorts: [PacketCase] = [
        each(Traffic.all, "statement 22: node ports are at the Node's primary address, and at no other") {
            traffic in
            [
                .thisNode(), .apply(exposed(), slices: [slices([.a, .b])]),
                .connect(
                    .outside, to: .nodePort, traffic, times: 3, .rotates(over: [.a, .b]), source: .masqueraded
                ),
                .connect(.node, to: .nodePort, traffic, .answeredByOneOf([.a, .b]), source: .masqueraded),
                .connect(.outside, to: .nodePortAtSecond, traffic, .untouched, source: .kept),
                .connect(.client, to: .nodePortAtSecond, traffic, .untouched, source: .kept),
                .connect(.node, to: .nodePortAtSecond, traffic, .untouched, source: .kept),
            ]
        },
        each(
            Traffic.some, "statement 22: node ports are at the addresses in the blocks",
            on: Setting(nodePorts: .networks(secondAddresses))
        ) { traffic in
            [
                .thisNode(), .apply(exposed(), slices: [slices([.a, .b])]),
                .connect(
                    .outside, to: .nodePortAtSecond, traffic, times: 3, .rotates(over: [.a, .b]),
                    source: .masqueraded),
                .connect(
                    .far, to: .nodePortAtSecond, traffic, .answeredByOneOf([.a, .b]), source: .masqueraded),
                .connect(.outside, to: .nodePort, traffic, .untouched, source: .kept),
                .connect(.node, to: .nodePort, traffic, .untouched, source: .kept),
            ]
        },
        Traffic.some.map { traffic in
            PacketCase(
                "statement 22: a family without a block has node ports at all addresses (\(traffic))",
                on: Setting(nodePorts: .networks(secondAddresses.filter { $0.family != traffic.family })),
                [
                    .thisNode(), .apply(exposed(), slices: [slices([.a])]),
                    .connect(.outside, to: .nodePort, traffic, .answered(by: .a), source: .masqueraded),
                    .connect(
                        .client, to: .nodePortAtSecond, traffic, .answered(by: .a), source: .masqueraded),
                    .connect(.node, to: .nodePortAtSecond, traffic, .answered(by: .a), source: .masqueraded),
                    .connect(.node, to: .nodePortAtLoopback, traffic, .untouched, source: .kept),
                ])
        },
        each(Traffic.all, "statement 22: loopback never has node ports") { traffic in
            [
                .thisNode(), .apply(exposed(), slices: [slices([.a])]),
                .connect(.node, to: .nodePortAtLoopback, traffic, .untouched, source: .kept),
            ]
        },
        each(Traffic.some, "statement 22: a node port moves from one Service to another in one step") {
            traffic in
            [
                .thisNode(),
                .apply(
                    exposed("one", at: 2), exposed("two", at: 3, nodePort: 30081),
                    slices: [slices("one", [.a, .b]), slices("two", [.c])]),
                .connect(
                    .outside, to: .nodePort, traffic, times: 3, .rotates(over: [.a, .b]), source: .masqueraded
                ),
                .apply(exposed("one", at: 2, nodePort: 30081), exposed("two", at: 3)),
                .connect(
                    .outside, to: .nodePort, traffic, times: 2, .answered(by: .c), source: .masqueraded),
                .change([], removing: [.service(.default("two"))]),
                .connect(.outside, to: .nodePort, traffic, .untouched, source: .kept),
            ]
        },
        each(Traffic.some, "statement 22: a node port that the Service doesn't have is left alone") {
            traffic in
            [
                .thisNode(), .apply(exposed(nodePort: 30081), slices: [slices([.a])]),
                .connect(.outside, to: .nodePort, traffic, .untouched, source: .kept),
                .connect(.client, to: .nodePort, traffic, .untouched, source: .kept),
            ]
        },
    ].flatMap { $0 }

    private static let secondAddresses = AddressFamily.allCases.compactMap {
        IPNetwork(Place.secondOfNode($0), prefixLength: $0.bitWidth)
    }
}
