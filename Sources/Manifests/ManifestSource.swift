import Documents
import Foundation
public import KubernetesAPI
import Synchronization

/// The cluster's objects as manifest files give them, followed as the files change.
///
/// A path is a file, a directory (its `*.yaml`, `*.yml` and `*.json`, hidden ones and subdirectories
/// left out, in the order of their names), or `-` for standard input, which is read once. What two
/// files say of the same object, the first says, by the order of the paths. EndpointSlices win over
/// the old `Endpoints` kind for each Service.
///
/// What stays in force when a file goes bad:
/// - A file that can't be read or parsed any more: all it said before.
/// - An object that is refused as a whole: what the file said of it before. (An object of which a part
///   is refused, such as one port, is served without that part.)
/// - A file, or a whole directory, that is removed: nothing; its objects are gone until it is back, and
///   it is followed again when it is.
public final class ManifestSource: Sendable {
    /// All objects at one moment.
    public struct Snapshot: Sendable {
        public var objects: [ClusterObject]
        /// What is wrong in the files, in their order.
        public var problems: [ObjectProblem]
        /// How many objects were passed over that no service proxy reads, by kind or reason.
        public var skipped: [String: Int]
    }

    /// The difference between two moments.
    public struct Update: Sendable, Equatable {
        /// Objects that are new or have changed.
        public var upserted: [ClusterObject]
        public var removed: [ClusterObject.Key]
        /// Problems that were not reported before.
        public var problems: [ObjectProblem]
    }

    /// A path as given can't be read, or nothing can be followed.
    public struct PathError: Error, Equatable, CustomStringConvertible {
        /// As given; nil when it isn't about one path.
        public var path: String?
        public var message: String

        public var description: String {
            guard let path else { return message }
            return "\(Text.isPlain(path, limit: 4096) ? path : Text.quoted(path)): \(message)"
        }
    }

    /// How long nothing must happen before files are read, and how long that may put it off.
    static let quietMilliseconds: CInt = 5
    static let longestDelay = Duration.milliseconds(50)

    private let paths: [String]
    private let scanner: Mutex<ManifestScanner>
    private let state = Mutex(ManifestState())

    /// - Parameter paths: files, directories, or `-`; a path given twice counts once.
    public init(paths: [String]) {
        var seen: Set<String> = []
        self.paths = paths.filter { seen.insert($0).inserted }
        scanner = Mutex(ManifestScanner(paths: self.paths))
    }

    /// Reads all files that are new or changed since the last call.
    ///
    /// Problems inside files are in the snapshot and never throw.
    ///
    /// - Throws: `PathError` when a path as given doesn't exist or can't be read.
    public func load() throws(PathError) -> Snapshot {
        let changes = try scanner.withLock { scanner throws(PathError) in
            try scanner.scan(isStrict: true)
        }
        return state.withLock { state in
            for (file, change) in changes { state.apply(change, to: file) }
            return state.snapshot()
        }
    }

    /// What changes after `load`, as it changes; for one reader.
    ///
    /// While the reader is busy, further changes join one pending difference, so the memory is bounded
    /// by the files. The sequence ends, and its file descriptors are closed, when the reader's task is
    /// cancelled or its iterator goes.
    ///
    /// - Throws: `PathError` when the kernel refuses an inotify instance or a pair of sockets.
    public func changes() throws(PathError) -> some AsyncSequence<Update, Never> & Sendable {
        let canceller = try Canceller()
        // The signal says only that there is something; what, is worked out when the reader asks.
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        signal.onTermination = { _ in canceller.cancel() }
        var watcher = try DirectoryWatcher(canceller: canceller)
        // From here on nothing is missed, whenever the thread gets to run.
        _ = watcher.follow(WatchPlan(paths: paths))
        let box = Mutex<DirectoryWatcher?>(watcher)
        let thread = Thread { [self] in
            guard var watcher = box.withLock({ $0.take() }) else { return }
            follow(&watcher) { signal.yield() }
            signal.finish()
        }
        thread.name = "manifests"
        thread.stackSize = 8 << 20
        thread.start()
        return signals.compactMap { [self] in state.withLock { $0.difference() } }
    }

    /// Follows the files until cancelled.
    private func follow(_ watcher: inout DirectoryWatcher, _ signal: () -> Void) {
        var tracker = EventTracker()
        // What changed between `load` and the watching.
        guard let events = watcher.wait(milliseconds: 0) else { return }
        for event in events { tracker.note(event) }
        rescan(&watcher, &tracker, signal)
        while let events = watcher.wait(milliseconds: tracker.isDue ? Self.quietMilliseconds : -1) {
            for event in events { tracker.note(event) }
            guard tracker.isDue else { continue }
            guard settle(&watcher, &tracker) else { return }
            rescan(&watcher, &tracker, signal)
        }
    }

    /// Takes events until none comes for a while; false when cancelled.
    private func settle(_ watcher: inout DirectoryWatcher, _ tracker: inout EventTracker) -> Bool {
        let deadline = ContinuousClock.now + Self.longestDelay
        while ContinuousClock.now < deadline {
            guard let events = watcher.wait(milliseconds: Self.quietMilliseconds) else { return false }
            if events.isEmpty { break }
            for event in events { tracker.note(event) }
        }
        return true
    }

    private func rescan(
        _ watcher: inout DirectoryWatcher, _ tracker: inout EventTracker, _ signal: () -> Void
    ) {
        // A directory that appears may be filled before its watch is set: then the plan after the scan
        // is another one, and the scan is done again. A bound, in case it changes at each look.
        var plan = WatchPlan(paths: paths)
        let rounds = 4
        for round in 1...rounds {
            let failures = watcher.follow(plan)
            let forced = tracker.takeForced()
            var changes = scanner.withLock { scanner in
                (try? scanner.scan(forced: forced, unfinished: tracker.unfinished)) ?? []
            }
            // What somebody began to write before it was read may be half of it, and its end is to
            // come. The event may lag behind the fact: a file is empty before that is told.
            if !changes.isEmpty, !settle(&watcher, &tracker) { return }
            // A file that was begun and closed since is read once more, but not for ever.
            let again = round < rounds ? tracker.unfinished.union(tracker.forced) : tracker.unfinished
            let halves = changes.filter { ManifestScanner.touches(again, $0.file.path) }
            if !halves.isEmpty {
                scanner.withLock { $0.forget(halves.map(\.file)) }
                changes.removeAll { change in halves.contains { $0.file == change.file } }
            }
            let isNew = state.withLock { state in
                for (file, change) in changes { state.apply(change, to: file) }
                return state.note(unwatched: failures) || !changes.isEmpty
            }
            if isNew { signal() }
            let next = WatchPlan(paths: paths)
            if next == plan && !tracker.isDue { return }
            plan = next
        }
    }
}
