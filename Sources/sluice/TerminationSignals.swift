import Dispatch
import Glibc

/// Turns SIGTERM and SIGINT into a call.
final class TerminationSignals {
    private var sources: [any DispatchSourceSignal] = []

    init(_ handler: @escaping @Sendable (_ name: String) -> Void) {
        for (number, name) in [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { handler(name) }
            source.resume()
            sources.append(source)
        }
    }

    /// Lets the signals end the process again.
    func stop() {
        for source in sources { source.cancel() }
        signal(SIGTERM, SIG_DFL)
        signal(SIGINT, SIG_DFL)
    }
}
