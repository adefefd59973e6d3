import FileWatching
import KubernetesAPI
import Testing

@testable import Manifests

@Suite("What several files say together")
struct StateTests {
    private let a = FileID(root: 0, path: "a.yaml")
    private let b = FileID(root: 0, path: "b.yaml")
    private let web = ClusterObject.Key.service(ObjectName(namespace: "default", name: "web"))

    private func parsed(_ file: FileID, _ text: String) -> FileChange {
        .parsed(ManifestParser.parse(text, source: file.path))
    }

    private func names(_ objects: [ClusterObject]) -> [String] { objects.map(\.key.description) }

    @Test("a difference holds what changed and nothing else")
    func difference() {
        var state = ManifestState()
        state.apply(parsed(a, serviceYAML("web") + "---\n" + serviceYAML("db")), to: a)
        #expect(names(state.snapshot().objects) == ["Service default/web", "Service default/db"])
        #expect(state.difference() == nil)

        state.apply(parsed(a, serviceYAML("web", ip: "10.96.0.99") + "---\n" + serviceYAML("api")), to: a)
        let update = state.difference()
        #expect(update.map { names($0.upserted) } == ["Service default/web", "Service default/api"])
        #expect(update?.removed == [.service(ObjectName(namespace: "default", name: "db"))])
        #expect(update?.problems == [])
        #expect(state.difference() == nil)
    }

    @Test("changes that undo each other between two looks are no difference")
    func undone() {
        var state = ManifestState()
        state.apply(parsed(a, serviceYAML()), to: a)
        _ = state.snapshot()
        state.apply(.gone, to: a)
        state.apply(parsed(a, serviceYAML()), to: a)
        #expect(state.difference() == nil)
    }

    @Test("the first file that gives an object wins, the second is reported, and takes over when it can")
    func duplicates() {
        var state = ManifestState()
        state.apply(parsed(b, serviceYAML(ip: "10.96.0.2")), to: b)
        state.apply(parsed(a, serviceYAML(ip: "10.96.0.1")), to: a)
        let snapshot = state.snapshot()
        #expect(snapshot.objects == parse(serviceYAML(ip: "10.96.0.1")).objects)
        #expect(
            snapshot.problems.map(\.description) == [
                "b.yaml:1: Service default/web: given by a.yaml:1 already; this one is passed over"
            ])
        state.apply(.gone, to: a)
        #expect(state.difference()?.upserted == parse(serviceYAML(ip: "10.96.0.2")).objects)
    }

    @Test("an object twice in one file is reported with both lines")
    func duplicateInFile() {
        var state = ManifestState()
        state.apply(parsed(a, serviceYAML() + "---\n" + serviceYAML()), to: a)
        #expect(
            state.snapshot().problems.map(\.description) == [
                "a.yaml:10: document 2: Service default/web: given by a.yaml:1 already; "
                    + "this one is passed over"
            ])
    }

    @Test("a slice that has the name which Endpoints would give theirs is told once")
    func endpointsName() {
        var state = ManifestState()
        let text = """
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: web-subset-0-ipv4, labels: {kubernetes.io/service-name: other}}
            addressType: IPv4
            ---
            apiVersion: v1
            kind: Endpoints
            metadata: {name: web}
            subsets: [{addresses: [{ip: 10.244.0.1}], ports: [{port: 80}]}]
            """
        state.apply(parsed(a, text), to: a)
        #expect(state.snapshot().objects.count == 1)
        #expect(state.difference() == nil)
    }

    @Test("slices win over Endpoints of the same Service, in whatever file")
    func endpoints() {
        func endpoints(_ name: String) -> String {
            "apiVersion: v1\nkind: Endpoints\nmetadata: {name: \(name)}\n"
                + "subsets: [{addresses: [{ip: 10.0.0.9}], ports: [{port: 80}]}]\n"
        }
        var state = ManifestState()
        state.apply(parsed(a, endpoints("web") + "---\n" + endpoints("db")), to: a)
        state.apply(parsed(b, sliceYAML("web-1", service: "web")), to: b)
        let snapshot = state.snapshot()
        #expect(
            names(snapshot.objects) == [
                "EndpointSlice default/web-1", "EndpointSlice default/db-subset-0-ipv4",
            ])
        #expect(snapshot.problems.isEmpty)
        state.apply(.gone, to: b)
        let update = state.difference()
        #expect(update.map { names($0.upserted) } == ["EndpointSlice default/web-subset-0-ipv4"])
        #expect(update?.removed.map(\.description) == ["EndpointSlice default/web-1"])
    }

    @Test("a file that is no YAML any more keeps in force what it said, and says so once")
    func brokenFile() {
        var state = ManifestState()
        state.apply(parsed(a, serviceYAML("web") + "---\n" + serviceYAML("db")), to: a)
        _ = state.snapshot()
        let broken = serviceYAML("web", ip: "10.96.0.99") + "---\na: [\n"
        state.apply(parsed(a, broken), to: a)
        let update = state.difference()
        #expect(update?.upserted == [])
        #expect(update?.removed == [])
        #expect(
            update?.problems.map(\.description) == [
                "a.yaml:11: not YAML: did not find expected node content; "
                    + "what the file said before stays in force"
            ])
        state.apply(parsed(a, broken), to: a)
        #expect(state.difference() == nil)
        state.apply(parsed(a, serviceYAML("web")), to: a)
        #expect(state.difference()?.removed.map(\.description) == ["Service default/db"])
    }

    @Test("an object that goes bad keeps its last good version while the others change")
    func brokenObject() {
        var state = ManifestState()
        state.apply(parsed(a, serviceYAML("web") + "---\n" + serviceYAML("db")), to: a)
        _ = state.snapshot()
        for _ in 0..<2 {
            state.apply(
                parsed(a, serviceYAML("web", ip: "oops") + "---\n" + serviceYAML("db", ip: "10.96.0.7")),
                to: a)
        }
        let update = state.difference()
        #expect(update?.upserted == parse(serviceYAML("db", ip: "10.96.0.7")).objects)
        #expect(update?.removed == [])
        #expect(
            update?.problems.map(\.description) == [
                "a.yaml:6: document 1: Service default/web: spec.clusterIP: \"oops\" is not an IP address; "
                    + "this Service is not served; its last good version stays in force"
            ])
        state.apply(parsed(a, serviceYAML("db", ip: "10.96.0.7")), to: a)
        #expect(state.difference()?.removed == [web])
    }

    @Test("a file that can't be read keeps in force what it said")
    func unreadable() {
        var state = ManifestState()
        state.apply(parsed(a, serviceYAML()), to: a)
        _ = state.snapshot()
        state.apply(.unreadable(ObjectProblem(source: "a.yaml", message: "cannot be read: no")), to: a)
        let update = state.difference()
        #expect(update?.removed == [])
        #expect(
            update?.problems.map(\.description) == [
                "a.yaml: cannot be read: no; what it said before stays in force"
            ])
    }

    @Test("a file that is bad from the start gives what could be read of it")
    func brokenAtStart() {
        var state = ManifestState()
        state.apply(parsed(a, serviceYAML() + "---\na: [\n"), to: a)
        let snapshot = state.snapshot()
        #expect(names(snapshot.objects) == ["Service default/web"])
        #expect(snapshot.problems.count == 1)
    }
}

@Suite("When files are read")
struct EventTrackerTests {
    @Test("a file that is written is left alone until it is closed")
    func writing() {
        var tracker = EventTracker()
        tracker.note(.opened(path: "/m/a.yaml"))
        #expect(!tracker.isDue)
        #expect(tracker.unfinished == ["/m/a.yaml"])
        tracker.note(.settled(path: "/m/b.yaml"))
        #expect(tracker.isDue)
        #expect(tracker.takeForced() == ["/m/b.yaml"])
        #expect(!tracker.isDue)
        #expect(tracker.unfinished == ["/m/a.yaml"])
        tracker.note(.settled(path: "/m/a.yaml"))
        #expect(tracker.unfinished.isEmpty)
        #expect(tracker.takeForced() == ["/m/a.yaml"])
    }

    @Test("lost events make everything due, and nobody counts as writing")
    func overflow() {
        var tracker = EventTracker()
        tracker.note(.opened(path: "/m/a.yaml"))
        tracker.note(.overflow)
        #expect(tracker.isDue)
        #expect(tracker.unfinished.isEmpty)
    }

    @Test("a directory that goes takes the writers in it along")
    func directoryGone() {
        var tracker = EventTracker()
        tracker.note(.opened(path: "/m/a.yaml"))
        tracker.note(.opened(path: "/mm/a.yaml"))
        tracker.note(.directoryGone(path: "/m"))
        #expect(tracker.isDue)
        #expect(tracker.unfinished == ["/mm/a.yaml"])
    }
}
