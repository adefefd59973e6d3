import KubernetesAPI
import KubernetesWire
import Testing

@testable import KubernetesClient

@Suite("Lists and watches")
struct ReflectorTests {
    private let watchQuery =
        "watch=true&allowWatchBookmarks=true&resourceVersion=%&timeoutSeconds=#&labelSelector=!service.kubernetes.io/headless"

    @Test("by pages: from the server's memory, then a watch from the list's version, in one update (1)")
    func pages() throws {
        var harness = ReflectorHarness()
        #expect(harness.query == "limit=500&resourceVersion=0&labelSelector=!service.kubernetes.io/headless")
        harness.list(["a": 1, "b": 2], version: "9", next: "token")
        #expect(harness.told() == [])
        #expect(harness.query == "limit=500&continue=token&labelSelector=!service.kubernetes.io/headless")
        harness.list(["c": 3], version: "9")
        #expect(harness.told() == ["a", "b", "c", "complete"])
        guard case .watch("9", let seconds) = harness.request?.purpose else {
            Issue.record("no watch: \(harness.action)")
            return
        }
        #expect((300...600).contains(seconds))
        #expect(harness.request?.deadline == .seconds(seconds + 30))
        #expect(
            harness.query == watchQuery.replacing("%", with: "9").replacing("#", with: "\(seconds)"))
    }

    @Test("as a stream: complete at the bookmark that ends it, and followed by the same stream")
    func streams() {
        var harness = ReflectorHarness(streams: true)
        #expect(
            harness.query.hasPrefix(
                "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds="
            ))
        harness.watch(
            .upserted(ReflectorHarness.decoded("a", 1)), .upserted(ReflectorHarness.decoded("b", 2)))
        harness.watch(.deleted(ReflectorHarness.decoded("b", 3)))
        #expect(harness.told() == [])
        #expect(harness.reflector.patience == .seconds(60))
        harness.watch(.bookmark(resourceVersion: "9", endsInitialEvents: true))
        #expect(harness.told() == ["a", "complete"])
        #expect(harness.reflector.patience == .seconds(180))
        harness.watch(.upserted(ReflectorHarness.decoded("c", 10)))
        #expect(harness.told() == ["c"])
        harness.end(.clean)
        #expect(harness.query.contains("resourceVersion=10"))
    }

    @Test("what each kind is asked with", arguments: ResourceKind.allCases)
    func selectors(kind: ResourceKind) {
        let selectors = ReflectorHarness(kind).query.split(separator: "&").filter { $0.contains("Selector") }
        switch kind {
        case .services:
            #expect(
                selectors == [
                    "labelSelector=!service.kubernetes.io/service-proxy-name",
                    "fieldSelector=spec.clusterIP!=None",
                ])
        case .endpointSlices: #expect(selectors == ["labelSelector=!service.kubernetes.io/headless"])
        case .nodes: #expect(selectors == ["fieldSelector=metadata.name=n1"])
        case .serviceCIDRs: #expect(selectors.isEmpty)
        }
    }

    @Test("a server that can't stream lists is asked by pages at once", arguments: [400, 404, 422])
    func noStreams(code: Int) {
        var harness = ReflectorHarness(streams: true)
        harness.refuse(code)
        #expect(harness.request?.isList == true)
        #expect(harness.reflector.takeNotes() == [])
    }

    @Test("a server that has never sent a stream must begin its first soon; one that has, as a list")
    func streamPatience() {
        var harness = ReflectorHarness(streams: true)
        harness.watch()
        #expect(harness.reflector.firstPatience == .seconds(10))
        #expect(harness.reflector.patience == .seconds(60))
        harness.fail(.silence)
        harness.rest()
        #expect(harness.request?.isList == true)
        #expect(harness.reflector.firstPatience == .seconds(60))
        harness.list([:], version: "9")
        #expect(harness.reflector.firstPatience == nil)
        for patience in [10, 60] {
            // With a new list, streams are tried again.
            harness.watch(.bookmark(resourceVersion: "\(20 + patience)", endsInitialEvents: false))
            harness.refuse(410)
            #expect(harness.query.contains("sendInitialEvents"))
            #expect(harness.reflector.firstPatience == .seconds(patience))
            harness.watch(.bookmark(resourceVersion: "\(21 + patience)", endsInitialEvents: true))
        }
    }

    @Test("a server that doesn't know streams never says where the first part ends")
    func unknownStreams() {
        var harness = ReflectorHarness(streams: true)
        harness.watch(.upserted(ReflectorHarness.decoded("a", 1)))
        harness.end(.clean)
        #expect(harness.request?.isList == true)
        #expect(harness.told() == [])
    }

    @Test("a server that can't select by spec.clusterIP is asked without")
    func noFieldSelector() {
        var harness = ReflectorHarness(.services)
        harness.refuse(400, "BadRequest", "field label not supported: spec.clusterIP")
        #expect(
            harness.query
                == "limit=500&resourceVersion=0&labelSelector=!service.kubernetes.io/service-proxy-name")
        harness.refuse(400)
        #expect(harness.pause != nil)
    }

    @Test("an object's slice says when its change began (27)")
    func triggerTimes() {
        var harness = ReflectorHarness()
        harness.list(["a": 5], version: "9")
        #expect(harness.reflector.takeUpdate()?.triggerTimes == [.serviceCIDR("a"): 5])
    }
}
