public import FileWatching
public import Foundation
import Synchronization

/// Tells when the content of a configuration file is another one than at the start.
///
/// Follows the file through symbolic links, so it sees the swap of `..data` in a ConfigMap's volume. A file that is
/// only touched, that is written again as it was, or that is gone for a while, has not changed.
public struct ConfigurationWatcher: Sendable {
    private let path: String
    private let contents: Data

    /// How long nothing must happen before the file is read, and how often that may put it off.
    private static let quietMilliseconds: CInt = 20
    private static let longestDelay = 50

    /// - Parameter contents: what the file held when it was read (`KubeProxyConfiguration.File.contents`).
    public init(path: String, contents: Data) {
        self.path = path
        self.contents = contents
    }

    /// One element for each change of the content; the file's state when this is called counts already.
    ///
    /// The sequence ends, and its file descriptors are closed, when the reader's task is cancelled or its iterator
    /// goes.
    ///
    /// - Throws: `FileWatchError` when the kernel refuses an inotify instance or a pair of sockets.
    public func changes() throws(FileWatchError) -> AsyncStream<Void> {
        let canceller = try Canceller()
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        signal.onTermination = { _ in canceller.cancel() }
        let box = Mutex<DirectoryWatcher?>(try DirectoryWatcher(canceller: canceller))
        let thread = Thread { [self] in
            guard var watcher = box.withLock({ $0.take() }) else { return }
            follow(&watcher) { signal.yield() }
            signal.finish()
        }
        thread.name = "configuration"
        thread.start()
        return signals
    }

    private func follow(_ watcher: inout DirectoryWatcher, _ changed: () -> Void) {
        var known = contents
        var tracker = EventTracker()
        var isFirst = true
        while isFirst || tracker.isDue || wait(&watcher, &tracker, milliseconds: -1) == .happened {
            guard isFirst || tracker.isDue else { continue }
            isFirst = false
            guard settle(&watcher, &tracker) else { return }
            // The links may lead elsewhere now. Whatever happens from here on is an event.
            _ = watcher.follow(WatchPlan(paths: [path]))
            _ = tracker.takeForced()
            // Half a file is no change; its end is to come.
            if isUnfinished(tracker) { continue }
            guard let now = try? RegularFile.contents(path, limit: KubeProxyConfiguration.sizeLimit),
                now != known
            else { continue }
            known = now
            changed()
        }
    }

    private func isUnfinished(_ tracker: EventTracker) -> Bool {
        let names = [FilePath.absolute(path), FilePath.resolved(path)]
        return names.contains { $0.map(tracker.unfinished.contains) ?? false }
    }

    private enum Wait { case happened, nothing, cancelled }

    private func wait(
        _ watcher: inout DirectoryWatcher, _ tracker: inout EventTracker, milliseconds: CInt
    ) -> Wait {
        guard let events = watcher.wait(milliseconds: milliseconds) else { return .cancelled }
        for event in events { tracker.note(event) }
        return events.isEmpty && milliseconds >= 0 ? .nothing : .happened
    }

    /// Takes events until none comes for a while; false when cancelled.
    private func settle(_ watcher: inout DirectoryWatcher, _ tracker: inout EventTracker) -> Bool {
        for _ in 0..<Self.longestDelay {
            switch wait(&watcher, &tracker, milliseconds: Self.quietMilliseconds) {
            case .cancelled: return false
            case .nothing: return true
            case .happened: continue
            }
        }
        return true
    }
}
