internal import NIOCore
internal import NIOPosix

/// The thread on which servers answer. To be ended by `shutDown`.
public final class HTTPThread: Sendable {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    public init() {}

    /// Ports are to be closed before.
    public func shutDown() async {
        // It fails only when it was shut down before.
        try? await group.shutdownGracefully()
    }
}
