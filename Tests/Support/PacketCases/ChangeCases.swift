import ClusterBuilders
import IPAddressing
import KubernetesAPI

extension PacketCase {
    /// Every case.
    public static let all =
        rotation + affinity + affinityUnderPolicy + policy + changes + external + nodePorts + localModes
        + endpointChoice

    static let changes: [PacketCase] = [
        each(Traffic.all, "statement 1: connections to a Service that is gone are left alone") { traffic in
            [
                .connect(.client, to: 1, traffic, .untouched),
                .apply(service(affinity: 600), slices: [slices([.a, .b])]),
                .connect(.client, to: 1, traffic, .answeredByOneOf([.a, .b])),
                .change([], removing: [.service(.default("web"))]),
                .connect(.client, to: 1, traffic, times: 2, .untouched),
                .connect(.node, to: 1, traffic, .untouched),
                .connect(.outside, to: 1, port: 81, traffic, .untouched),
                .apply(service()),
                .connect(.client, to: 1, traffic, times: 5, .rotates(over: [.a, .b])),
            ]
        },
        each(Traffic.some, "statement 1: a Service that another proxy takes over is left alone") { traffic in
            var other = service()
            other.proxyName = "other"
            return [
                .apply(service(), slices: [slices([.a, .b, .c])]),
                .connect(.client, to: 1, traffic, times: 4, .rotates(over: [.a, .b, .c])),
                .apply(other),
                .connect(.client, to: 1, traffic, .untouched),
                .apply(service()),
                .connect(.client, to: 1, traffic, times: 4, .rotates(over: [.a, .b, .c])),
            ]
        },
        each(Traffic.all, "statement 16: a port that is renumbered is served there and refused where it was")
        {
            traffic in
            [
                .apply(service(), slices: [slices([.a, .b])]),
                .connect(.client, to: 1, traffic, times: 3, .rotates(over: [.a, .b]), as: "turn"),
                .connect(.client, to: 1, port: 81, traffic, .refused),
                .apply(service(ports: servicePorts(81))),
                .connect(.client, to: 1, traffic, .refused),
                .connect(.client, to: 1, port: 81, traffic, times: 4, .rotates(over: [.a, .b])),
            ]
        },
        each(Traffic.all, "statement 1: a cluster IP moves to another Service in one step") { traffic in
            [
                .apply(
                    service("one", at: 1), service("two", at: 2),
                    slices: [slices("one", [.a, .b]), slices("two", [.c])]),
                .connect(.client, to: 1, traffic, times: 2, .rotates(over: [.a, .b])),
                .connect(.client, to: 2, traffic, times: 2, .answered(by: .c)),
                .apply(service("one", at: 3), service("two", at: 1)),
                .connect(.client, to: 1, traffic, times: 2, .answered(by: .c)),
                .connect(.client, to: 3, traffic, times: 2, .answeredByOneOf([.a, .b])),
                .connect(.client, to: 2, traffic, .untouched),
            ]
        },
        each(Traffic.all, "statement 1: two Services exchange their cluster IPs in one step") { traffic in
            [
                .apply(
                    service("one", at: 1, affinity: 600), service("two", at: 2),
                    slices: [slices("one", [.a, .b]), slices("two", [.c, .far])]),
                .connect(.client, to: 1, traffic, .answeredByOneOf([.a, .b]), as: "one"),
                .connect(.client, to: 2, traffic, times: 3, .rotates(over: [.c, .far]), as: "two"),
                .apply(service("one", at: 2, affinity: 600), service("two", at: 1)),
                .connect(.client, to: 2, traffic, times: 3, .same(as: "one")),
                .connect(.client, to: 1, traffic, times: 3, .continues("two", replacing: [:])),
            ]
        },
        each(Traffic.some, "statement 3: target ports that change are followed") { traffic in
            [
                .apply(service(affinity: 600), slices: [slices([.a, .b])]),
                .connect(.client, to: 1, traffic, .answeredByOneOf([.a, .b])),
                .apply(slices: [slices([.a, .b], ports: slicePorts(9090))]),
                .connect(
                    .client, to: 1, traffic, .answeredByOneOf([Server(.a, 9090), Server(.b, 9090)]),
                    as: "there"),
                .connect(.client, to: 1, traffic, times: 2, .same(as: "there")),
            ]
        },
        each(Traffic.some, "statement 4: from one endpoint to many, to none and back") { traffic in
            [
                .apply(service(), slices: [slices([.a])]),
                .connect(.client, to: 1, traffic, times: 2, .answered(by: .a)),
                .apply(slices: [slices([.a, .b])]),
                .connect(.client, to: 1, traffic, times: 4, .rotates(over: [.a, .b])),
                .apply(slices: [slices([.b])]),
                .connect(.client, to: 1, traffic, times: 2, .answered(by: .b)),
                .apply(slices: [slices([])]),
                .connect(.client, to: 1, traffic, .refused),
                .apply(slices: [slices([.c])]),
                .connect(.client, to: 1, traffic, times: 2, .answered(by: .c)),
            ]
        },
        each(Traffic.some, "statement 1: of two Services at one address the older is served, then the other")
        {
            traffic in
            var (old, young) = (service("old"), service("young"))
            (old.created, young.created) = (1000, 2000)
            return [
                .apply(young, slices: [slices("young", [.b])]),
                .connect(.client, to: 1, traffic, .answered(by: .b)),
                .apply(old, slices: [slices("old", [.a])]),
                .connect(.client, to: 1, traffic, .answered(by: .a)),
                .change([], removing: [.service(.default("old"))]),
                .connect(.client, to: 1, traffic, .answered(by: .b)),
            ]
        },
        each(
            Traffic.some,
            "statement 2: slices that come before their Service, and stay after it, are nobody's"
        ) {
            traffic in
            [
                .apply(slices: [slices([.a, .b])]),
                .connect(.client, to: 1, traffic, .untouched),
                .apply(service()),
                .connect(.client, to: 1, traffic, times: 2, .rotates(over: [.a, .b])),
                .change([], removing: slices([]).map { .endpointSlice($0.name) }),
                .connect(.client, to: 1, traffic, .refused),
            ]
        },
    ].flatMap { $0 }
}
