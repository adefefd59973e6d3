import Logging
import Synchronization

/// A log that keeps its lines.
final class CapturedLog: Sendable {
    struct Line: Sendable, Equatable {
        var level: Logger.Level
        var text: String
    }

    private let kept = Mutex<[Line]>([])

    var lines: [Line] { kept.withLock { $0 } }

    /// Lines that an operator sees: warnings and errors.
    var complaints: [String] { lines.filter { $0.level >= .warning }.map(\.text) }

    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: CapturedLog
        var logLevel = Logger.Level.debug
        var metadata: Logger.Metadata = [:]

        init(log: CapturedLog) { self.log = log }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.kept.withLock { $0.append(Line(level: event.level, text: "\(event.message)")) }
        }
    }
}
