import ArgumentParser
import Logging

enum LogFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
}

struct LogOptions: ParsableArguments {
    @Option(help: "How log lines on standard error look.")
    var logFormat: LogFormat = .text

    @Flag(name: .shortAndLong, help: "Log more: each commit and what led to it.")
    var verbose = false

    func makeLogger() -> Logger {
        let format = logFormat
        var logger = Logger(label: "sluice") { _ in StandardErrorLog(format: format) }
        logger.logLevel = verbose ? .debug : .info
        return logger
    }
}
