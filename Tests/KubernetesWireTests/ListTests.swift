import KubernetesAPI
import KubernetesWire
import Manifests
import SeededRandom
import Testing
import WireBodies

@Suite("Lists")
struct ListTests {
    @Test(
        "every field is read, and unknown ones are passed over", arguments: ResourceKind.allCases,
        BodyEncoding.allCases)
    func fixture(kind: ResourceKind, encoding: BodyEncoding) throws {
        let list = try decodeList(kind, encoding, Fixture.list(kind).body(encoding))
        let expected = try Fixture.decoded(kind)
        #expect(
            list.metadata
                == ListMetadata(
                    resourceVersion: "1234", continueToken: "more\"é", remainingItemCount: 17))
        #expect(list.objects.count == 3)
        let first = try #require(list.objects.first)
        #expect(first.object == expected)
        #expect(first.key == expected.key)
        #expect(first.resourceVersion == "42")
        #expect(first.problems == [])
        #expect(
            first.triggerTime == (kind == .endpointSlices ? 1_767_323_045_250_000_000 : nil))
    }

    @Test("an object is the same as from a manifest", arguments: ResourceKind.allCases)
    func sameAsManifest(kind: ResourceKind) throws {
        let parsed = ManifestParser.parse(Fixture.object(kind).json, source: "a.json")
        #expect(parsed.problems == [])
        #expect(parsed.objects == [try Fixture.decoded(kind)])
    }

    @Test(
        "chunks of any size give the same objects", arguments: ResourceKind.allCases, BodyEncoding.allCases)
    func chunks(kind: ResourceKind, encoding: BodyEncoding) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let body = Fixture.list(kind).body(encoding)
        let whole = try decodeList(kind, encoding, body)
        #expect(try decodeList(kind, encoding, body) { 1 } == whole)
        for limit in [2, 3, 7, 40, 200, 900] {
            for _ in 0..<20 {
                let list = try decodeList(kind, encoding, body) { random.number(1...limit) }
                #expect(list == whole, "seed \(seed), chunks of up to \(limit)")
            }
        }
    }

    @Test("items are handed out before the list ends", arguments: BodyEncoding.allCases)
    func streams(encoding: BodyEncoding) throws {
        let list = Fixture.list(.services)
        let body = list.body(encoding)
        var decoder = ListDecoder(.services, encoding, source: source)
        var counts: [Int] = []
        var count = 0
        for byte in body {
            try [byte].withBytes { bytes throws(WireError) in try decoder.consume(bytes) { _ in count += 1 } }
            counts.append(count)
        }
        // The first item is about as long as the third: with half of the body there, one is complete.
        #expect(counts[body.count * 2 / 3] >= 1)
        #expect(counts.last == 3)
    }

    @Test("a list that breaks off is an error wherever it does", arguments: BodyEncoding.allCases)
    func truncated(encoding: BodyEncoding) throws {
        let body = Fixture.list(.serviceCIDRs).body(encoding)
        // In protobuf, what follows the list proper says nothing that could be missed.
        let last = encoding == .protobuf ? body.count - 4 : body.count
        for count in 0..<last {
            #expect(throws: WireError.self, "\(count) of \(body.count) bytes") {
                try decodeList(.serviceCIDRs, encoding, Array(body[..<count]))
            }
        }
    }

    @Test("an empty list is a list", arguments: BodyEncoding.allCases)
    func empty(encoding: BodyEncoding) throws {
        let list = WireList("v1", "ServiceList", [], resourceVersion: "7")
        #expect(
            try decodeList(.services, encoding, list.body(encoding))
                == DecodedList(metadata: ListMetadata(resourceVersion: "7")))
    }

    @Test("null items are none, as a Go server writes them")
    func nullItems() throws {
        let body = #"{"items": null ,"metadata":{"resourceVersion":"7"},"kind":"NodeList"}"#
        let list = try decodeList(.nodes, .json, Array(body.utf8))
        #expect(list == DecodedList(metadata: ListMetadata(resourceVersion: "7")))
    }

    @Test("a list of another kind, or a Status, is refused by name", arguments: BodyEncoding.allCases)
    func otherKind(encoding: BodyEncoding) {
        for body in [
            Fixture.list(.nodes).body(encoding),
            WireObject.status(code: 410, reason: "Expired", message: "").body(encoding),
        ] {
            let error = #expect(throws: WireError.self) { try decodeList(.services, encoding, body) }
            #expect(error?.kind == "ServiceList")
            #expect(error?.message.contains("kind") == true, "\(String(describing: error))")
        }
    }

    @Test("a list without a resource version is an error", arguments: BodyEncoding.allCases)
    func noResourceVersion(encoding: BodyEncoding) {
        let list = WireList("v1", "ServiceList", [], resourceVersion: "")
        let error = #expect(throws: WireError.self) {
            try decodeList(.services, encoding, list.body(encoding))
        }
        #expect(error?.description.contains("metadata.resourceVersion") == true)
    }

    @Test(
        "what isn't a list in JSON is an error",
        arguments: [
            "", "null", "[]", "{", "{}", "{}}", #"{"metadata":{"resourceVersion":"1"}}"#, "{\"items\":[}",
            #"{"items":[1 2]}"#, #"{"items":[] "kind":1}"#, #"{"items":[],"items":[]}"#, "{,}", "nonsense",
            #"{"kind":1,"items":[],"metadata":{"resourceVersion":"1"}}"#,
        ])
    func notJSON(body: String) {
        #expect(throws: WireError.self) { try decodeList(.services, .json, Array(body.utf8)) }
    }

    @Test("broken protobuf says where")
    func offset() {
        var body = Fixture.list(.services).protobuf
        body[0] = 0x6a
        let error = #expect(throws: WireError.self) { try decodeList(.services, .protobuf, body) }
        #expect(
            error?.description == "ServiceList: byte 0: doesn't begin with k8s\\0, as a protobuf body does")
        body[0] = 0x6b
        body[4] = 0x0b  // a group's start
        let second = #expect(throws: WireError.self) { try decodeList(.services, .protobuf, body) }
        #expect(second?.description == "ServiceList: byte 5: not a protobuf field")
    }

    @Test("an object larger than any server takes is an error before it has arrived")
    func tooLarge() {
        let item = WireField(2, "items", .verbatim([UInt8](repeating: 0, count: 17 << 20), json: ""))
        let large = envelope("v1", "ServiceList", [item].protobuf)
        #expect(throws: WireError.self) {
            try decodeList(.services, .protobuf, Array(large.prefix(200)), chunk: { 64 })
        }
        let body = Array(#"{"items":[{"a":""#.utf8) + [UInt8](repeating: 0x61, count: 17 << 20)
        #expect(throws: WireError.self) { try decodeList(.services, .json, body, chunk: { 1 << 16 }) }
    }

    @Test("an object nested without end is passed over, and those beside it are decoded")
    func tooDeep() throws {
        let deep = String(repeating: "[", count: 500) + String(repeating: "]", count: 500)
        let body =
            #"{"items":[{"metadata":\#(deep)},\#(Fixture.node.fields.json)],"#
            + #""metadata":{"resourceVersion":"1"}}"#
        let list = try decodeList(.nodes, .json, Array(body.utf8))
        #expect(list.objects.map(\.content) == [.refused, .object(try Fixture.decoded(.nodes))])
        #expect(
            list.objects[0].problems.map(\.description) == [
                "\(source): Node: nested deeper than 100 levels; this Node is passed over"
            ])
    }

    @Test(
        "what doesn't decode in JSON is named as far as its name can be told",
        arguments: ResourceKind.allCases)
    func namedJSON(kind: ResourceKind) throws {
        let deep = String(repeating: #"{"a":["#, count: 60) + String(repeating: "]}", count: 60)
        let metadata =
            #"{"x": [1, "}"], "name" : "b\u0061d","namespace":"shop", "resourceVersion":"42","y":1}"#
        let key = try #require(
            try decodeList(
                kind, .json,
                Array(#"{"items":[{"metadata":\#(metadata)}],"metadata":{"resourceVersion":"1"}}"#.utf8)
            ).objects.first?.key)
        for item in [
            #"{"metadata":\#(metadata),"spec":\#(deep)}"#, #"{"spec":\#(deep) , "metadata" : \#(metadata)}"#,
            // Behind the name, no JSON.
            #"{"metadata":\#(metadata),"spec":{nonsense}}"#,
            #"{"metadata":{"a":\#(deep),"name":"bad","namespace":"shop","resourceVersion":"42"}}"#,
        ] {
            let body = #"{"items":[\#(item)],"metadata":{"resourceVersion":"1"}}"#
            let object = try #require(try decodeList(kind, .json, Array(body.utf8)).objects.first)
            #expect(object.key == key, "\(item)")
            #expect(object.content == .refused)
            #expect(object.resourceVersion == "42")
            #expect(object.problems.count == 1)
            #expect(object.problems.first?.subject == .object(key))
        }
    }

    /// A Service with a string that is no UTF-8, behind its name.
    private func undecodable(_ name: String) -> WireObject {
        WireObject(
            "v1", "Service",
            [
                Fixture.metadata(name),
                WireField(
                    2, "spec",
                    .message([WireField(3, "clusterIP", .verbatim([0xff, 0xfe], json: "\"\""))])),
            ])
    }

    @Test("an object that doesn't decode is named and passed over")
    func undecodable() throws {
        let list = WireList("v1", "ServiceList", [Fixture.service, undecodable("bad"), Fixture.service])
        let objects = try decodeList(.services, .protobuf, list.protobuf).objects
        let key = ClusterObject.Key.service(ObjectName(namespace: "shop", name: "bad"))
        #expect(objects.map { $0.object != nil } == [true, false, true])
        #expect(objects[1].key == key)
        #expect(objects[1].content == .refused)
        #expect(objects[1].resourceVersion == "42")
        #expect(
            objects[1].problems.map(\.description) == [
                "\(source): Service shop/bad: it doesn't decode; this Service is passed over"
            ])
        #expect(objects[1].problems.map(\.subject) == [.object(key)])
    }

    @Test("a name that breaks the rules is quoted in what is told, and stays the object's key")
    func undecodableName() throws {
        let list = WireList("v1", "ServiceList", [undecodable("a\nb")])
        let object = try #require(try decodeList(.services, .protobuf, list.protobuf).objects.first)
        #expect(object.key == .service(ObjectName(namespace: "shop", name: "a\nb")))
        #expect(object.problems.map(\.subject) == [.named(#""Service shop/a\nb""#)])
    }

    @Test("JSON items that are no objects have no name, and are passed over")
    func notObjects() throws {
        let body = #"{"items":[1,"x",null,[],{"metadata":7}],"metadata":{"resourceVersion":"1"}}"#
        let objects = try decodeList(.services, .json, Array(body.utf8)).objects
        #expect(objects.count == 5)
        for object in objects {
            #expect(object.key == nil)
            #expect(object.content == .refused)
            #expect(object.problems.count == 1)
        }
    }
}
