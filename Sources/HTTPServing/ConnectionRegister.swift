internal import NIOCore
import Synchronization

/// The open connections of one port.
final class ConnectionRegister: Sendable {
    private struct State {
        var open: [ObjectIdentifier: any Channel] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Takes a new connection in until it closes; false when there are too many or the port is closed.
    func admit(_ channel: any Channel) -> Bool {
        let isAdmitted = state.withLock { state in
            guard !state.isClosed, state.open.count < limit else { return false }
            state.open[ObjectIdentifier(channel)] = channel
            return true
        }
        guard isAdmitted else { return false }
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { $0.open[ObjectIdentifier(channel)] = nil }
        }
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
