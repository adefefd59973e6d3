import ClusterBuilders
import IPAddressing
import KubernetesAPI

extension PacketCase {
    static let policy: [PacketCase] = [
        each(Traffic.all, "statement 17: a pod that reaches itself is masqueraded, others are not") {
            traffic in
            [
                .apply(service(), slices: [slices([.a])]),
                .connect(.a, to: 1, traffic, times: 2, .answered(by: .a), source: .masqueraded),
                .connect(.b, to: 1, traffic, times: 2, .answered(by: .a), source: .kept),
                .connect(.a, to: 1, traffic, .answered(by: .a), source: .masqueraded),
            ]
        },
        each(Traffic.all, "statement 17: a pod is masqueraded on its turn alone") { traffic in
            [
                .apply(service(), slices: [slices([.a, .b, .far])]),
                .connect(
                    .a, to: 1, traffic, times: 7, .rotates(over: [.a, .b, .far]), source: .keptButByItself),
            ]
        },
        each(Traffic.all, "statement 15: without an endpoint every client is refused") { traffic in
            [
                .apply(service()),
                .connect(.client, to: 1, traffic, times: 2, .refused),
                .connect(.node, to: 1, traffic, .refused),
                .connect(.outside, to: 1, traffic, .refused),
                .apply(slices: [slices([])]),
                .connect(.client, to: 1, traffic, .refused),
            ]
        },
        each(Traffic.some, "statement 7, 15: endpoints that are not ready, or have ended, are none") {
            traffic in
            [
                .apply(service(), slices: [slices([.a], .notReady), slices([.b], .ended, number: 2)]),
                .connect(.client, to: 1, traffic, .refused),
                .apply(slices: [slices([.a])]),
                .connect(.client, to: 1, traffic, times: 2, .answered(by: .a)),
                .apply(slices: [slices([.a], .notReady)]),
                .connect(.node, to: 1, traffic, .refused),
            ]
        },
        each(Traffic.all, "statement 16: a port that a live cluster IP doesn't serve is refused") { traffic in
            [
                .apply(service(), slices: [slices([.a, .b])]),
                .connect(.client, to: 1, port: 81, traffic, .refused),
                .connect(.node, to: 1, port: 81, traffic, .refused),
                .connect(.outside, to: 1, port: 81, traffic, .refused),
                .connect(.client, to: 1, traffic, times: 2, .rotates(over: [.a, .b])),
            ]
        },
        each(Traffic.some, "statement 16: a port is served over its own protocol alone") { traffic in
            [
                .apply(
                    service(ports: Service.webPorts.filter { $0.transport != traffic.transport }),
                    slices: [slices([.a])]),
                .connect(.client, to: 1, traffic, .refused),
                .connect(
                    .client, to: 1, Traffic(traffic.transport == .tcp ? .udp : .tcp, traffic.family),
                    .answered(by: .a)),
            ]
        },
        each(Traffic.some, "statement 2, 15: endpoints of the other family are none") { traffic in
            [
                .apply(service(), slices: [slices([.a, .b]).filter { $0.family != traffic.family }]),
                .connect(.client, to: 1, traffic, .refused),
            ]
        },
        each(Traffic.all, "statement 16: an address of a ServiceCIDR that no Service has is dropped") {
            traffic in
            [
                .apply(service(), slices: [slices([.a])]),
                .connect(.client, to: 2, traffic, .untouched),
                .change([serviceCIDR], removing: []),
                .connect(.client, to: 2, traffic, .dropped),
                .connect(.client, to: 1, traffic, .answered(by: .a)),
                .connect(.client, to: 1, port: 81, traffic, .refused),
                .change([], removing: [.serviceCIDR("kubernetes")]),
                .connect(.outside, to: 2, traffic, .untouched),
            ]
        },
        each(Traffic.some, "statement 16: the node and the outside, too, reach no address that nobody has") {
            traffic in
            [
                .change([serviceCIDR], removing: []),
                .connect(.node, to: 2, traffic, .dropped),
                .connect(.outside, to: 2, traffic, .dropped),
                .apply(service(at: 2)),
                .connect(.node, to: 2, traffic, .refused),
                .connect(.outside, to: 2, traffic, .refused),
            ]
        },
        each(
            Traffic.some, "statement 7: ready endpoints go first, then those that serve while they terminate"
        ) {
            traffic in
            [
                .apply(service(), slices: [slices([.a]), slices([.b, .c], .terminating, number: 2)]),
                .connect(.client, to: 1, traffic, times: 3, .answered(by: .a)),
                .apply(slices: [slices([.a], .notReady)]),
                .connect(.client, to: 1, traffic, times: 5, .rotates(over: [.b, .c])),
                .apply(slices: [slices([.b, .c], .ended, number: 2)]),
                .connect(.client, to: 1, traffic, .refused),
                .apply(slices: [slices([.a])]),
                .connect(.client, to: 1, traffic, times: 2, .answered(by: .a)),
            ]
        },
        each(Traffic.some, "statement 8, 10: internalTrafficPolicy Local uses the endpoints of this node") {
            traffic in
            [
                .apply(service(internalTrafficPolicy: .local), slices: [slices([.a, .far, .b, .node])]),
                .connect(.client, to: 1, traffic, times: 7, .rotates(over: [.a, .b, .node])),
                .connect(.node, to: 1, traffic, times: 3, .answeredByOneOf([.a, .b, .node])),
                .apply(service()),
                .connect(.client, to: 1, traffic, times: 8, .rotates(over: [.a, .b, .node, .far])),
            ]
        },
        each(Traffic.some, "statement 8: Local falls back to its own that terminate, not to those elsewhere")
        {
            traffic in
            [
                .apply(
                    service(internalTrafficPolicy: .local),
                    slices: [slices([.far]), slices([.a], .terminating, number: 2)]),
                .connect(.client, to: 1, traffic, times: 2, .answered(by: .a)),
            ]
        },
        each(Traffic.some, "statement 15: Local without an endpoint on this node is dropped") { traffic in
            [
                .apply(service(internalTrafficPolicy: .local), slices: [slices([.far])]),
                .connect(.client, to: 1, traffic, .dropped),
                .connect(.node, to: 1, traffic, .dropped),
                .apply(slices: [slices([.far, .c])]),
                .connect(.client, to: 1, traffic, times: 2, .answered(by: .c)),
                .apply(slices: [slices([])]),
                .connect(.client, to: 1, traffic, .refused),
            ]
        },
        each(Traffic.some, "statement 14: an outside client reaches cluster IPs, seen with its own address") {
            traffic in
            [
                .apply(service(), slices: [slices([.a, .b, .far, .node])]),
                .connect(
                    .outside, to: 1, traffic, times: 9, .rotates(over: [.a, .b, .far, .node]), source: .kept),
            ]
        },
    ].flatMap { $0 }
}
