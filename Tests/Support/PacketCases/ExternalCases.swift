import ClusterBuilders
import IPAddressing
import KubernetesAPI

extension PacketCase {
    /// Load balancer addresses, external IPs and node ports.
    static let external: [PacketCase] = [
        each(
            Traffic.all, "statement 10, 11: external traffic reaches every endpoint, and is masqueraded",
            on: .nodeCIDR
        ) { traffic in
            [.thisNode(), .apply(exposed(), slices: [slices([.a, .b, .far])])]
                + Frontend.external.flatMap { address in
                    [Place.outside, .far, .client, .node].map { source -> Step in
                        .connect(
                            source, to: address, traffic, times: 4, .rotates(over: [.a, .b, .far]),
                            source: .masqueraded)
                    }
                }
        },
        each(
            Traffic.some,
            "statement 11: an endpoint on the host network sees its clients: nothing leaves the node",
            on: .nodeCIDR
        ) { traffic in
            [.thisNode(), .apply(exposed(), slices: [slices([.node])])]
                + Frontend.external.flatMap { address in
                    [Place.outside, .far, .client].map { source -> Step in
                        .connect(source, to: address, traffic, .answered(by: .node), source: .kept)
                    } + [.connect(.node, to: address, traffic, .answered(by: .node), source: .masqueraded)]
                }
        },
        each(
            Traffic.all,
            "statement 8, 12: Local policy keeps to this node's endpoints and to the client's address",
            on: .nodeCIDR
        ) { traffic in
            [
                .thisNode(),
                .apply(exposed(externalTrafficPolicy: .local), slices: [slices([.a, .b, .far])]),
            ]
                + Frontend.external.flatMap { address -> [Step] in
                    [
                        .connect(
                            .outside, to: address, traffic, times: 3, .rotates(over: [.a, .b]), source: .kept),
                        .connect(
                            .far, to: address, traffic, times: 3, .rotates(over: [.a, .b]), source: .kept),
                        // Local pods and the host: as if they had used the cluster IP.
                        .connect(
                            .client, to: address, traffic, times: 4, .rotates(over: [.a, .b, .far]),
                            source: .kept),
                        .connect(
                            .node, to: address, traffic, times: 4, .rotates(over: [.a, .b, .far]),
                            source: .masqueraded),
                    ]
                }
        },
        each(
            Traffic.some,
            "statement 12, 15: Local without an endpoint here drops the outside, not local pods or the host",
            on: .nodeCIDR
        ) { traffic in
            [.thisNode(), .apply(exposed(externalTrafficPolicy: .local), slices: [slices([.far])])]
                + Frontend.external.flatMap { address -> [Step] in
                    [
                        .connect(.outside, to: address, traffic, .dropped),
                        .connect(.client, to: address, traffic, .answered(by: .far), source: .kept),
                        .connect(.node, to: address, traffic, .answered(by: .far), source: .masqueraded),
                    ]
                } + [
                    .connect(.far, to: .loadBalancerIP, traffic, .dropped),
                    .apply(slices: [slices([.c, .far])]),
                    .connect(.outside, to: .nodePort, traffic, .answered(by: .c), source: .kept),
                ]
        },
        each(
            Traffic.all, "statement 15: without any endpoint all addresses are refused, whatever the policy",
            on: .nodeCIDR
        ) { traffic in
            [
                .thisNode(),
                .apply(exposed(internalTrafficPolicy: .local, externalTrafficPolicy: .local)),
            ]
                + ([.clusterIP] + Frontend.external).flatMap { address in
                    [Place.outside, .far, .client, .node].map { source -> Step in
                        .connect(source, to: address, traffic, .refused)
                    }
                }
        },
        each(Traffic.some, "statement 10, 15: the two policies are decided apart", on: .nodeCIDR) { traffic in
            [
                .thisNode(), .apply(exposed(internalTrafficPolicy: .local), slices: [slices([.far])]),
                .connect(.client, to: .clusterIP, traffic, .dropped),
                .connect(.outside, to: .externalIP, traffic, .answered(by: .far), source: .masqueraded),
                .apply(exposed(externalTrafficPolicy: .local)),
                .connect(.client, to: .clusterIP, traffic, .answered(by: .far), source: .kept),
                .connect(.outside, to: .externalIP, traffic, .dropped),
            ]
        },
        each(
            Traffic.some, "statement 10: externalTrafficPolicy counts for external IPs of type ClusterIP too",
            on: .nodeCIDR
        ) { traffic in
            var plain = service()
            plain.externalIPs = exposed().externalIPs
            plain.externalTrafficPolicy = .local
            return [
                .thisNode(), .apply(plain, slices: [slices([.a, .far])]),
                .connect(.outside, to: .externalIP, traffic, times: 2, .answered(by: .a), source: .kept),
                .connect(
                    .outside, to: .clusterIP, traffic, times: 3, .rotates(over: [.a, .far]),
                    source: .masqueraded),
            ]
        },
        each(Traffic.some, "statement 16: a port that external addresses don't have is left alone") {
            traffic in
            [.apply(exposed(), slices: [slices([.a])])]
                + [Frontend.unservedLoadBalancerPort, .unservedExternalPort].flatMap { address in
                    [Place.outside, .client, .node].map { source -> Step in
                        .connect(source, to: address, traffic, .untouched, source: .kept)
                    }
                }
        },
        each(
            Traffic.all, "statement 17: a pod that reaches itself by an external address is masqueraded",
            on: .nodeCIDR
        ) { traffic in
            [.thisNode(), .apply(exposed(externalTrafficPolicy: .local), slices: [slices([.a])])]
                + Frontend.external.flatMap { address -> [Step] in
                    [
                        .connect(.a, to: address, traffic, .answered(by: .a), source: .masqueraded),
                        .connect(.b, to: address, traffic, .answered(by: .a), source: .kept),
                    ]
                }
        },
        each(
            Traffic.some, "statement 18: a client keeps its endpoint whichever address it uses", on: .nodeCIDR
        ) { traffic in
            [
                .thisNode(), .apply(exposed(affinity: 600), slices: [slices([.a, .b, .far])]),
                .connect(
                    .outside, to: .loadBalancerIP, traffic, .answeredByOneOf([.a, .b, .far]),
                    source: .masqueraded, as: "outside"),
                .connect(
                    .client, to: .nodePort, traffic, .differs(from: ["outside"], among: [.a, .b, .far]),
                    source: .masqueraded, as: "client"),
            ]
                + Frontend.external.flatMap { address -> [Step] in
                    [
                        .connect(
                            .outside, to: address, traffic, times: 2, .same(as: "outside"),
                            source: .masqueraded),
                        .connect(
                            .client, to: address, traffic, times: 2, .same(as: "client"), source: .masqueraded
                        ),
                    ]
                } + [
                    .connect(.outside, to: .clusterIP, traffic, .same(as: "outside"), source: .masqueraded),
                    .connect(.client, to: .clusterIP, traffic, .same(as: "client"), source: .kept),
                ]
        },
        each(
            Traffic.some, "statement 18: what was chosen under Local policy is kept at the cluster IP",
            on: .nodeCIDR
        ) { traffic in
            [
                .thisNode(),
                .apply(
                    exposed(affinity: 600, externalTrafficPolicy: .local), slices: [slices([.a, .b, .far])]),
                .connect(
                    .outside, to: .externalIP, traffic, .answeredByOneOf([.a, .b]), source: .kept, as: "first"
                ),
                .connect(
                    .outside, to: .clusterIP, traffic, times: 3, .same(as: "first"), source: .masqueraded),
                .connect(.outside, to: .nodePort, traffic, times: 2, .same(as: "first"), source: .kept),
            ]
        },
        each(Traffic.some, "statement 20: source ranges guard load balancer addresses, and nothing else") {
            traffic in
            let others = Place.outside.networks.filter { $0.family != traffic.family }
            return [
                .thisNode(), .apply(exposed(ranges: Place.outside.networks), slices: [slices([.a])]),
                .connect(.outside, to: .loadBalancerIP, traffic, .answered(by: .a), source: .masqueraded),
                .connect(.client, to: .loadBalancerIP, traffic, .dropped),
                .connect(.far, to: .loadBalancerIP, traffic, .dropped),
                .connect(.node, to: .loadBalancerIP, traffic, .dropped),
                .connect(.client, to: .clusterIP, traffic, .answered(by: .a), source: .kept),
                .connect(.far, to: .externalIP, traffic, .answered(by: .a), source: .masqueraded),
                .connect(.client, to: .nodePort, traffic, .answered(by: .a), source: .masqueraded),
                .apply(exposed(ranges: Place.podNetworks)),
                .connect(.client, to: .loadBalancerIP, traffic, .answered(by: .a), source: .masqueraded),
                .connect(.outside, to: .loadBalancerIP, traffic, .dropped),
                // Ranges of the other family say nothing about this one.
                .apply(exposed(ranges: others)),
                .connect(.client, to: .loadBalancerIP, traffic, .answered(by: .a), source: .masqueraded),
                // Asked for, and not one of them could be read.
                .apply(exposed(ranges: [])),
                .connect(.outside, to: .loadBalancerIP, traffic, .dropped),
            ]
        },
        each(Traffic.some, "statement 21: the addresses of a port share one turn") { traffic in
            [
                .thisNode(), .apply(exposed(), slices: [slices([.a, .b, .far])]),
                .connect(
                    .outside, to: .nodePort, traffic, times: 4, .rotates(over: [.a, .b, .far]),
                    source: .masqueraded, as: "turn"),
                .connect(.client, to: .clusterIP, traffic, .continues("turn", replacing: [:]), source: .kept),
                .connect(
                    .outside, to: .loadBalancerIP, traffic, times: 2, .continues("turn", replacing: [:]),
                    source: .masqueraded),
                .connect(
                    .node, to: .externalIP, traffic, times: 3, .continues("turn", replacing: [:]),
                    source: .masqueraded),
            ]
        },
        each(Traffic.some, "statement 1: a Service that changes its type leaves its old addresses") {
            traffic in
            [
                .thisNode(), .apply(exposed(), slices: [slices([.a])]),
                .connect(.outside, to: .nodePort, traffic, .answered(by: .a), source: .masqueraded),
                .apply(service()),
                .connect(.outside, to: .loadBalancerIP, traffic, .untouched, source: .kept),
                .connect(.outside, to: .externalIP, traffic, .untouched, source: .kept),
                .connect(.outside, to: .nodePort, traffic, .untouched, source: .kept),
                .connect(.client, to: .clusterIP, traffic, .answered(by: .a), source: .kept),
                .apply(exposed()),
                .connect(.outside, to: .loadBalancerIP, traffic, .answered(by: .a), source: .masqueraded),
            ]
        },
    ].flatMap { $0 }
}
