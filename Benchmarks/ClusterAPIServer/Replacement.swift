import ClusterGenerator
import Foundation
import KubernetesAPI
import Synchronization
import TestAPIServer

/// One endpoint that gives way to another, of the Services in turn.
struct Replacement {
    private let before: EndpointSlice
    private let after: EndpointSlice

    init(_ number: Int, of cluster: GeneratedCluster) {
        // A prime: neighbours in time aren't neighbours in the list.
        let service = number * 7_919 % cluster.serviceCount
        let round = number / cluster.serviceCount
        before = cluster.slices(service)[0]
        var changed = before
        let position = number % before.endpoints.count
        changed.endpoints[position] = cluster.endpoint(service, position, generation: 1 + round % 255)
        after = changed
    }

    /// Stores it, waits until the event is with the kernel, and prints the times.
    func perform(on store: ObjectStore, _ written: WrittenEvents) async throws {
        var object = APIObject(after)
        object.annotations["endpoints.kubernetes.io/last-change-trigger-time"] =
            Date.now.formatted(.iso8601.time(includingFractionalSeconds: true))
        let started = MonotonicClock.now()
        let version = store.put(object)
        let sent = try await written.time(of: version)
        let (old, new) =
            zip(before.endpoints, after.endpoints).first { $0 != $1 }.map { ($0.0, $0.1) }
            ?? {
                preconditionFailure("a replacement replaces something")
            }()
        Output.print(
            #"{"resourceVersion":\#(version),"endpointSlice":"\#(after.name)","old":"\#(old.address)","#
                + #""new":"\#(new.address)","stored_ns":\#(started),"written_ns":\#(sent)}"#)
    }
}

enum MonotonicClock {
    /// Nanoseconds of CLOCK_MONOTONIC.
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// When events were written: filled by the server, read by the replay.
final class WrittenEvents: Sendable {
    private let stream: AsyncStream<(version: UInt64, time: UInt64)>
    private let continuation: AsyncStream<(version: UInt64, time: UInt64)>.Continuation
    private let last = Mutex<UInt64>(0)

    init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64)) }

    func add(_ version: UInt64, at time: UInt64) {
        // Several watches are written to; the first one counts. Initial events are older than any replacement.
        let isNew = last.withLock { last in
            defer { last = max(last, version) }
            return version > last
        }
        if isNew { continuation.yield((version, time)) }
    }

    /// Throws when cancelled.
    func time(of version: UInt64) async throws -> UInt64 {
        for await event in stream where event.version == version { return event.time }
        throw CancellationError()
    }
}
