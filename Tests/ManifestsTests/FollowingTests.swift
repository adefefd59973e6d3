import Foundation
import Glibc
import KubernetesAPI
import Manifests
import Testing

/// A directory of its own for one test, gone when the test is over.
private final class Sandbox {
    let path: String

    init() throws {
        let template = FileManager.default.temporaryDirectory.path + "/manifests-XXXXXX"
        var bytes = Array(template.utf8CString)
        guard mkdtemp(&bytes) != nil else { throw Missing() }
        path = String(decoding: bytes.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(name: String) -> String { path + "/" + name }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: self[name]))
    }

    func rename(_ from: String, _ to: String) throws {
        guard Glibc.rename(self[from], self[to]) == 0 else { throw Missing() }
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: self[name]) }

    func make(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: self[name], withIntermediateDirectories: true)
    }

    func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: self[name], withDestinationPath: target)
    }
}

/// The names of Services as they are after the updates so far.
private struct Follower<Updates: AsyncSequence<ManifestSource.Update, Never>> {
    private(set) var objects: [ClusterObject.Key: ClusterObject] = [:]
    private(set) var problems: [String] = []
    private var iterator: Updates.AsyncIterator

    init(_ snapshot: ManifestSource.Snapshot, _ updates: Updates) {
        for object in snapshot.objects { objects[object.key] = object }
        iterator = updates.makeAsyncIterator()
    }

    var names: [String] { objects.keys.map(\.description).sorted() }

    /// Takes updates until the objects are those that are named; the test's time limit ends it.
    mutating func wait(for names: String...) async -> Bool {
        let wanted = names.map { "Service default/\($0)" }.sorted()
        return await wait { $0.names == wanted }
    }

    mutating func wait(until condition: (Self) -> Bool) async -> Bool {
        while !condition(self) {
            guard let update = await iterator.next(isolation: #isolation) else { return false }
            for key in update.removed { objects[key] = nil }
            for object in update.upserted { objects[object.key] = object }
            problems += update.problems.map(\.description)
        }
        return true
    }
}

@Suite("Following files", .timeLimit(.minutes(1)))
struct FollowingTests {
    @Test("files of a directory that come, change and go are followed")
    func directory() async throws {
        let sandbox = try Sandbox()
        try sandbox.write("a.yaml", serviceYAML("a"))
        try sandbox.write(".hidden.yaml", serviceYAML("hidden"))
        try sandbox.write("notes.txt", "not a manifest")
        let source = ManifestSource(paths: [sandbox.path])
        var follower = Follower(try source.load(), try source.changes())
        #expect(follower.names == ["Service default/a"])

        try sandbox.write("b.json", #"{"apiVersion":"v1","kind":"List","items":[]}"#)
        try sandbox.write("c.yml", serviceYAML("c"))
        #expect(await follower.wait(for: "a", "c"))
        try sandbox.write("a.yaml", serviceYAML("a2"))
        #expect(await follower.wait(for: "a2", "c"))
        try sandbox.write("tmp", serviceYAML("c2"))
        try sandbox.rename("tmp", "c.yml")
        #expect(await follower.wait(for: "a2", "c2"))
        try sandbox.rename("a.yaml", "a.bak")
        #expect(await follower.wait(for: "c2"))
        try sandbox.remove("c.yml")
        #expect(await follower.wait())
        #expect(follower.problems == [])
    }

    @Test("what changes between the load and the following is not lost")
    func between() async throws {
        let sandbox = try Sandbox()
        try sandbox.write("a.yaml", serviceYAML("a"))
        let source = ManifestSource(paths: [sandbox.path])
        let snapshot = try source.load()
        try sandbox.write("b.yaml", serviceYAML("b"))
        var follower = Follower(snapshot, try source.changes())
        #expect(await follower.wait(for: "a", "b"))
    }

    @Test("a single file is followed through writes, renames over it and removal")
    func file() async throws {
        let sandbox = try Sandbox()
        try sandbox.write("a.yaml", serviceYAML("a"))
        let source = ManifestSource(paths: [sandbox["a.yaml"]])
        var follower = Follower(try source.load(), try source.changes())
        try sandbox.write("b.yaml", serviceYAML("not-followed"))
        try sandbox.write("a.yaml", serviceYAML("b"))
        #expect(await follower.wait(for: "b"))
        try sandbox.write("a.yaml~", serviceYAML("c"))
        try sandbox.rename("a.yaml~", "a.yaml")
        #expect(await follower.wait(for: "c"))
        try sandbox.remove("a.yaml")
        #expect(await follower.wait())
        try sandbox.write("a.yaml", serviceYAML("d"))
        #expect(await follower.wait(for: "d"))
    }

    @Test("a file that is still being written is not read")
    func halfWritten() async throws {
        let sandbox = try Sandbox()
        try sandbox.write("a.yaml", serviceYAML("a1") + "---\n" + serviceYAML("a2"))
        let source = ManifestSource(paths: [sandbox.path])
        var follower = Follower(try source.load(), try source.changes())
        let descriptor = open(sandbox["a.yaml"], O_WRONLY | O_TRUNC)
        #expect(descriptor >= 0)
        let first = Array((serviceYAML("a1") + "---\n").utf8)
        #expect(write(descriptor, first, first.count) == first.count)
        // Another file's event makes the directory be read, while `a.yaml` lacks its second half.
        try sandbox.write("b.yaml", serviceYAML("b"))
        #expect(await follower.wait { $0.names.contains("Service default/b") })
        #expect(follower.names == ["a1", "a2", "b"].map { "Service default/\($0)" })
        let second = Array(serviceYAML("a3").utf8)
        #expect(write(descriptor, second, second.count) == second.count)
        close(descriptor)
        #expect(await follower.wait(for: "a1", "a3", "b"))
    }

    @Test("a ConfigMap volume's swap of its data link is followed, as a directory and as one file")
    func configMap() async throws {
        let sandbox = try Sandbox()
        try sandbox.make("..1")
        try sandbox.write("..1/a.yaml", serviceYAML("a"))
        try sandbox.link("..data", to: "..1")
        try sandbox.link("a.yaml", to: "..data/a.yaml")
        let source = ManifestSource(paths: [sandbox.path])
        let fileSource = ManifestSource(paths: [sandbox["a.yaml"]])
        var follower = Follower(try source.load(), try source.changes())
        var fileFollower = Follower(try fileSource.load(), try fileSource.changes())
        #expect(follower.names == ["Service default/a"])

        for (number, name) in [(2, "b"), (3, "c")] {
            try sandbox.make("..\(number)")
            try sandbox.write("..\(number)/a.yaml", serviceYAML(name))
            try sandbox.link("..data_tmp", to: "..\(number)")
            try sandbox.rename("..data_tmp", "..data")
            #expect(await follower.wait(for: name))
            #expect(await fileFollower.wait(for: name))
            try sandbox.remove("..\(number - 1)")
        }
        #expect(follower.problems == [])
        #expect(fileFollower.problems == [])
    }

    @Test("a directory that is removed and made again is followed again")
    func directoryAgain() async throws {
        let sandbox = try Sandbox()
        try sandbox.make("deep/m")
        try sandbox.write("deep/m/a.yaml", serviceYAML("a"))
        let source = ManifestSource(paths: [sandbox["deep/m"]])
        var follower = Follower(try source.load(), try source.changes())
        try sandbox.remove("deep/m")
        #expect(await follower.wait())
        try sandbox.make("deep/m")
        try sandbox.write("deep/m/b.yaml", serviceYAML("b"))
        #expect(await follower.wait(for: "b"))
        try sandbox.remove("deep")
        #expect(await follower.wait())
        try sandbox.make("deep/m")
        try sandbox.write("deep/m/c.yaml", serviceYAML("c"))
        #expect(await follower.wait(for: "c"))
        try sandbox.write("deep/m/c.yaml", serviceYAML("d"))
        #expect(await follower.wait(for: "d"))
    }

    @Test("a directory behind a link that is swapped is followed")
    func swappedDirectory() async throws {
        let sandbox = try Sandbox()
        for name in ["one", "two"] {
            try sandbox.make("\(name)/m")
            try sandbox.write("\(name)/m/a.yaml", serviceYAML(name))
        }
        try sandbox.link("current", to: "one")
        let source = ManifestSource(paths: [sandbox["current/m"]])
        var follower = Follower(try source.load(), try source.changes())
        #expect(follower.names == ["Service default/one"])
        try sandbox.link("next", to: "two")
        try sandbox.rename("next", "current")
        #expect(await follower.wait(for: "two"))
        try sandbox.write("two/m/a.yaml", serviceYAML("three"))
        #expect(await follower.wait(for: "three"))
    }

    @Test("a file that goes bad is reported with its line, and what it said stays")
    func broken() async throws {
        let sandbox = try Sandbox()
        try sandbox.write("a.yaml", serviceYAML("a"))
        let source = ManifestSource(paths: [sandbox.path])
        var follower = Follower(try source.load(), try source.changes())
        try sandbox.write("a.yaml", "a: [1\nb: }\n")
        #expect(await follower.wait { !$0.problems.isEmpty })
        #expect(
            follower.problems == [
                "\(sandbox["a.yaml"]):2: not YAML: did not find expected ',' or ']'; "
                    + "what the file said before stays in force"
            ])
        #expect(follower.names == ["Service default/a"])
        try sandbox.write("a.yaml", serviceYAML("b"))
        #expect(await follower.wait(for: "b"))
    }

    @Test("a path that doesn't exist is an error that names it")
    func missing() throws {
        let sandbox = try Sandbox()
        let source = ManifestSource(paths: [sandbox.path, sandbox["nothing.yaml"]])
        let error = #expect(throws: ManifestSource.PathError.self) { try source.load() }
        #expect(error?.description == "\(sandbox["nothing.yaml"]): No such file or directory")
    }

    @Test("a FIFO where a manifest should be holds up nobody")
    func fifo() throws {
        let sandbox = try Sandbox()
        try sandbox.write("a.yaml", serviceYAML("a"))
        #expect(mkfifo(sandbox["b.yaml"], 0o600) == 0)
        #expect(try ManifestSource(paths: [sandbox.path]).load().objects.count == 1)
        #expect(throws: ManifestSource.PathError.self) {
            try ManifestSource(paths: [sandbox["b.yaml"]]).load()
        }
    }

    @Test("a link that leads nowhere is a problem of its own")
    func dangling() throws {
        let sandbox = try Sandbox()
        try sandbox.write("a.yaml", serviceYAML("a"))
        try sandbox.link("b.yaml", to: "nowhere")
        let snapshot = try ManifestSource(paths: [sandbox.path]).load()
        #expect(snapshot.objects.count == 1)
        #expect(
            snapshot.problems.map(\.description) == [
                "\(sandbox["b.yaml"]): cannot be read: No such file or directory"
            ])
    }

    @Test("cancelling the reader ends the sequence and gives back what it holds of the kernel")
    func cancel() async throws {
        let sandbox = try Sandbox()
        let source = ManifestSource(paths: [sandbox.path])
        _ = try source.load()
        let setting = try String(contentsOfFile: "/proc/sys/fs/inotify/max_user_instances", encoding: .utf8)
        let limit = Int(setting.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 128
        // More rounds than the kernel has instances: one that is kept by each would end them.
        for _ in 0..<min(limit + 50, 2000) {
            let task = Task {
                while true {
                    // The thread of an earlier round may be about to give its own back.
                    guard let changes = try? source.changes() else {
                        await Task.yield()
                        continue
                    }
                    withUnsafeCurrentTask { $0?.cancel() }
                    var count = 0
                    for await _ in changes { count += 1 }
                    return count
                }
            }
            #expect(await task.value == 0)
        }
    }
}
