/// Decides from file events when to read again, and what. Pure: it does no I/O.
///
/// A file that somebody has open for writing is left alone until it is closed, since half a manifest
/// may well be a valid one that lacks objects.
package struct EventTracker: Sendable {
    /// One thing that happened in a watched directory.
    package enum Event: Equatable, Sendable {
        /// A regular file was made, or bytes changed: it is open, and will be closed.
        case opened(path: String)
        /// A file was closed after writing, moved here or away, linked or deleted.
        case settled(path: String)
        /// Owner, mode or times changed.
        case touched
        /// A watched directory itself went away or moved.
        case directoryGone(path: String)
        /// Events were lost: anything may have changed.
        case overflow
    }

    /// Paths to read again whatever their time and size say.
    package private(set) var forced: Set<String> = []
    /// Paths that somebody writes to.
    package private(set) var unfinished: Set<String> = []
    /// True when there is something to read.
    package private(set) var isDue = false

    /// More than this many files are not remembered one by one.
    package static let limit = 100_000

    package init() {}

    package mutating func note(_ event: Event) {
        switch event {
        case .opened(let path):
            if unfinished.count < Self.limit { unfinished.insert(path) }
            return
        case .settled(let path):
            unfinished.remove(path)
            // Beyond the limit, time and size must do.
            if forced.count < Self.limit { forced.insert(path) }
        case .touched:
            break
        case .directoryGone(let path):
            unfinished = unfinished.filter { !$0.hasPrefix(path + "/") }
        case .overflow:
            // The event that would tell of a file's end may be among the lost ones.
            unfinished = []
        }
        isDue = true
    }

    /// Hands out the paths to read, which count as read from now.
    package mutating func takeForced() -> Set<String> {
        defer {
            forced = []
            isDue = false
        }
        return forced
    }
}
