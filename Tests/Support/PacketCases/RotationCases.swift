import ClusterBuilders
import IPAddressing
import KubernetesAPI

extension PacketCase {
    static let rotation: [PacketCase] = [
        each(Traffic.all, "statement 21: three endpoints are taken in strict turn") { traffic in
            [
                .apply(service(), slices: [slices([.a, .b, .c])]),
                .connect(.client, to: 1, traffic, times: 9, .rotates(over: [.a, .b, .c]), source: .kept),
            ]
        },
        each(Traffic.all, "statement 21: processes of the node take their turn") { traffic in
            [
                .apply(service(), slices: [slices([.a, .b, .far])]),
                .connect(.node, to: 1, traffic, times: 7, .rotates(over: [.a, .b, .far]), source: .kept),
            ]
        },
        each(Traffic.some, "statement 21: two Services called in turn each go over all of their endpoints") {
            traffic in
            [
                .apply(
                    service("one", at: 1), service("two", at: 2),
                    slices: [slices("one", [.a, .b]), slices("two", [.b, .c, .far])]),
                .connect(.client, to: 1, traffic, times: 2, .rotates(over: [.a, .b]), as: "one"),
                .connect(.client, to: 2, traffic, times: 3, .rotates(over: [.b, .c, .far]), as: "two"),
            ]
                + (0..<6).flatMap { _ -> [Step] in
                    [
                        .connect(.client, to: 1, traffic, .continues("one", replacing: [:])),
                        .connect(.client, to: 2, traffic, .continues("two", replacing: [:])),
                    ]
                }
        },
        each(Traffic.some, "statement 21: pods, the node and the outside share one turn") { traffic in
            [
                .apply(service(), slices: [slices([.b, .c, .far])]),
                .connect(.outside, to: 1, traffic, times: 4, .rotates(over: [.b, .c, .far]), as: "turn"),
                .connect(.client, to: 1, traffic, .continues("turn", replacing: [:]), source: .kept),
                .connect(.node, to: 1, traffic, .continues("turn", replacing: [:]), source: .kept),
                .connect(.a, to: 1, traffic, times: 2, .continues("turn", replacing: [:]), source: .kept),
                .connect(.outside, to: 1, traffic, .continues("turn", replacing: [:]), source: .kept),
            ]
        },
        each(
            Traffic.all,
            "statement 21: an endpoint that is replaced leaves its place and the turn as they were"
        ) {
            traffic in
            [
                .apply(service(), slices: [slices([.a, .b, .c])]),
                .connect(.client, to: 1, traffic, times: 4, .rotates(over: [.a, .b, .c]), as: "turn"),
                .apply(slices: [slices([.far, .c, .a])]),
                .connect(.client, to: 1, traffic, times: 7, .continues("turn", replacing: [.b: .far])),
            ]
        },
        each(Traffic.some, "statement 21: a pool that grows and shrinks goes over all that it has") {
            traffic in
            [
                .apply(service(), slices: [slices([.a, .b])]),
                .connect(.client, to: 1, traffic, times: 5, .rotates(over: [.a, .b])),
                .apply(slices: [slices([.a, .b, .c, .far, .node])]),
                .connect(.client, to: 1, traffic, times: 11, .rotates(over: [.a, .b, .c, .far, .node])),
                .apply(slices: [slices([.far, .node])]),
                .connect(.client, to: 1, traffic, times: 5, .rotates(over: [.far, .node])),
            ]
        },
        each(Traffic.some, "statement 21: a change of another Service leaves the turn alone") { traffic in
            [
                .apply(service(), slices: [slices([.a, .b, .c])]),
                .connect(.client, to: 1, traffic, times: 4, .rotates(over: [.a, .b, .c]), as: "turn"),
                .apply(service("two", at: 2, affinity: 600), slices: [slices("two", [.a, .b])]),
                .connect(.client, to: 1, traffic, .continues("turn", replacing: [:])),
                .change([], removing: [.service(.default("two"))]),
                .connect(.client, to: 1, traffic, times: 2, .continues("turn", replacing: [:])),
            ]
        },
        each(Traffic.some, "statement 3: two ports of a Service each have their own endpoints and turn") {
            traffic in
            let second = Service.webPorts.map {
                Service.Port(name: $0.name + "-2", transport: $0.transport, port: 81)
            }
            let target = EndpointSlice.webPorts.map {
                EndpointSlice.Port(name: $0.name + "-2", transport: $0.transport, port: 9090)
            }
            return [
                .apply(
                    service(ports: Service.webPorts + second),
                    slices: [slices([.a, .b], ports: EndpointSlice.webPorts + target)]),
                .connect(.client, to: 1, traffic, times: 3, .rotates(over: [.a, .b]), as: "turn"),
                .connect(
                    .client, to: 1, port: 81, traffic, times: 4,
                    .rotates(over: [Server(.a, 9090), Server(.b, 9090)])),
                .connect(.client, to: 1, traffic, .continues("turn", replacing: [:])),
            ]
        },
        each(Traffic.some, "statement 3: two target ports behind one port are one pool") { traffic in
            [
                .apply(
                    service(),
                    slices: [slices([.a, .b]), slices([.b, .c], ports: slicePorts(9090), number: 2)]),
                .connect(
                    .client, to: 1, traffic, times: 9,
                    .rotates(over: [.a, .b, Server(.b, 9090), Server(.c, 9090)])),
            ]
        },
        each(Traffic.some, "statement 4: an endpoint in two slices counts once, and as ready if one says so")
        {
            traffic in
            [
                .apply(
                    service(),
                    slices: [
                        slices([.a, .b]), slices([.b, .c], number: 2), slices([.c], .terminating, number: 3),
                    ]),
                .connect(.client, to: 1, traffic, times: 7, .rotates(over: [.a, .b, .c])),
            ]
        },
        each(Traffic.all, "statement 4: one endpoint gets every connection") { traffic in
            [
                .apply(service(), slices: [slices([.b])]),
                .connect(.client, to: 1, traffic, times: 3, .answered(by: .b), source: .kept),
                .connect(.node, to: 1, traffic, times: 2, .answered(by: .b), source: .kept),
                .connect(.outside, to: 1, traffic, times: 2, .answered(by: .b), source: .kept),
            ]
        },
        each(
            Traffic.all,
            "statement 4: an endpoint on the host network is reached by pods, the node and outside"
        ) {
            traffic in
            [
                .apply(service(), slices: [slices([.node])]),
                .connect(.client, to: 1, traffic, times: 2, .answered(by: .node), source: .kept),
                .connect(.node, to: 1, traffic, times: 2, .answered(by: .node), source: .masqueraded),
                .connect(.outside, to: 1, traffic, times: 2, .answered(by: .node), source: .kept),
            ]
        },
    ].flatMap { $0 }
}
