import Glibc

/// Reports what happens in a changing set of directories (inotify(7)).
///
/// For one thread, but for `cancel`'s handle. Nothing runs while nothing happens.
package struct DirectoryWatcher: ~Copyable {
    private let inotify: CInt
    private let canceller: Canceller
    /// Paths watched, by watch descriptor: one directory may be known under several paths.
    private var watched: [CInt: [String]] = [:]
    private var plan: WatchPlan

    /// - Throws: `FileWatchError` when the kernel has no inotify instance left.
    package init(canceller: Canceller) throws(FileWatchError) {
        inotify = inotify_init1(CInt(IN_NONBLOCK) | CInt(IN_CLOEXEC))
        guard inotify >= 0 else { throw FileWatchError("inotify", errno) }
        self.canceller = canceller
        plan = WatchPlan(paths: [])
    }

    deinit {
        close(inotify)
        canceller.close()
    }

    private static let arrivals = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE
    private static let own = IN_DELETE_SELF | IN_MOVE_SELF
    private static let contents = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB

    /// Watches what `plan` says, and only that; returns the directories that can't be watched, with
    /// the reason.
    package mutating func follow(_ plan: WatchPlan) -> [(path: String, reason: String)] {
        self.plan = plan
        var next: [CInt: [String]] = [:]
        var masks: [CInt: UInt32] = [:]
        var failures: [(path: String, reason: String)] = []
        for (path, interest) in plan.directories {
            var mask = UInt32(Self.arrivals | Self.own | IN_ONLYDIR)
            if interest.readsFiles { mask |= UInt32(Self.contents) }
            var descriptor = inotify_add_watch(inotify, path, mask)
            if descriptor >= 0, let other = masks[descriptor], other | mask != mask {
                // The same directory under another path: the later mask has replaced the first.
                descriptor = inotify_add_watch(inotify, path, mask | other)
            }
            if descriptor >= 0 {
                masks[descriptor, default: 0] |= mask
                next[descriptor, default: []].append(path)
            } else if errno != ENOENT && errno != ENOTDIR {
                failures.append((path, String(cString: strerror(errno))))
            }
        }
        for descriptor in watched.keys where next[descriptor] == nil {
            inotify_rm_watch(inotify, descriptor)
        }
        watched = next
        return failures.sorted { $0.path < $1.path }
    }

    /// Waits for events, for `milliseconds` or, with -1, without limit. Empty when the time is up or
    /// when what happened concerns nobody; nil when cancelled.
    package func wait(milliseconds: CInt) -> [EventTracker.Event]? {
        var descriptors = [
            pollfd(fd: inotify, events: Int16(POLLIN), revents: 0),
            pollfd(fd: canceller.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        let ready = poll(&descriptors, nfds_t(descriptors.count), milliseconds)
        if ready < 0 { return errno == EINTR ? [] : nil }
        if descriptors[1].revents != 0 { return nil }
        if descriptors[0].revents == 0 { return [] }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = read(inotify, &buffer, buffer.count)
        guard count > 0 else { return errno == EAGAIN || errno == EINTR ? [] : nil }
        return buffer[..<count].withUnsafeBytes { parse($0) }
    }

    private func parse(_ bytes: UnsafeRawBufferPointer) -> [EventTracker.Event] {
        var events: [EventTracker.Event] = []
        var offset = 0
        let headerSize = MemoryLayout<inotify_event>.size
        while offset + headerSize <= bytes.count {
            let header = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
            let start = offset + headerSize
            let end = min(start + Int(header.len), bytes.count)
            let name = String(decoding: bytes[start..<end].prefix { $0 != 0 }, as: UTF8.self)
            offset = end
            append(header, name, to: &events)
        }
        return events
    }

    private func append(
        _ header: inotify_event, _ name: String, to events: inout [EventTracker.Event]
    ) {
        func has(_ flag: Int32) -> Bool { header.mask & UInt32(bitPattern: flag) != 0 }
        if has(IN_Q_OVERFLOW) {
            events.append(.overflow)
            return
        }
        for directory in watched[header.wd, default: []] {
            if has(Self.own) || has(IN_IGNORED) || has(IN_UNMOUNT) {
                events.append(.directoryGone(path: directory))
                continue
            }
            guard let interest = plan.directories[directory], plan.includes(name, of: interest) else {
                continue
            }
            let path = directory == "/" ? "/" + name : directory + "/" + name
            if has(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) {
                events.append(.settled(path: path))
            } else if has(IN_CREATE) {
                // A link or a directory is complete when it appears; a new file will be closed.
                var status = stat()
                let isNewFile =
                    lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
                    && status.st_nlink == 1
                events.append(isNewFile ? .opened(path: path) : .settled(path: path))
            } else if has(IN_MODIFY) {
                events.append(.opened(path: path))
            } else if has(IN_ATTRIB) {
                events.append(.touched)
            }
        }
    }
}
