import Foundation
import KubeProxyFlags
import Logging
import ProxyConfiguration

/// Log lines on standard error, one line each, whatever is in them.
struct StandardErrorLog: LogHandler {
    let format: AgentConfiguration.Logging.Format
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    init(format: AgentConfiguration.Logging.Format) { self.format = format }

    func log(event: LogEvent) {
        let values = metadata.merging(event.metadata ?? [:]) { _, new in new }
            .sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value.description) }
        let time = Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        let line =
            switch format {
            case .text: text(time, event.level, event.message.description, values)
            case .json: json(time, event.level, event.message.description, values)
            }
        // One write for each line, so that lines of several threads don't mix.
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    private func text(
        _ time: String, _ level: Logger.Level, _ message: String, _ values: [(key: String, value: String)]
    ) -> String {
        let fields = values.map { " \($0.key)=\(Self.quoted($0.value))" }.joined()
        return
            "\(time) \(level.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0)) \(Self.plain(message))\(fields)"
    }

    private func json(
        _ time: String, _ level: Logger.Level, _ message: String, _ values: [(key: String, value: String)]
    ) -> String {
        var object = Dictionary(values, uniquingKeysWith: { first, _ in first })
        object["time"] = time
        object["level"] = level.rawValue
        object["message"] = message
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(object) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }

    private static func plain(_ text: String) -> String {
        String(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) })
    }

    private static func quoted(_ value: String) -> String {
        let value = plain(value)
        guard value.contains(" ") || value.contains("\"") || value.isEmpty else { return value }
        return "\"" + value.replacingOccurrences(of: "\"", with: "'") + "\""
    }
}

extension Logger {
    /// The program's log. As with klog, a verbosity from 4 on is for debugging.
    static func standardError(format: AgentConfiguration.Logging.Format, verbosity: Int) -> Logger {
        var logger = Logger(label: "sluice") { _ in StandardErrorLog(format: format) }
        logger.logLevel = verbosity >= 4 ? .debug : .info
        return logger
    }
}

extension LogOptions {
    /// The log as the flags alone say.
    func makeLogger() -> Logger { .standardError(format: logFormat ?? .text, verbosity: level ?? 0) }
}
