import ClusterBuilders
import IPAddressing
import KubernetesAPI

extension PacketCase {
    private static let clients = 1...4
    private static let everywhere: [Server] = [.a, .b, .c, .far]
    private static let here: [Server] = [.a, .b, .c]

    /// Clients stay where they are, as long as that is among the endpoints of the policy that holds.
    static let affinityUnderPolicy: [PacketCase] = [
        each(
            Traffic.all,
            "statement 18: a client of an external address keeps its endpoint while externalTrafficPolicy changes"
        ) { traffic in
            [.loadBalancerIP, .externalIP, .nodePort].flatMap { (address: Frontend) -> [Step] in
                [
                    .apply(exposed(affinity: 600), slices: [slices([.a, .b, .c, .far])])
                ]
                    + clients.map { number -> Step in
                        .connect(
                            .client, number, to: address, traffic, .answeredByOneOf(everywhere),
                            source: .masqueraded, as: "\(number)")
                    } + [.apply(exposed(affinity: 600, externalTrafficPolicy: .local))]
                    + clients.map { number -> Step in
                        .connect(
                            .client, number, to: address, traffic, .keeps("\(number)", among: here),
                            source: .kept, as: "local \(number)")
                    }
                    + clients.map { number -> Step in
                        .connect(
                            .client, number, to: address, traffic, .same(as: "local \(number)"), source: .kept
                        )
                    }
                    // Who had to leave `far` has no more business there.
                    + [.apply(exposed(affinity: 600))]
                    + clients.map { number -> Step in
                        .connect(
                            .client, number, to: address, traffic, times: 2, .same(as: "local \(number)"),
                            source: .masqueraded)
                    }
                    + [.change([], removing: [.service(.default("web"))])]
            }
        },
        each(
            Traffic.all,
            "statement 18: a client of a cluster IP keeps its endpoint while internalTrafficPolicy changes"
        ) { traffic in
            [.apply(service(affinity: 600), slices: [slices([.a, .b, .c, .far])])]
                + clients.map { number -> Step in
                    .connect(
                        .client, number, to: 1, traffic, .answeredByOneOf(everywhere), as: "\(number)")
                } + [.apply(service(affinity: 600, internalTrafficPolicy: .local))]
                + clients.map { number -> Step in
                    .connect(
                        .client, number, to: 1, traffic, .keeps("\(number)", among: here),
                        as: "local \(number)")
                } + [.apply(service(affinity: 600))]
                + clients.map { number -> Step in
                    .connect(.client, number, to: 1, traffic, times: 2, .same(as: "local \(number)"))
                }
        },
        each(
            Traffic.all,
            "statement 18: a client of a load balancer's cluster IP keeps its endpoint while policies change"
        ) { traffic in
            let policies: [(internal: Service.TrafficPolicy, external: Service.TrafficPolicy)] = [
                (.local, .cluster), (.local, .local), (.cluster, .local), (.cluster, .cluster),
            ]
            return [.apply(exposed(affinity: 600), slices: [slices([.a, .b, .c])])]
                + clients.map { number -> Step in
                    .connect(
                        .client, number, to: .clusterIP, traffic, .answeredByOneOf(here), as: "\(number)")
                }
                + policies.flatMap { policy -> [Step] in
                    [
                        .apply(
                            exposed(
                                affinity: 600, internalTrafficPolicy: policy.internal,
                                externalTrafficPolicy: policy.external))
                    ]
                        + clients.map { number -> Step in
                            .connect(.client, number, to: .clusterIP, traffic, .same(as: "\(number)"))
                        }
                        // Whichever of its addresses was used.
                        + clients.map { number -> Step in
                            .connect(
                                .client, number, to: .loadBalancerIP, traffic, .same(as: "\(number)"),
                                source: policy.external == .local ? .kept : .masqueraded)
                        }
                }
        },
        each(
            Traffic.some,
            "statement 18: a Service that gets external addresses, or loses them, moves no client of its cluster IP"
        ) { traffic in
            let inner = service(affinity: 600, internalTrafficPolicy: .local)
            return [.apply(inner, slices: [slices([.a, .b, .c, .far])])]
                + clients.map { number -> Step in
                    .connect(.client, number, to: 1, traffic, .answeredByOneOf(here), as: "\(number)")
                }
                + [exposed(affinity: 600, internalTrafficPolicy: .local), inner].flatMap {
                    changed -> [Step] in
                    [.apply(changed)]
                        + clients.map { number -> Step in
                            .connect(.client, number, to: 1, traffic, times: 2, .same(as: "\(number)"))
                        }
                }
        },
        each(
            Traffic.some,
            "statement 18: policies and endpoints that change at once free the clients of those that left"
        ) { traffic in
            [.apply(exposed(affinity: 600), slices: [slices([.a, .b, .c])])]
                + clients.map { number -> Step in
                    .connect(
                        .client, number, to: .loadBalancerIP, traffic, .answeredByOneOf(here),
                        source: .masqueraded, as: "\(number)")
                }
                + [
                    .apply(
                        exposed(affinity: 600, externalTrafficPolicy: .local), slices: [slices([.a, .b])])
                ]
                + clients.map { number -> Step in
                    .connect(
                        .client, number, to: .loadBalancerIP, traffic, .keeps("\(number)", among: [.a, .b]),
                        source: .kept, as: "local \(number)")
                } + [.apply(exposed(affinity: 600), slices: [slices([.a, .c])])]
                + clients.map { number -> Step in
                    .connect(
                        .client, number, to: .loadBalancerIP, traffic,
                        .keeps("local \(number)", among: [.a, .c]), source: .masqueraded)
                }
        },
    ].flatMap { $0 }
}
