import NIOCore
import NIOPosix

/// Waits for what may take its time, and goes on when it takes too long; also in a task that is cancelled.
enum BoundedWait {
    /// - Returns: when `work` has ended or `limit` has passed; `work` runs on then.
    static func run(atMost limit: Duration, _ work: @escaping @Sendable () async -> Void) async {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        // Only the first of both counts.
        let isOver = loop.makePromise(of: Void.self)
        let timer = loop.scheduleTask(in: .nanoseconds(limit.nanoseconds)) { isOver.succeed() }
        Task {
            await work()
            isOver.succeed()
        }
        try? await isOver.futureResult.get()
        timer.cancel()
    }
}
