import IPAddressing
import KubernetesAPI
import KubernetesWire
import SeededRandom
import Testing
import WireBodies

@Suite("Checks of objects from an API server")
struct CheckTests {
    private func slice(
        _ encoding: BodyEncoding, labels: [(key: String, value: String)], type: WireValue = "IPv4"
    ) throws -> DecodedObject {
        try Fixture.endpointSlice("s", type: type, endpoints: [], labels: labels)
            .decoded(.endpointSlices, encoding)
    }

    @Test(
        "slices that are not for a proxy are passed over without a word (1, 2)",
        arguments: BodyEncoding.allCases)
    func passedOver(encoding: BodyEncoding) throws {
        let key = ClusterObject.Key.endpointSlice(ObjectName(namespace: "shop", name: "s"))
        let headless = (key: "service.kubernetes.io/headless", value: "")
        for object in [
            try slice(encoding, labels: [Fixture.serviceLabel, headless]),
            try slice(encoding, labels: [Fixture.serviceLabel], type: "FQDN"),
            // The API lets anybody have slices that belong to no Service.
            try slice(encoding, labels: []),
        ] {
            #expect(object.content == .passedOver)
            #expect(object.problems == [])
            #expect(object.key == key)
            #expect(object.resourceVersion == "42")
        }
    }

    @Test("a slice port without a name or number is ignored (3)", arguments: BodyEncoding.allCases)
    func ports(encoding: BodyEncoding) throws {
        let object = try Fixture.endpointSlice(
            endpoints: [],
            ports: [
                .message([WireField(2, "protocol", "TCP"), WireField(3, "port", 1)]),
                .message([WireField(1, "name", ""), WireField(3, "port", 2)]),
                .message([WireField(1, "name", "a")]),
                .message([WireField(1, "name", "b"), WireField(3, "port", 0)]),
                .message([
                    WireField(1, "name", "c"), WireField(2, "protocol", "SCTP"), WireField(3, "port", 3),
                ]),
            ]
        ).decoded(.endpointSlices, encoding)
        guard case .endpointSlice(let slice) = object.object else {
            Issue.record("\(object)")
            return
        }
        #expect(slice.ports == [.init(port: 2), .init(name: "c", transport: .sctp, port: 3)])
        #expect(object.problems == [])
    }

    private func service(_ encoding: BodyEncoding, _ spec: [WireField]) throws -> DecodedObject {
        try WireObject("v1", "Service", [Fixture.metadata("web"), WireField(2, "spec", .message(spec))])
            .decoded(.services, encoding)
    }

    @Test("what a server allows for cluster IPs is no problem", arguments: BodyEncoding.allCases)
    func clusterIPs(encoding: BodyEncoding) throws {
        for (text, expected) in [("", []), ("None", []), ("169.254.20.10", [try ip("169.254.20.10")])] {
            let object = try service(encoding, [WireField(3, "clusterIP", .text(text))])
            guard case .service(let service) = object.object else {
                Issue.record("\(text): \(object)")
                continue
            }
            #expect(service.clusterIPs == expected)
            #expect(service.isHeadless == (text == "None"))
            #expect(object.problems == [])
        }
    }

    @Test(
        "IPv4 numbers with leading zeros, which old API servers let in, are decimal",
        arguments: BodyEncoding.allCases)
    func leadingZeros(encoding: BodyEncoding) throws {
        let object = try service(
            encoding,
            [
                WireField(3, "clusterIP", "010.096.000.010"), WireField(5, "externalIPs", ["192.0.2.01"]),
                WireField(9, "loadBalancerSourceRanges", ["010.0.0.0/8"]),
            ])
        #expect(object.problems == [])
        guard case .service(let service) = object.object else {
            Issue.record("\(object)")
            return
        }
        #expect(service.clusterIPs == [try ip("10.96.0.10")])
        #expect(service.externalIPs == [try ip("192.0.2.1")])
        #expect(service.sourceRanges?.map(\.description) == ["10.0.0.0/8"])
        let endpoints = try Fixture.endpointSlice(
            endpoints: [.message([WireField(1, "addresses", ["010.244.0.1"])])]
        ).decoded(.endpointSlices, encoding)
        #expect(endpoints.problems == [])
        guard case .endpointSlice(let slice) = endpoints.object else {
            Issue.record("\(endpoints)")
            return
        }
        #expect(slice.endpoints.map(\.address) == [try ip("10.244.0.1")])
    }

    @Test("a refused object is named with what is wrong", arguments: BodyEncoding.allCases)
    func refused(encoding: BodyEncoding) throws {
        let object = try service(encoding, [WireField(3, "clusterIP", "10.0.0.300")])
        #expect(object.content == .refused)
        #expect(object.key == .service(ObjectName(namespace: "shop", name: "web")))
        #expect(
            object.problems.map(\.description) == [
                "\(source): Service shop/web: spec.clusterIP: \"10.0.0.300\" is not an IP address; "
                    + "this Service is not served"
            ])
    }

    @Test("a node that is being deleted is leaving (24)", arguments: BodyEncoding.allCases)
    func leaving(encoding: BodyEncoding) throws {
        let time = WireValue.time(1_767_323_045, "2026-01-02T03:04:05Z")
        for (more, isBeingDeleted) in [([WireField(9, "deletionTimestamp", time)], true), ([], false)] {
            let node = WireObject("v1", "Node", [Fixture.metadata("node-1", namespace: nil, more: more)])
            #expect(
                try node.decoded(.nodes, encoding).object
                    == .node(Node(name: "node-1", isBeingDeleted: isBeingDeleted))
            )
        }
    }

    @Test("endpoints good and bad are the same in both encodings, and so is what is said of them")
    func endpoints() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var servedCount = 0
        var problemCount = 0
        for _ in 0..<300 {
            let endpoints = (0..<random.number(0...6)).map { _ in Self.endpoint(&random) }
            let type: WireValue = random.once(in: 3) ? "IPv6" : "IPv4"
            let slice = Fixture.endpointSlice(type: type, endpoints: endpoints)
            let protobuf = try slice.decoded(.endpointSlices, .protobuf)
            let json = try slice.decoded(.endpointSlices, .json)
            #expect(protobuf == json, "seed \(seed): \(slice.json)")
            problemCount += protobuf.problems.count
            if case .endpointSlice(let slice) = protobuf.object { servedCount += slice.endpoints.count }
        }
        #expect(servedCount > 50 && problemCount > 50, "seed \(seed)")
    }

    private static let addresses = [
        "10.0.0.1", "10.128.255.254", "fd00::1", "2001:db8::7", "::ffff:10.0.0.9", "127.0.0.1", "::1",
        "0.0.0.0",
        "169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1", "10.0.0.256", "10.0.0.01", "10.0.0", "", "é",
        "host",
    ]
    private static let nodeNames = [
        "node-1", "node-1.eu-west-1.compute.internal", "", "Node", "-a", "a-", "a..b", "a.-b", "é",
        String(repeating: "a", count: 253), String(repeating: "a", count: 254),
    ]

    private static func endpoint(_ random: inout SeededGenerator) -> WireValue {
        var fields: [WireField] = []
        // Most addresses are good, so that most endpoints are served.
        let addresses = (0..<random.number(0...2)).map { _ in
            WireValue.text(Self.addresses[random.number(0...(random.once(in: 3) ? 17 : 3))])
        }
        if !addresses.isEmpty { fields.append(WireField(1, "addresses", .repeated(addresses))) }
        if !random.once(in: 3) {
            let conditions = [(1, "ready"), (2, "serving"), (3, "terminating")].compactMap {
                random.once(in: 3) ? nil : WireField($0.0, $0.1, .flag(random.once(in: 2)))
            }
            fields.append(WireField(2, "conditions", .message(conditions)))
        }
        if random.once(in: 2) {
            let name = nodeNames[random.number(0...(random.once(in: 2) ? nodeNames.count - 1 : 1))]
            fields.append(WireField(6, "nodeName", .text(name)))
        }
        if random.once(in: 2) {
            let lists = [(1, "forZones"), (2, "forNodes")].compactMap { number, name in
                let hints: [WireValue] = (0..<random.number(0...2)).map { _ in
                    let zone = ["a", "b", "a zone of a rather long name"][random.number(0...2)]
                    return .message(random.once(in: 9) ? [] : [WireField(1, "name", .text(zone))])
                }
                return hints.isEmpty ? nil : WireField(number, name, .repeated(hints))
            }
            fields.append(WireField(8, "hints", .message(lists)))
        }
        return .message(fields)
    }

    @Test("an endpoint's text that is no UTF-8 costs that text, and no more")
    func notUTF8() throws {
        let bad = WireValue.verbatim([0xc3, 0x28], json: "")
        let object = try Fixture.endpointSlice(
            endpoints: [
                .message([WireField(1, "addresses", [bad])]),
                .message([WireField(1, "addresses", ["10.0.0.2"]), WireField(6, "nodeName", bad)]),
                .message([
                    WireField(1, "addresses", ["10.0.0.3"]),
                    WireField(
                        8, "hints",
                        .message([
                            WireField(
                                1, "forZones",
                                [
                                    .message([WireField(1, "name", bad)]),
                                    .message([WireField(1, "name", "b")]),
                                ])
                        ])),
                ]),
            ]
        ).decoded(.endpointSlices, .protobuf)
        guard case .endpointSlice(let slice) = object.object else {
            Issue.record("\(object)")
            return
        }
        #expect(
            slice.endpoints == [
                .init(address: try ip("10.0.0.2")), .init(address: try ip("10.0.0.3"), zoneHints: ["b"]),
            ])
        #expect(
            object.problems.map(\.field) == [
                "endpoints[0].addresses[0]", "endpoints[1].nodeName", "endpoints[2].hints.forZones[0].name",
            ])
    }
}
