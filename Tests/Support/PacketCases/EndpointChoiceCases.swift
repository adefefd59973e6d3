import ClusterBuilders
import IPAddressing
import KubernetesAPI

extension PacketCase {
    /// Which endpoints get the traffic: hints, and what falls back on what at external addresses.
    static let endpointChoice: [PacketCase] = [
        each(Traffic.some, "statement 9: endpoints with hints for this node get its traffic") { traffic in
            let far = Place.far.hinted(nodes: [Place.otherNodeName])
            return [
                .thisNode(),
                .apply(exposed(), slices: [hinted(Place.a.hinted(nodes: ["x", Place.nodeName]) + far)]),
                .connect(.client, to: .clusterIP, traffic, times: 2, .answered(by: .a)),
                .connect(.outside, to: .loadBalancerIP, traffic, .answered(by: .a), source: .masqueraded),
                // One without hints, and they count no more.
                .apply(slices: [hinted(Place.a.hinted(nodes: [Place.nodeName]) + Place.b.hinted() + far)]),
                .connect(.client, to: .clusterIP, traffic, times: 4, .rotates(over: [.a, .b, .far])),
                // None for this node: all.
                .apply(slices: [hinted(Place.a.hinted(nodes: ["x"]) + far)]),
                .connect(.client, to: .clusterIP, traffic, times: 3, .rotates(over: [.a, .far])),
            ]
        },
        each(Traffic.some, "statement 9: else those with hints for the node's zone, which may change") {
            traffic in
            [
                .thisNode(zone: "east"),
                .apply(
                    exposed(),
                    slices: [
                        hinted(
                            Place.a.hinted(zones: ["west"]) + Place.b.hinted(zones: ["west"])
                                + Place.far.hinted(zones: ["north", "east"]))
                    ]),
                .connect(.client, to: .clusterIP, traffic, times: 2, .answered(by: .far)),
                .connect(.outside, to: .nodePort, traffic, .answered(by: .far), source: .masqueraded),
                .thisNode(zone: "west"),
                .connect(.client, to: .clusterIP, traffic, times: 3, .rotates(over: [.a, .b])),
                .thisNode(zone: "south"),
                .connect(.client, to: .clusterIP, traffic, times: 4, .rotates(over: [.a, .b, .far])),
            ]
        },
        each(Traffic.some, "statement 8, 9: hints are nothing to Local policy") { traffic in
            [
                .thisNode(),
                .apply(
                    exposed(internalTrafficPolicy: .local, externalTrafficPolicy: .local),
                    slices: [
                        hinted(
                            Place.a.hinted(nodes: [Place.nodeName])
                                + Place.b.hinted(nodes: [Place.otherNodeName]))
                    ]),
                .connect(.client, to: .clusterIP, traffic, times: 3, .rotates(over: [.a, .b])),
                .connect(
                    .outside, to: .externalIP, traffic, times: 3, .rotates(over: [.a, .b]), source: .kept),
            ]
        },
        each(Traffic.some, "statement 7, 9: where only terminating endpoints serve, hints are nothing") {
            traffic in
            [
                .thisNode(),
                .apply(
                    exposed(),
                    slices: [
                        hinted(
                            Place.a.hinted(nodes: [Place.nodeName], .terminating)
                                + Place.far.hinted(nodes: [Place.otherNodeName], .terminating)
                                + Place.b.hinted(nodes: [Place.nodeName], .notReady))
                    ]),
                .connect(.client, to: .clusterIP, traffic, times: 3, .rotates(over: [.a, .far])),
            ]
        },
        each(
            Traffic.some, "statement 7, 8: terminating endpoints at external addresses, by policy",
            on: .nodeCIDR
        ) {
            traffic in
            let endpoints = [slices([.far]), slices([.a], .terminating, number: 2)]
            return [
                .thisNode(), .apply(exposed(), slices: endpoints),
                .connect(
                    .outside, to: .nodePort, traffic, times: 2, .answered(by: .far), source: .masqueraded),
                .apply(exposed(externalTrafficPolicy: .local)),
                .connect(.outside, to: .nodePort, traffic, times: 2, .answered(by: .a), source: .kept),
                .connect(.client, to: .nodePort, traffic, times: 2, .answered(by: .far), source: .kept),
                .apply(slices: [slices([.far], .terminating)]),
                .connect(
                    .client, to: .loadBalancerIP, traffic, times: 3, .rotates(over: [.a, .far]), source: .kept
                ),
                .connect(.outside, to: .loadBalancerIP, traffic, .answered(by: .a), source: .kept),
                .apply(slices: [slices([.a], .ended, number: 2)]),
                .connect(.outside, to: .loadBalancerIP, traffic, .dropped),
            ]
        },
        each(Traffic.some, "statement 5: an endpoint that names no node, or another one, is not local") {
            traffic in
            func on(_ place: Place, _ node: String?) -> [EndpointSlice.Endpoint] {
                place.endpoints(.ready).map { .at($0.address, on: node) }
            }
            return [
                .thisNode(),
                .apply(
                    exposed(internalTrafficPolicy: .local, externalTrafficPolicy: .local),
                    slices: [hinted(on(.a, nil) + on(.b, "other") + on(.c, Place.nodeName))]),
                .connect(.client, to: .clusterIP, traffic, times: 2, .answered(by: .c)),
                .connect(.outside, to: .loadBalancerIP, traffic, times: 2, .answered(by: .c), source: .kept),
                .apply(slices: [hinted(on(.a, nil) + on(.b, "other"))]),
                .connect(.client, to: .clusterIP, traffic, .dropped),
            ]
        },
    ].flatMap { $0 }

    private static func hinted(_ endpoints: [EndpointSlice.Endpoint]) -> [EndpointSlice] {
        EndpointSlice.pair("web", endpoints)
    }
}
