import Foundation
import Glibc
import ProxyConfiguration
import Testing

/// A ConfigMap's volume as the kubelet lays it out: `config.conf` → `..data/config.conf`, `..data` → a directory.
private final class Volume {
    let path: String
    private var generation = 0

    init(_ text: String) throws {
        path = FileManager.default.temporaryDirectory.path + "/configuration-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try swap(text)
        try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "..data/config.conf")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var file: String { path + "/config.conf" }

    /// Puts another generation in place in one step, and removes the one before.
    func swap(_ text: String) throws {
        generation += 1
        let directory = "..generation-\(generation)"
        try FileManager.default.createDirectory(
            atPath: "\(path)/\(directory)", withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(directory)/config.conf"))
        try FileManager.default.createSymbolicLink(atPath: "\(path)/..tmp", withDestinationPath: directory)
        try #require(rename("\(path)/..tmp", "\(path)/..data") == 0)
        try? FileManager.default.removeItem(atPath: "\(path)/..generation-\(generation - 1)")
    }
}

@Suite(.timeLimit(.minutes(1))) struct WatcherTests {
    private func contents(_ text: String) -> Data { Data(text.utf8) }

    @Test("a swapped ConfigMap with other content is told; one with the same content isn't")
    func swap() async throws {
        let volume = try Volume("a")
        var changes = try ConfigurationWatcher(path: volume.file, contents: contents("a")).changes()
            .makeAsyncIterator()
        // Were the swap to the same content told, the first element would come while the file still holds it.
        try volume.swap("a")
        try volume.swap("b")
        #expect(await changes.next() != nil)
        #expect(try String(contentsOfFile: volume.file, encoding: .utf8) == "b")
        try volume.swap("c")
        #expect(await changes.next() != nil)
    }

    @Test("a change before the watching began is told")
    func before() async throws {
        let volume = try Volume("b")
        var changes = try ConfigurationWatcher(path: volume.file, contents: contents("a")).changes()
            .makeAsyncIterator()
        #expect(await changes.next() != nil)
    }

    @Test("a plain file that is written in place, or renamed over, is told")
    func plain() async throws {
        let volume = try Volume("a")
        let path = volume.path + "/plain.conf"
        try Data("a".utf8).write(to: URL(fileURLWithPath: path))
        var changes = try ConfigurationWatcher(path: path, contents: contents("a")).changes()
            .makeAsyncIterator()
        try Data("b".utf8).write(to: URL(fileURLWithPath: path))
        #expect(await changes.next() != nil)
        try Data("c".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        #expect(await changes.next() != nil)
        try FileManager.default.removeItem(atPath: path)
        try Data("d".utf8).write(to: URL(fileURLWithPath: path))
        #expect(await changes.next() != nil)
    }

    @Test("touching the file, or writing it again as it was, is no change")
    func touched() async throws {
        let volume = try Volume("a")
        let path = volume.path + "/plain.conf"
        try Data("a".utf8).write(to: URL(fileURLWithPath: path))
        let stream = try ConfigurationWatcher(path: path, contents: contents("a")).changes()
        for round in 1...20 {
            try #require(utimensat(AT_FDCWD, path, nil, 0) == 0)
            try Data("a".utf8).write(to: URL(fileURLWithPath: path), options: round % 2 == 0 ? .atomic : [])
        }
        try Data("b".utf8).write(to: URL(fileURLWithPath: path))
        var counted = 0
        for await _ in stream {
            counted += 1
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "b")
            break
        }
        #expect(counted == 1)
    }

    @Test("the sequence ends with the reader's task")
    func ending() async throws {
        let volume = try Volume("a")
        let changes = try ConfigurationWatcher(path: volume.file, contents: contents("a")).changes()
        let task = Task {
            var count = 0
            for await _ in changes { count += 1 }
            return count
        }
        task.cancel()
        #expect(await task.value == 0)
    }
}
