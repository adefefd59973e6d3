internal import NIOCore
import Synchronization

/// The open connections of one port.
///
/// When there are as many as may be, the oldest makes room for the newest: whoever asks at once gets an answer however
/// many others hold connections and say nothing. The port of health probes is open to every pod.
final class ConnectionRegister: Sendable {
    private struct State {
        /// By order of arrival.
        var open: [UInt64: any Channel] = [:]
        var arrivals: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let limit: Int

    /// - Parameter limit: at least 1.
    init(limit: Int) { self.limit = limit }

    /// Takes a new connection in until it closes; false when the port is closed.
    func admit(_ channel: any Channel) -> Bool {
        let (number, oldest): (UInt64?, (any Channel)?) = state.withLock { state in
            guard !state.isClosed else { return (nil, nil) }
            var oldest: (any Channel)?
            // The limit is a few hundred: looking through them costs less than keeping them in order would.
            if state.open.count >= limit, let first = state.open.keys.min() {
                oldest = state.open.removeValue(forKey: first)
            }
            state.arrivals += 1
            state.open[state.arrivals] = channel
            return (state.arrivals, oldest)
        }
        oldest?.close(promise: nil)
        guard let number else { return false }
        channel.closeFuture.whenComplete { [self] _ in state.withLock { $0.open[number] = nil } }
        return true
    }

    /// Closes all and admits no more.
    func close() {
        let open = state.withLock { state in
            state.isClosed = true
            return state.open
        }
        for channel in open.values { channel.close(promise: nil) }
    }
}
