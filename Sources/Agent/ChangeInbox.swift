public import HostNetwork
public import KubernetesAPI
import Synchronization

/// Changes on their way from the sources to the loop.
///
/// Only the last word on each object is kept, so however fast changes come and however long the loop is busy, it holds
/// no more than the cluster does.
public final class ChangeInbox: Sendable {
    /// What has gathered.
    public struct Changes: Sendable {
        /// By object: its new state, or nil when it was removed.
        public var objects: [ClusterObject.Key: ClusterObject?] = [:]
        public var problems: [ObjectProblem] = []
        /// The host's addresses, all of them; nil when they have not changed.
        public var hostAddresses: [HostAddress]?

        public var isEmpty: Bool { objects.isEmpty && problems.isEmpty && hostAddresses == nil }
    }

    /// Problems beyond this many wait in the source's own state and are only counted here.
    static let problemLimit = 10_000

    private let changes = Mutex(Changes())
    private let continuation: AsyncStream<Void>.Continuation
    /// Yields once after something was put in; for one reader.
    public let signals: AsyncStream<Void>

    public init() {
        (signals, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    public func put(
        upserted: [ClusterObject] = [], removed: [ClusterObject.Key] = [], problems: [ObjectProblem] = []
    ) {
        changes.withLock { changes in
            for key in removed { changes.objects.updateValue(nil, forKey: key) }
            for object in upserted { changes.objects.updateValue(object, forKey: object.key) }
            changes.problems += problems.prefix(max(0, Self.problemLimit - changes.problems.count))
        }
        continuation.yield()
    }

    /// - Parameter hostAddresses: all that the host has now.
    public func put(hostAddresses: [HostAddress]) {
        changes.withLock { $0.hostAddresses = hostAddresses }
        continuation.yield()
    }

    /// Wakes the reader without a change.
    public func wake() { continuation.yield() }

    /// Ends the signals.
    public func finish() { continuation.finish() }

    /// Takes out all that has gathered.
    public func take() -> Changes {
        changes.withLock { changes in
            defer { changes = Changes() }
            return changes
        }
    }
}
