import KubernetesAPI
import KubernetesWire
import SeededRandom
import Testing
import WireBodies

@Suite("Watches")
struct WatchTests {
    private static let events = [
        WireEvent("ADDED", Fixture.slice), WireEvent("MODIFIED", Fixture.slice),
        .bookmark("discovery.k8s.io/v1", "EndpointSlice", resourceVersion: "50", endsInitialEvents: true),
        WireEvent("DELETED", Fixture.slice),
        .bookmark("discovery.k8s.io/v1", "EndpointSlice", resourceVersion: "60"),
        WireEvent("RENAMED", Fixture.slice),
        WireEvent(
            "ERROR",
            .status(code: 410, reason: "Expired", message: "too old\nresource version", retryAfterSeconds: 3)),
    ]

    private static func expected() throws -> [WatchEvent] {
        let slice = try Fixture.decoded(.endpointSlices)
        let object = DecodedObject(
            key: slice.key, content: .object(slice), resourceVersion: "42",
            triggerTime: 1_767_323_045_250_000_000)
        let error = StatusError(
            code: 410, reason: "Expired", message: "too old\nresource version", retryAfterSeconds: 3)
        return [
            .upserted(object), .upserted(object), .bookmark(resourceVersion: "50", endsInitialEvents: true),
            .deleted(object), .bookmark(resourceVersion: "60", endsInitialEvents: false),
            .unknown(type: "RENAMED"), .error(error),
        ]
    }

    @Test("every type of event is told apart", arguments: BodyEncoding.allCases)
    func events(encoding: BodyEncoding) throws {
        let body = Self.events.flatMap { $0.body(encoding) }
        #expect(
            try decodeWatch(.endpointSlices, encoding, body)
                == DecodedWatch(events: try Self.expected(), isAtFrameBoundary: true))
    }

    @Test("chunks of any size give the same events", arguments: BodyEncoding.allCases)
    func chunks(encoding: BodyEncoding) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let body = Self.events.flatMap { $0.body(encoding) }
        let expected = DecodedWatch(events: try Self.expected())
        #expect(try decodeWatch(.endpointSlices, encoding, body) { 1 } == expected)
        for limit in [2, 5, 60, 400, 3000] {
            for _ in 0..<20 {
                let watch = try decodeWatch(.endpointSlices, encoding, body) { random.number(1...limit) }
                #expect(watch == expected, "seed \(seed), chunks of up to \(limit)")
            }
        }
    }

    @Test("a watch that ends inside an event says so, wherever it does", arguments: BodyEncoding.allCases)
    func breaksOff(encoding: BodyEncoding) throws {
        let first = Fixture.slice
        let body = WireEvent("ADDED", first).body(encoding)
        // JSON's events end with a line break, which says nothing.
        let end = encoding == .json ? body.count - 1 : body.count
        for count in 1..<end {
            let watch = try decodeWatch(.endpointSlices, encoding, Array(body[..<count]))
            #expect(watch == DecodedWatch(events: [], isAtFrameBoundary: false), "\(count) bytes")
        }
        #expect(try decodeWatch(.endpointSlices, encoding, Array(body[..<end])).events.count == 1)
        #expect(try decodeWatch(.endpointSlices, encoding, []).isAtFrameBoundary)
    }

    @Test("an event whose object doesn't decode is named, and the watch goes on")
    func undecodable() throws {
        let broken = WireObject(
            "discovery.k8s.io/v1", "EndpointSlice",
            [
                Fixture.metadata("bad", labels: [Fixture.serviceLabel]),
                WireField(2, "endpoints", [.verbatim([0x0a, 0x7f], json: "")]),
                WireField(4, "addressType", "IPv4"),
            ])
        let body = [WireEvent("MODIFIED", broken), WireEvent("ADDED", Fixture.slice)].flatMap(\.protobufFrame)
        let events = try decodeWatch(.endpointSlices, .protobuf, body).events
        guard case .upserted(let object) = try #require(events.first) else {
            Issue.record("\(events)")
            return
        }
        #expect(object.key == .endpointSlice(ObjectName(namespace: "shop", name: "bad")))
        #expect(object.content == .refused)
        #expect(object.problems.count == 1)
        #expect(events.count == 2)
    }

    @Test("an event with an object nested without end is named, and the watch goes on")
    func tooDeep() throws {
        let deep = String(repeating: "[", count: 500) + String(repeating: "]", count: 500)
        func event(_ type: String, _ name: String) -> String {
            #"{"type":"\#(type)","object":{"spec":\#(deep),"metadata":{"namespace":"shop",\#(name)"#
                + #""resourceVersion":"42"}}}"#
        }
        let body = Array((event("MODIFIED", #""name":"bad","#) + event("DELETED", #""name":"bad","#)).utf8)
        let events = try decodeWatch(.services, .json, body).events
        guard events.count == 2, case .upserted(let object) = events[0], case .deleted(let gone) = events[1]
        else {
            Issue.record("\(events)")
            return
        }
        #expect(object.key == .service(ObjectName(namespace: "shop", name: "bad")))
        #expect(object.content == .refused)
        #expect(object.resourceVersion == "42")
        #expect(
            object.problems.map(\.description) == [
                "\(source): Service shop/bad: nested deeper than 100 levels; this Service is passed over"
            ])
        #expect(gone == object)
        // What has no name, only a list makes good.
        #expect(throws: WireError.self) {
            try decodeWatch(.services, .json, Array(event("MODIFIED", "").utf8))
        }
    }

    @Test("an object of another kind is passed over", arguments: BodyEncoding.allCases)
    func otherKind(encoding: BodyEncoding) throws {
        let body = WireEvent("ADDED", Fixture.service).body(encoding)
        let events = try decodeWatch(.nodes, encoding, body).events
        guard case .upserted(let object) = try #require(events.first) else {
            Issue.record("\(events)")
            return
        }
        #expect(object.content == .refused)
        #expect(
            object.problems.map(\.description) == [
                "\(source): Node: an object of kind \"Service\"; this Node is passed over"
            ])
    }

    @Test("an event that is lost ends the watch", arguments: BodyEncoding.allCases)
    func lost(encoding: BodyEncoding) {
        let bodies: [[UInt8]] =
            switch encoding {
            case .protobuf:
                [
                    framed([]), framed([0xff]), framed([WireField(1, "type", "ADDED")].protobuf),
                    framed([WireField(2, "object", .message([]))].protobuf),
                    WireEvent("ERROR", Fixture.slice).protobufFrame,
                    WireEvent.bookmark("v1", "Service", resourceVersion: "").protobufFrame,
                    [0xff, 0xff, 0xff, 0xff],
                ]
            case .json:
                [
                    "{}", "[]", "x", #"{"type":"BOOKMARK"}"#, #"{"type":ADDED}"#, #"{"type":1,"object":{}}"#,
                    #"{"type":"ERROR","object":{"kind":"Node"}}"#,
                ].map { Array($0.utf8) }
            }
        for body in bodies {
            let error = #expect(throws: WireError.self, "\(body)") {
                try decodeWatch(.services, encoding, body)
            }
            #expect(error?.kind == "watch of Services")
        }
    }

    @Test("an error names the byte at which its event begins")
    func offset() throws {
        let good = WireEvent("ADDED", Fixture.node).protobufFrame
        let error = #expect(throws: WireError.self) {
            try decodeWatch(.nodes, .protobuf, good + framed([0xff]))
        }
        #expect(error?.description == "watch of Nodes: byte \(good.count + 4): this event doesn't decode")
    }
}

@Suite("Statuses and content types")
struct AnswerTests {
    @Test("a Status is decoded from an answer's body", arguments: BodyEncoding.allCases)
    func status(encoding: BodyEncoding) throws {
        let body = WireObject.status(
            code: 429, reason: "TooManyRequests", message: "later", retryAfterSeconds: 2
        ).body(encoding)
        let status = try body.withBytes { bytes throws(WireError) in
            try StatusError(decoding: bytes, encoding)
        }
        #expect(
            status
                == StatusError(
                    code: 429, reason: "TooManyRequests", message: "later", retryAfterSeconds: 2))
        #expect(status.description == #"429 TooManyRequests: "later""#)
    }

    @Test("what isn't a Status is an error", arguments: BodyEncoding.allCases)
    func noStatus(encoding: BodyEncoding) {
        for body in [[], Array("<html>".utf8), Fixture.node.body(encoding)] {
            #expect(throws: WireError.self) {
                try body.withBytes { bytes throws(WireError) in _ = try StatusError(decoding: bytes, encoding)
                }
            }
        }
    }

    @Test(
        "a content type is known with its parameters",
        arguments: [
            ("application/json", BodyEncoding.json), ("application/json; charset=utf-8", .json),
            ("Application/JSON;stream=watch", .json), ("application/vnd.kubernetes.protobuf", .protobuf),
            ("application/vnd.kubernetes.protobuf;stream=watch", .protobuf),
        ])
    func contentType(text: String, encoding: BodyEncoding) {
        #expect(BodyEncoding(contentType: text) == encoding)
    }

    @Test("another content type is none", arguments: ["", "text/html", "application/json-patch+json", ";"])
    func otherContentType(text: String) {
        #expect(BodyEncoding(contentType: text) == nil)
    }
}
