import Foundation
import Glibc
import ProxyConfiguration
import TemporaryFiles
import Testing

@Suite(.timeLimit(.minutes(1))) struct WatcherTests {
    private func contents(_ text: String) -> Data { Data(text.utf8) }

    @Test("a swapped ConfigMap with other content is told; one with the same content isn't")
    func swap() async throws {
        let volume = try ConfigMapVolume(["config.conf": "a"])
        var changes = try ConfigurationWatcher(path: volume["config.conf"], contents: contents("a")).changes()
            .makeAsyncIterator()
        // Were the swap to the same content told, the first element would come while the file still holds it.
        try volume.update(["config.conf": "a"])
        try volume.update(["config.conf": "b"])
        #expect(await changes.next() != nil)
        #expect(try String(contentsOfFile: volume["config.conf"], encoding: .utf8) == "b")
        try volume.update(["config.conf": "c"])
        #expect(await changes.next() != nil)
    }

    @Test("a change before the watching began is told")
    func before() async throws {
        let volume = try ConfigMapVolume(["config.conf": "b"])
        var changes = try ConfigurationWatcher(path: volume["config.conf"], contents: contents("a")).changes()
            .makeAsyncIterator()
        #expect(await changes.next() != nil)
    }

    @Test("a plain file that is written in place, or renamed over, is told")
    func plain() async throws {
        let volume = try ConfigMapVolume(["config.conf": "a"])
        let path = volume["plain.conf"]
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
        let volume = try ConfigMapVolume(["config.conf": "a"])
        let path = volume["plain.conf"]
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
        let volume = try ConfigMapVolume(["config.conf": "a"])
        let changes = try ConfigurationWatcher(path: volume["config.conf"], contents: contents("a")).changes()
        let task = Task {
            var count = 0
            for await _ in changes { count += 1 }
            return count
        }
        task.cancel()
        #expect(await task.value == 0)
    }
}
