import Agent
import ClusterBuilders
import IPAddressing
import KubernetesAPI

extension PacketCase {
    /// Who is a local pod, and whose address becomes the node's.
    static let localModes: [PacketCase] =
        modes.flatMap(perMode)
        + [
            each(
                Traffic.some, "statement 14: with masqueradeAll, all traffic to cluster IPs is masqueraded",
                on: Setting(.nodeCIDR, masqueradeAll: true)
            ) { traffic in
                [.thisNode(), .apply(exposed(externalTrafficPolicy: .local), slices: [slices([.a, .b])])]
                    + [Place.client, .far, .outside].map { source -> Step in
                        .connect(
                            source, to: .clusterIP, traffic, times: 2, .rotates(over: [.a, .b]),
                            source: .masqueraded)
                    } + [
                        // No other traffic.
                        .connect(
                            .outside, to: .loadBalancerIP, traffic, .answeredByOneOf([.a, .b]), source: .kept),
                        .connect(.client, to: .nodePort, traffic, .answeredByOneOf([.a, .b]), source: .kept),
                    ]
            },
            each(
                Traffic.some, "statement 14: of several networks of a family the first alone is read",
                on: Setting(.clusterCIDR(Place.podNetworks + Place.allPodNetworks))
            ) { traffic in
                [
                    .apply(exposed(), slices: [slices([.a])]),
                    .connect(.client, to: .clusterIP, traffic, .answered(by: .a), source: .kept),
                    .connect(.far, to: .clusterIP, traffic, .answered(by: .a), source: .masqueraded),
                ]
            },
            each(
                Traffic.some, "statement 13: as long as the Node is unknown, NodeCIDR tells nobody",
                on: .nodeCIDR
            ) { traffic in
                [
                    .apply(exposed(externalTrafficPolicy: .local), slices: [slices([.far])]),
                    .connect(.outside, to: .clusterIP, traffic, .answered(by: .far), source: .kept),
                    .connect(.client, to: .loadBalancerIP, traffic, .dropped),
                    .thisNode(),
                    .connect(.outside, to: .clusterIP, traffic, .answered(by: .far), source: .masqueraded),
                    .connect(.client, to: .loadBalancerIP, traffic, .answered(by: .far), source: .kept),
                ]
            },
            each(
                Traffic.all, "statement 17: a bridged pod that reaches itself is masqueraded, others are not",
                on: .bridgeInterface
            ) { traffic in
                [
                    .thisNode(), .apply(exposed(externalTrafficPolicy: .local), slices: [slices([.a])]),
                    .connect(.a, to: .clusterIP, traffic, .answered(by: .a), source: .masqueraded),
                    .connect(.b, to: .clusterIP, traffic, .answered(by: .a), source: .kept),
                    .connect(.a, to: .loadBalancerIP, traffic, .answered(by: .a), source: .masqueraded),
                    .connect(.b, to: .loadBalancerIP, traffic, .answered(by: .a), source: .kept),
                ]
            },
            each(
                Traffic.some, "statement 11, 22: external traffic to bridged pods is masqueraded",
                on: .bridgeInterface
            ) { traffic in
                [.thisNode(), .apply(exposed(), slices: [slices([.a, .b, .far])])]
                    + Frontend.external.flatMap { address in
                        [Place.outside, .far, .client, .node].map { source -> Step in
                            .connect(
                                source, to: address, traffic, times: 3, .rotates(over: [.a, .b, .far]),
                                source: .masqueraded)
                        }
                    }
            },
            each(
                Traffic.all,
                "statement 17: a pod of another node that reaches itself by way of this one is masqueraded",
                on: .nodeCIDR
            ) { traffic in
                // Not as a hairpin, which is for this node's pods: as one that comes from elsewhere.
                [
                    .thisNode(), .apply(exposed(), slices: [slices([.far])]),
                    .connect(
                        .far, to: .clusterIP, traffic, times: 2, .answered(by: .far), source: .masqueraded),
                ]
            },
        ].flatMap { $0 }

    private struct Mode {
        let name: String
        let setting: Setting
        /// Whether pods of the other node count as local ones.
        var holdsAll = false
        var isNone = false
    }

    private static let modes = [
        Mode(name: "no local mode", setting: Setting(), isNone: true),
        Mode(name: "ClusterCIDR", setting: .clusterCIDR, holdsAll: true),
        Mode(name: "NodeCIDR", setting: .nodeCIDR),
        Mode(name: "InterfaceNamePrefix", setting: .interfaceNamePrefix),
        Mode(name: "BridgeInterface", setting: .bridgeInterface),
    ]

    private static func perMode(_ mode: Mode) -> [PacketCase] {
        let fromOutside = mode.isNone ? SourceExpectation.kept : .masqueraded
        let fromFar = mode.isNone || mode.holdsAll ? SourceExpectation.kept : .masqueraded
        return each(
            Traffic.all, "statement 13, 14: \(mode.name): who is masqueraded on the way to a cluster IP",
            on: mode.setting
        ) { traffic in
            [
                .thisNode(), .apply(exposed(), slices: [slices([.a, .b, .far])]),
                .connect(
                    .client, to: .clusterIP, traffic, times: 4, .rotates(over: [.a, .b, .far]), source: .kept),
                .connect(
                    .outside, to: .clusterIP, traffic, times: 4, .rotates(over: [.a, .b, .far]),
                    source: fromOutside),
                .connect(
                    .node, to: .clusterIP, traffic, times: 4, .rotates(over: [.a, .b, .far]),
                    source: fromOutside),
                // Sent to itself it would need more than this node.
                .apply(slices: [slices([.a, .b])]),
                .connect(.far, to: .clusterIP, traffic, times: 3, .rotates(over: [.a, .b]), source: fromFar),
            ]
        }
            + each(
                Traffic.some, "statement 12, 13: \(mode.name): who is a local pod at a Local address",
                on: mode.setting
            ) { traffic in
                [
                    .thisNode(), .apply(exposed(externalTrafficPolicy: .local), slices: [slices([.far])]),
                    mode.isNone
                        ? .connect(.client, to: .loadBalancerIP, traffic, .dropped)
                        : .connect(
                            .client, to: .loadBalancerIP, traffic, times: 2, .answered(by: .far),
                            source: .kept),
                    .connect(.node, to: .loadBalancerIP, traffic, .answered(by: .far), source: .masqueraded),
                    .connect(.outside, to: .nodePort, traffic, .dropped),
                    .apply(slices: [slices([.b])]),
                    .connect(.far, to: .loadBalancerIP, traffic, .answered(by: .b), source: .kept),
                    .connect(.outside, to: .nodePort, traffic, .answered(by: .b), source: .kept),
                ]
            }
    }
}
