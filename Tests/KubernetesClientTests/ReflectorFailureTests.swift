import KubernetesAPI
import KubernetesWire
import Testing

@testable import KubernetesClient

@Suite("Lists and watches that fail")
struct ReflectorFailureTests {
    @Test(
        "410, as a status and as an event: a new list, not older; only what it lacks is removed",
        arguments: [true, false])
    func gone(isEvent: Bool) {
        var harness = ReflectorHarness()
        harness.list(["a": 1, "b": 2, "c": 3], version: "9")
        _ = harness.told()
        harness.watch(.bookmark(resourceVersion: "20", endsInitialEvents: false))
        harness.now += .seconds(100)
        if isEvent {
            harness.watch(.error(StatusError(code: 410, reason: "Expired", message: "too old")))
            harness.end(.clean)
        } else {
            harness.refuse(410, "Expired")
        }
        #expect(harness.told() == [])
        // No limit: that would keep the server from answering from memory.
        #expect(harness.query == "resourceVersion=20&labelSelector=!service.kubernetes.io/headless")
        harness.list(["a": 1, "c": 21, "d": 22], version: "30")
        #expect(harness.told() == ["-b", "c", "d"])
        #expect(harness.query.contains("watch=true"))
    }

    @Test(
        "a server that gives lists of versions it can't watch from: one new list at once, then with pauses",
        arguments: [true, false])
    func goneAgain(streams: Bool) {
        var harness = ReflectorHarness(streams: streams)
        let gone = StatusError(code: 410, reason: "Expired", message: "too old")
        /// All objects, then the watch's end.
        func listAndLose(_ version: Int) {
            if streams {
                harness.watch(.bookmark(resourceVersion: "\(version)", endsInitialEvents: true))
            } else {
                // However long it takes.
                harness.reflector.accepted(now: harness.now)
                harness.now += .seconds(40)
                harness.list([:], version: "\(version)")
            }
            harness.now += .seconds(1)
            harness.watch(.error(gone))
            _ = harness.reflector.takeNotes()
            harness.end(.clean)
        }
        listAndLose(9)
        #expect(harness.pause == nil)
        #expect(harness.query.contains(streams ? "sendInitialEvents" : "resourceVersion=9&label"))
        let failure = RequestFailure(gone)
        #expect(harness.reflector.takeNotes() == [.relisting(failure), .failed(failure)])
        for round in 0..<5 {
            listAndLose(10 + round)
            let least = Duration.milliseconds(800) * (1 << round)
            #expect(harness.pause.map { $0 >= least && $0 < least * 2 } == true, "\(round)")
            var notes: [Reflector.Note] = [.relisting(failure), .failed(failure)]
            if round == 0 { notes.append(.failing(verb: streams ? "list" : "watch", failure)) }
            #expect(harness.reflector.takeNotes() == notes)
            harness.rest()
        }
        // A watch that brings something ends that.
        harness.watch(.bookmark(resourceVersion: "20", endsInitialEvents: true))
        if !streams { harness.list([:], version: "20") }
        harness.watch(.bookmark(resourceVersion: "21", endsInitialEvents: false))
        harness.watch(.error(gone))
        harness.end(.clean)
        #expect(harness.pause == nil)
        listAndLose(22)
        #expect(harness.pause.map { $0 < .milliseconds(1600) } == true)
    }

    @Test("an expired continue token: the list begins anew, newest and whole")
    func expiredToken() {
        var harness = ReflectorHarness()
        harness.list(["a": 1], version: "9", next: "token")
        harness.refuse(410, "Expired")
        #expect(harness.query == "labelSelector=!service.kubernetes.io/headless")
        harness.list(["b": 2], version: "12")
        #expect(harness.told() == ["b", "complete"])
    }

    @Test("the same continue token twice running is a failure: a pause, and the list comes whole")
    func repeatedToken() {
        var harness = ReflectorHarness()
        harness.list(["a": 1], version: "9", next: "token")
        harness.list(["b": 2], version: "9", next: "token")
        #expect(harness.pause != nil)
        #expect(harness.told() == [])
        let failing = harness.reflector.takeNotes().first { if case .failing = $0 { true } else { false } }
        guard case .failing("list", let failure) = failing else {
            Issue.record("\(String(describing: failing))")
            return
        }
        #expect(failure.reason == .undecodable)
        harness.rest()
        #expect(harness.query == "resourceVersion=0&labelSelector=!service.kubernetes.io/headless")
        // And so on, with a server that sends pages unasked; the first page's token is no repetition.
        harness.list(["a": 1], version: "9", next: "token")
        #expect(harness.request?.isList == true)
        harness.list(["a": 1], version: "9", next: "token")
        #expect(harness.pause.map { $0 >= .milliseconds(1600) } == true)
        harness.rest()
        harness.list(["a": 1], version: "9")
        #expect(harness.told() == ["a", "complete"])
    }

    @Test("pages that bring nothing new are allowed, but not without end", arguments: [[:], ["a": 1]])
    func emptyPages(page: [String: Int]) {
        var harness = ReflectorHarness()
        harness.list(["a": 1], version: "9", next: "0")
        for number in 1..<Paging.emptyPageLimit { harness.list(page, version: "9", next: "\(number)") }
        #expect(harness.request?.isList == true)
        harness.list(["b": 2], version: "9", next: "b")
        for number in 1..<Paging.emptyPageLimit { harness.list(page, version: "9", next: "\(number)") }
        #expect(harness.request?.isList == true)
        harness.list(page, version: "9", next: "c")
        #expect(harness.pause != nil)
        #expect(harness.told() == [])
    }

    @Test("a version that the server doesn't know yet: the newest is asked for")
    func tooLarge() {
        var harness = ReflectorHarness()
        harness.list([:], version: "9")
        harness.now += .seconds(10)
        harness.refuse(410)
        harness.refuse(504, "Timeout", "Too large resource version: 9, current: 4")
        #expect(harness.query == "limit=500&labelSelector=!service.kubernetes.io/headless")
    }

    @Test("a list that breaks off leaves what was known, and begins anew")
    func brokenList() {
        var harness = ReflectorHarness()
        harness.list(["a": 1, "b": 2], version: "9")
        _ = harness.told()
        harness.now += .seconds(10)
        harness.refuse(410)
        harness.reflector.accepted(now: harness.now)
        harness.reflector.receive(ReflectorHarness.decoded("a", 10))
        harness.fail(.brokenOff)
        #expect(harness.told() == [])
        harness.rest()
        harness.list(["b": 2], version: "12")
        #expect(harness.told() == ["-a"])
    }

    @Test("a watch that breaks off goes on from the last version that came")
    func brokenWatch() {
        var harness = ReflectorHarness()
        harness.list([:], version: "9")
        harness.watch(.upserted(ReflectorHarness.decoded("a", 12)))
        harness.fail(.brokenOff)
        #expect(harness.told() == ["a", "complete"])
        #expect(harness.pause.map { $0 >= .milliseconds(800) && $0 < .milliseconds(1600) } == true)
        harness.rest()
        #expect(harness.query.contains("resourceVersion=12&"))
    }

    @Test("what can't be decoded is named, and what was good of it stays")
    func refused() {
        var harness = ReflectorHarness()
        harness.list(["a": 1], version: "9")
        _ = harness.told()
        let problem = ObjectProblem(subject: .object(.serviceCIDR("a")), message: "no good")
        let refused = DecodedObject(
            key: .serviceCIDR("a"), content: .refused, resourceVersion: "10", problems: [problem])
        harness.watch(.upserted(refused))
        #expect(harness.reflector.takeUpdate() == SourceUpdate(kind: .endpointSlices, problems: [problem]))
        harness.now += .seconds(100)
        harness.refuse(410)
        harness.reflector.accepted(now: harness.now)
        harness.reflector.receive(refused)
        harness.end(.page(ListMetadata(resourceVersion: "20")))
        #expect(harness.reflector.takeUpdate() == nil)
    }

    @Test(
        "a list with an object whose name can't be told takes nothing away; with the watch's end comes another"
    )
    func nameless() {
        var harness = ReflectorHarness()
        harness.list(["a": 1, "b": 2], version: "9")
        _ = harness.told()
        let problem = ObjectProblem(message: "no name")
        let nameless = DecodedObject(
            key: nil, content: .refused, resourceVersion: "", problems: [problem])
        harness.refuse(410)
        _ = harness.reflector.takeNotes()
        harness.reflector.receive(nameless)
        harness.list(["b": 2, "c": 20], version: "20")
        let update = harness.reflector.takeUpdate()
        #expect(update?.removed == [])
        #expect(update?.upserted == [ModelServer.object("c", 20)])
        #expect(update?.problems == [problem])
        #expect(harness.reflector.takeNotes().contains(.inDoubt))
        // An event is no reason to doubt.
        harness.watch(.deleted(ReflectorHarness.decoded("b", 21)))
        #expect(harness.told() == ["-b"])
        harness.now += .seconds(300)
        harness.end(.clean)
        #expect(harness.query == "resourceVersion=21&labelSelector=!service.kubernetes.io/headless")
        harness.list(["c": 20], version: "30")
        #expect(harness.told() == ["-a"])
        #expect(!harness.reflector.takeNotes().contains(.inDoubt))
        harness.watch()
        harness.now += .seconds(300)
        harness.end(.clean)
        #expect(harness.query.contains("watch=true"))
    }

    @Test("an event that can't be read would come again: all is listed")
    func undecodable() {
        var harness = ReflectorHarness()
        harness.list([:], version: "9")
        harness.watch(.unknown(type: "MELTED"))
        harness.end(.clean)
        harness.rest()
        #expect(harness.request?.isList == true)
    }

    @Test(
        "a kind that the server doesn't have is complete without objects, and asked for again after ten minutes"
    )
    func absent() {
        var harness = ReflectorHarness(.serviceCIDRs)
        harness.refuse(404, "NotFound", "the server could not find the requested resource")
        #expect(harness.told() == ["complete"])
        #expect(harness.reflector.takeNotes() == [.absent])
        #expect(harness.pause.map { $0 >= .seconds(600) && $0 <= .seconds(900) } == true)
        harness.rest()
        harness.refuse(404, "NotFound")
        #expect(harness.told() == [])
        #expect(harness.reflector.takeNotes() == [])
        harness.rest()
        harness.list(["a": 1], version: "9")
        #expect(harness.told() == ["a"])
    }

    @Test("a 404 in plain text, as for a version of the API that isn't served, is no other")
    func plain404() {
        var harness = ReflectorHarness(.serviceCIDRs)
        harness.refuse(404)
        #expect(harness.told() == ["complete"])
        #expect(harness.reflector.takeNotes() == [.absent])
    }

    @Test("a 404 of another kind is a failure like others", arguments: ResourceKind.allCases)
    func strange404(kind: ResourceKind) {
        guard kind != .serviceCIDRs else { return }
        var harness = ReflectorHarness(kind)
        harness.refuse(404, "NotFound")
        #expect(harness.told() == [])
        #expect(harness.pause.map { $0 < .seconds(2) } == true)
    }

    @Test(
        "Node and ServiceCIDRs that may not be read don't hold the proxy up; Services do",
        arguments: ResourceKind.allCases)
    func forbidden(kind: ResourceKind) {
        var harness = ReflectorHarness(kind)
        harness.refuse(403, "Forbidden", "no")
        #expect(harness.told() == (kind == .nodes || kind == .serviceCIDRs ? ["complete"] : []))
        #expect(harness.pause != nil)
    }

    @Test("a Node that isn't there is a complete list of none")
    func noNode() {
        var harness = ReflectorHarness(.nodes)
        harness.list([:], version: "9")
        #expect(harness.told() == ["complete"])
    }

    @Test("the same failure is told once, another one again, and the end of it after a healthy time")
    func notes() {
        var harness = ReflectorHarness()
        for _ in 0..<5 {
            harness.fail(.unreachable(111))
            harness.rest()
        }
        harness.refuse(403, "Forbidden")
        harness.rest()
        harness.fail(.unreachable(111))
        harness.rest()
        var failing: [RequestFailure.Reason] = []
        for case .failing("list", let failure) in harness.reflector.takeNotes() {
            failing.append(failure.reason)
        }
        #expect(failing == [.unreachable(111), .status(403)])
        harness.list([:], version: "9")
        harness.watch()
        harness.now += .seconds(31)
        harness.watch(.bookmark(resourceVersion: "10", endsInitialEvents: false))
        _ = harness.reflector.receive(
            .bookmark(resourceVersion: "11", endsInitialEvents: false), now: harness.now + .seconds(31))
        #expect(harness.reflector.takeNotes().contains(.recovered(failures: 7)))
        harness.fail(.unreachable(111))
        #expect(
            harness.reflector.takeNotes().contains(
                .failing(verb: "watch", RequestFailure(.unreachable(111), "failed"))))
        #expect(harness.pause.map { $0 < .milliseconds(1600) } == true)
    }

    @Test("Retry-After is kept, but not for ever")
    func retryAfter() {
        var harness = ReflectorHarness()
        harness.refuse(429, retryAfter: 60)
        #expect(harness.pause == .seconds(60))
        harness.rest()
        harness.refuse(503, retryAfter: 100_000)
        #expect(harness.pause == .seconds(300))
    }

    @Test("a watch that ends in its time is renewed at once; one that ends as it begins, with pauses")
    func ends() {
        var harness = ReflectorHarness()
        harness.list([:], version: "9")
        harness.watch()
        harness.now += .seconds(400)
        harness.end(.clean)
        #expect(harness.request != nil)
        for round in 1...5 {
            harness.watch()
            _ = harness.reflector.takeNotes()
            harness.end(.clean)
            #expect(harness.pause != nil)
            let notes = harness.reflector.takeNotes()
            let isTold = notes.contains { if case .failing = $0 { true } else { false } }
            #expect(isTold == (round == 3))
            harness.rest()
        }
    }

    @Test("a watch that brings something and breaks off is renewed after the shortest pause, each time")
    func usefulWatch() {
        var harness = ReflectorHarness()
        harness.list([:], version: "9")
        for round in 1...8 {
            if round.isMultiple(of: 2) {
                harness.watch(.bookmark(resourceVersion: "\(9 + round)", endsInitialEvents: false))
            } else {
                harness.watch(.upserted(ReflectorHarness.decoded("a", 9 + round)))
            }
            harness.now += .seconds(10)
            harness.fail(.brokenOff)
            #expect(harness.pause.map { $0 < .milliseconds(1600) } == true, "\(round)")
            harness.rest()
            #expect(harness.query.contains("resourceVersion=\(9 + round)&"))
        }
    }

    @Test("a watch that only opens, or tells what was known, and breaks off is renewed later and later")
    func uselessWatch() {
        var harness = ReflectorHarness()
        harness.list([:], version: "9")
        for round in 0..<6 {
            harness.watch()
            if round.isMultiple(of: 2) {
                harness.watch(.bookmark(resourceVersion: "9", endsInitialEvents: false))
            }
            harness.now += .seconds(10)
            harness.fail(.brokenOff)
            let least = Duration.milliseconds(800) * (1 << round)
            #expect(harness.pause.map { $0 >= least && $0 < least * 2 } == true, "\(round)")
            harness.rest()
        }
    }

    @Test("a watch that only fails ends in a new list")
    func hopelessWatch() {
        var harness = ReflectorHarness()
        harness.list([:], version: "9")
        for _ in 0..<4 {
            #expect(harness.request?.isList == false)
            harness.refuse(500)
            harness.rest()
        }
        #expect(harness.request?.isList == true)
    }
}
