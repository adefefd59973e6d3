import ClusterBuilders
import IPAddressing
import KubernetesAPI

extension PacketCase {
    static let affinity: [PacketCase] = [
        each(Traffic.all, "statement 18: a client keeps its endpoint, and other clients take their turn") {
            traffic in
            [
                .apply(service(affinity: 600), slices: [slices([.a, .b, .c])]),
                .connect(.client, 1, to: 1, traffic, .answeredByOneOf([.a, .b, .c]), as: "1"),
                .connect(.client, 1, to: 1, traffic, times: 3, .same(as: "1"), source: .kept),
                .connect(.client, 2, to: 1, traffic, .differs(from: ["1"], among: [.a, .b, .c]), as: "2"),
                .connect(.node, to: 1, traffic, .differs(from: ["1", "2"], among: [.a, .b, .c]), as: "3"),
                .connect(.client, 1, to: 1, traffic, times: 2, .same(as: "1")),
                .connect(.node, to: 1, traffic, times: 2, .same(as: "3"), source: .kept),
                .connect(.client, 2, to: 1, traffic, times: 2, .same(as: "2")),
                .connect(.outside, to: 1, traffic, .same(as: "1"), as: "4"),
                .connect(.outside, to: 1, traffic, times: 3, .same(as: "4"), source: .kept),
            ]
        },
        each(Traffic.all, "statement 18: a client whose endpoint leaves is free, and others keep theirs") {
            traffic in
            [.apply(service(affinity: 600), slices: [slices([.a, .b, .c])])]
                + (1...3).map { number -> Step in
                    .connect(
                        .client, number, to: 1, traffic, .answeredByOneOf([.a, .b, .c]), as: "\(number)")
                } + [.apply(slices: [slices([.b, .c])])]
                + (1...3).map { number -> Step in
                    .connect(
                        .client, number, to: 1, traffic, .keeps("\(number)", among: [.b, .c]),
                        as: "new \(number)")
                }
                // One that comes back finds its clients elsewhere.
                + [.apply(slices: [slices([.a, .b, .c])])]
                + (1...3).map { number -> Step in
                    .connect(.client, number, to: 1, traffic, times: 2, .same(as: "new \(number)"))
                }
        },
        each(Traffic.some, "statement 18: endpoints that join and unrelated changes move no client") {
            traffic in
            [
                .apply(service(affinity: 600), slices: [slices([.a, .b])]),
                .connect(.client, 1, to: 1, traffic, .answeredByOneOf([.a, .b]), as: "1"),
                .connect(.client, 2, to: 1, traffic, .differs(from: ["1"], among: [.a, .b]), as: "2"),
                .apply(slices: [slices([.a, .b, .c, .far])]),
                .connect(.client, 1, to: 1, traffic, times: 3, .same(as: "1")),
                .apply(service("other", at: 2), slices: [slices("other", [.c])]),
                .connect(.client, 2, to: 1, traffic, times: 3, .same(as: "2")),
                .apply(service(affinity: 1200)),
                .connect(.client, 1, to: 1, traffic, .same(as: "1")),
                .connect(.client, 2, to: 1, traffic, .same(as: "2")),
            ]
        },
        each(Traffic.all, "statement 18: clients keep their endpoints on either of two target ports") {
            traffic in
            [
                .apply(
                    service(affinity: 600),
                    slices: [slices([.a, .b]), slices([.c], ports: slicePorts(9090), number: 2)])
            ]
                + (1...3).map { number -> Step in
                    .connect(
                        .client, number, to: 1, traffic,
                        .differs(
                            from: (1..<number).map { "\($0)" }, among: [.a, .b, Server(.c, 9090)]),
                        as: "\(number)")
                }
                + (1...3).map { .connect(.client, $0, to: 1, traffic, times: 2, .same(as: "\($0)")) }
                + [.apply(slices: [slices([.a]), slices([.c], ports: slicePorts(9090), number: 2)])]
                + (1...3).map {
                    .connect(
                        .client, $0, to: 1, traffic, .keeps("\($0)", among: [.a, Server(.c, 9090)]))
                }
                + [.apply(slices: [slices([.a]), slices([.b], ports: slicePorts(9090), number: 2)])]
                + (1...3).map {
                    .connect(
                        .client, $0, to: 1, traffic, times: 2,
                        .keeps("\($0)", among: [.a, Server(.b, 9090)]),
                        as: "x\($0)")
                }
        },
        each(Traffic.all, "statement 18: a client keeps an endpoint on the host network") { traffic in
            [
                .apply(service(affinity: 600), slices: [slices([.node, .a])]),
                .connect(.client, 1, to: 1, traffic, .answeredByOneOf([.node, .a]), as: "1"),
                .connect(.client, 2, to: 1, traffic, .differs(from: ["1"], among: [.node, .a]), as: "2"),
                .connect(.client, 1, to: 1, traffic, times: 3, .same(as: "1"), source: .kept),
                .connect(.client, 2, to: 1, traffic, times: 3, .same(as: "2"), source: .kept),
                .connect(.node, to: 1, traffic, .answeredByOneOf([.node, .a]), as: "3"),
                .connect(.node, to: 1, traffic, times: 2, .same(as: "3")),
                .connect(.outside, to: 1, traffic, .answeredByOneOf([.node, .a]), as: "4"),
                .connect(.outside, to: 1, traffic, times: 2, .same(as: "4"), source: .kept),
                .apply(slices: [slices([.a])]),
                .connect(.client, 1, to: 1, traffic, .answered(by: .a)),
                .connect(.client, 2, to: 1, traffic, .answered(by: .a)),
            ]
        },
        each(Traffic.all, "statement 17, 18: a pod with affinity to itself stays with itself") { traffic in
            [
                .apply(service(affinity: 600), slices: [slices([.a, .b])]),
                .connect(.a, to: 1, traffic, .answeredByOneOf([.a, .b]), as: "a"),
                .connect(.b, to: 1, traffic, .differs(from: ["a"], among: [.a, .b]), as: "b"),
                .connect(.a, to: 1, traffic, times: 2, .same(as: "a")),
                .connect(.b, to: 1, traffic, times: 2, .same(as: "b")),
                .apply(slices: [slices([.a])]),
                .connect(.a, to: 1, traffic, times: 2, .answered(by: .a), source: .masqueraded),
                .connect(.b, to: 1, traffic, times: 2, .answered(by: .a), source: .kept),
            ]
        },
        each(Traffic.some, "statement 18: affinity that is switched on holds, and switched off is gone") {
            traffic in
            [
                .apply(service(), slices: [slices([.a, .b, .c])]),
                .connect(.client, to: 1, traffic, times: 4, .rotates(over: [.a, .b, .c])),
                .apply(service(affinity: 600)),
                .connect(.client, to: 1, traffic, .answeredByOneOf([.a, .b, .c]), as: "kept"),
                .connect(.client, to: 1, traffic, times: 3, .same(as: "kept")),
                .apply(service()),
                .connect(.client, to: 1, traffic, times: 4, .rotates(over: [.a, .b, .c])),
            ]
        },
        each(Traffic.some, "statement 15, 18: a pool with affinity that runs empty refuses, and serves again")
        {
            traffic in
            [
                .apply(service(affinity: 600), slices: [slices([.a, .b])]),
                .connect(.client, to: 1, traffic, .answeredByOneOf([.a, .b])),
                .apply(slices: [slices([])]),
                .connect(.client, to: 1, traffic, times: 2, .refused),
                .apply(slices: [slices([.c])]),
                .connect(.client, to: 1, traffic, times: 3, .answered(by: .c)),
            ]
        },
        each(Traffic.some, "statement 18: a second port has an affinity of its own") { traffic in
            let second = Service.webPorts.map {
                Service.Port(name: $0.name + "-2", transport: $0.transport, port: 81)
            }
            let target = EndpointSlice.webPorts.map {
                EndpointSlice.Port(name: $0.name + "-2", transport: $0.transport, port: 9090)
            }
            return [
                .apply(
                    service(ports: Service.webPorts + second, affinity: 600),
                    slices: [slices([.a, .b], ports: EndpointSlice.webPorts + target)]),
                .connect(.client, 1, to: 1, traffic, .answeredByOneOf([.a, .b]), as: "1"),
                .connect(
                    .client, 2, to: 1, port: 81, traffic,
                    .answeredByOneOf([Server(.a, 9090), Server(.b, 9090)]), as: "2 at 81"),
                .connect(
                    .client, 1, to: 1, port: 81, traffic,
                    .differs(from: ["2 at 81"], among: [Server(.a, 9090), Server(.b, 9090)]), as: "1 at 81"),
                .connect(.client, 1, to: 1, traffic, times: 2, .same(as: "1")),
                .connect(.client, 1, to: 1, port: 81, traffic, times: 2, .same(as: "1 at 81")),
            ]
        },
        each(Traffic.some, "statement 18: a client is free when the timeout is over") { traffic in
            [
                .apply(service(affinity: 1), slices: [slices([.a, .b])]),
                .connect(.client, to: 1, traffic, .answeredByOneOf([.a, .b]), as: "before"),
                .elapse(milliseconds: 1100, simulatedOnly: false),
                .connect(.client, to: 1, traffic, .differs(from: ["before"], among: [.a, .b])),
            ]
        },
        each(Traffic.all, "statement 18: the timeout starts again with each new connection") { traffic in
            [
                .apply(service(affinity: 10), slices: [slices([.a, .b])]),
                .connect(.client, to: 1, traffic, .answeredByOneOf([.a, .b]), as: "before"),
            ]
                + (0..<3).flatMap { _ -> [Step] in
                    [
                        .elapse(milliseconds: 9000, simulatedOnly: true),
                        .connect(.client, to: 1, traffic, .same(as: "before")),
                    ]
                } + [
                    .elapse(milliseconds: 10_000, simulatedOnly: true),
                    .connect(.client, to: 1, traffic, .differs(from: ["before"], among: [.a, .b])),
                ]
        },
        each(
            Traffic.some,
            "statement 18: a node port remembers nothing of an external IP that is the node's own address"
        ) { traffic in
            let addresses = AddressFamily.allCases.map(Place.node.address)
            var web = service(affinity: 600)
            web.kind = .nodePort
            for index in web.ports.indices { web.ports[index].nodePort = 30_080 }
            var other = service("other", at: 2, ports: servicePorts(30_080))
            other.externalIPs = addresses
            // What masquerades also picks a port at random.
            other.externalTrafficPolicy = .local
            return [
                .change([.node(Node(name: Place.nodeName, addresses: addresses))], removing: []),
                .apply(web, other, slices: [slices([.a, .b]), slices("other", [.c])]),
                .connect(
                    ConnectionStep(
                        client: .client, clientNumber: 1, traffic: traffic,
                        destination: AddressPort(Place.node.address(traffic.family), 30_080),
                        expectation: .answered(by: .c), source: .kept)),
                .connect(.client, 1, to: 1, traffic, times: 2, .answeredByOneOf([.a, .b])),
            ]
        },
    ].flatMap { $0 }
}
